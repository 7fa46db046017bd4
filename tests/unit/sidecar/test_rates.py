from rollcall_sidecar import rates


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_allowed_and_then_so_many_a_second() -> None:
    clock = Clock()
    allowance = rates.Allowance(per_second=100, burst=200, clock=clock)
    assert [allowance.take() for _ in range(201)] == [True] * 200 + [False]
    clock.now = 0.5
    assert [allowance.take() for _ in range(51)] == [True] * 50 + [False]


def test_a_pause_saves_up_no_more_than_a_burst() -> None:
    clock = Clock()
    allowance = rates.Allowance(per_second=100, burst=200, clock=clock)
    clock.now = 3600
    assert sum(allowance.take() for _ in range(500)) == 200
