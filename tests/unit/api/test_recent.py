"""A cache with an age."""

from rollcall.services import recent


class Ticks:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_good_for_its_lifetime() -> None:
    ticks = Ticks()
    cache = recent.Recent[str, int](lifetime=10, size=5, clock=ticks)
    cache.put("a", 1)
    ticks.now += 10
    assert cache.get("a") == 1
    ticks.now += 0.1
    assert cache.get("a") is None


def test_a_value_can_begin_with_an_age() -> None:
    ticks = Ticks()
    cache = recent.Recent[str, int](lifetime=10, size=5, clock=ticks)
    cache.put("a", 1, age=4)
    ticks.now += 6
    assert cache.get("a") == 1
    ticks.now += 0.1
    assert cache.get("a") is None


def test_the_parts_of_many_keys_fill_the_whole_evenly() -> None:
    parts = sorted(recent.part(str(number).encode(), 100.0) for number in range(1000))
    assert all(abs(part - number / 10) < 10 for number, part in enumerate(parts))
    assert recent.part(b"0", 100.0) in parts  # the same for the same key


def test_a_reader_can_ask_for_a_younger_value() -> None:
    ticks = Ticks()
    cache = recent.Recent[str, int](lifetime=10, size=5, clock=ticks)
    cache.put("a", 1)
    ticks.now += 3
    assert cache.get("a", within=2) is None
    assert cache.get("a", within=3) == 1


def test_the_oldest_goes_first_and_putting_again_makes_young() -> None:
    cache = recent.Recent[str, int](lifetime=10, size=2)
    for key in ("a", "b", "a", "c"):
        cache.put(key, 1)
    assert [cache.get(key) for key in ("a", "b", "c")] == [1, None, 1]
    assert len(cache) == 2


def test_expired_values_are_not_kept_in_memory() -> None:
    ticks = Ticks()
    cache = recent.Recent[str, int](lifetime=10, size=100, clock=ticks)
    for number in range(50):
        cache.put(str(number), number)
    ticks.now += 11
    cache.put("new", 1)
    assert len(cache) == 1


def test_a_dropped_value_is_gone() -> None:
    cache = recent.Recent[str, int](lifetime=10, size=2)
    cache.put("a", 1)
    cache.drop("a")
    cache.drop("never there")
    assert cache.get("a") is None
