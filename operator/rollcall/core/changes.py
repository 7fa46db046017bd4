"""What changed since the last success: how the setups of two runs differ, in words.

The rules:
- Only what is known of both runs is compared. What is unknown is neither changed nor unchanged.
- An image is another one if it is written otherwise, or if something else is behind it now.
- Nodes are told only if the two runs shared none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollcall.core import executions, images, messages, setups

MOST = 20  # that are told; more of them say no more
MOST_NODES = 3  # that are named
_SHORT = 12  # characters of a digest

# What parts of a template are called; others by the name of their field.
_WORDS: Mapping[str, str] = {
    "mounts": "volume mounts",
    "securityContext": "security context",
    "serviceAccount": "service account",
    "placement": "choice of nodes",
    "imagePullSecrets": "image pull secrets",
    "podSecurityContext": "security context of the pod",
    "labels": "labels of the pod",
    "annotations": "annotations of the pod",
    setups.REST: "other settings",
    setups.OTHER_CONTAINERS: "other containers",
}


class What(StrEnum):
    """What a change is about."""

    IMAGE = "image"  # as written
    DIGEST = "digest"  # of an image that is written as before
    CONTAINER = "container"  # added or removed
    TEMPLATE = "template"  # another part of it, of which no values are kept
    NODE = "node"
    SCHEDULE = "schedule"
    TIME_ZONE = "timeZone"
    CONCURRENCY = "concurrencyPolicy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference; `part` is that of a template."""

    what: What
    text: str
    container: str | None = None
    part: str | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How a run differs from the last success before it.

    `same_template` and `same_images` are None where that is not known.
    """

    since: setups.Setup
    changes: tuple[Change, ...]
    same_template: bool | None
    same_images: bool | None

    @property
    def text(self) -> str | None:
        """Say it in one line; None if nothing is known."""
        told = [one.text for one in self.changes[:MOST]]
        if len(self.changes) > MOST:
            told.append(f"{len(self.changes) - MOST} more")
        return "; ".join([*self._unchanged(), *told]) or None

    def _unchanged(self) -> list[str]:
        if not self.same_template or self.same_images is False:
            return []
        return [
            "nothing in its template or images" if self.same_images else "nothing in its template"
        ]


def compare(pair: setups.Pair) -> Comparison | None:
    """Compare a run with the last success; None without one, and where nothing is known."""
    before, after = pair.success, pair.run
    if before is None:
        return None
    compared = Comparison(
        since=before,
        changes=(
            *_of_images(before, after),
            *_of_digests(before, after),
            *_of_parts(before, after),
            *_of_rhythm(before.rhythm, after.rhythm),
            *_of_nodes(before.nodes, after.nodes),
        ),
        same_template=_is_same_template(before, after),
        same_images=_are_same_images(before, after),
    )
    return compared if compared.text else None


def told(compared: Comparison) -> dict[str, Any]:
    """Write it for a message, or for a program."""
    since = compared.since
    is_slot = since.trigger is executions.Trigger.SCHEDULE
    return {
        "since": {
            "id": str(since.run_id),
            "slotTime": messages.rfc3339(since.slot_at) if is_slot else None,
            "endTime": messages.rfc3339(since.ended_at) if since.ended_at else None,
        },
        "text": compared.text,
        "sameTemplate": compared.same_template,
        "sameImages": compared.same_images,
        "items": [_item(change) for change in compared.changes[:MOST]],
    }


def _item(change: Change) -> dict[str, Any]:
    return {
        "what": change.what.value,
        "container": change.container,
        "part": change.part,
        "before": change.before,
        "after": change.after,
        "text": change.text,
    }


def _is_same_template(before: setups.Setup, after: setups.Setup) -> bool | None:
    if before.template_hash is None or after.template_hash is None:
        return None
    if before.template_hash == after.template_hash:
        return True
    # Another release may keep more of the same template. Without a version there is nothing of it.
    return False if before.version and before.version == after.version else None


def _of_images(before: setups.Setup, after: setups.Setup) -> Iterator[Change]:
    old, new = before.images or {}, after.images or {}
    if not old or not new:
        return
    for name in [*new, *(one for one in old if one not in new)]:
        was, now = old.get(name), new.get(name)
        if was and now and was != now:
            text = f"image of {name}: {was} → {now}"
            yield Change(what=What.IMAGE, container=name, before=was, after=now, text=text)
        elif was is None or now is None:
            text = f"container {name} {'is new' if now else 'is gone'}"
            yield Change(what=What.CONTAINER, container=name, before=was, after=now, text=text)


def _of_parts(before: setups.Setup, after: setups.Setup) -> Iterator[Change]:
    if _is_same_template(before, after) is not False:
        return
    old, new = before.parts or {}, after.parts or {}
    stay = (before.images or {}).keys() & (after.images or {}).keys()
    for part in sorted(old.keys() | new.keys(), key=_place):
        container, slash, name = part.rpartition("/")
        if old.get(part) != new.get(part) and (not slash or container in stay):
            text = _WORDS.get(name, name) + (f" of {container}" if slash else "")
            yield Change(what=What.TEMPLATE, container=container or None, part=name, text=text)


def _place(part: str) -> tuple[bool, str]:
    """Put the containers' parts first: what runs is the likelier cause."""
    return "/" not in part, part


def _of_digests(before: setups.Setup, after: setups.Setup) -> Iterator[Change]:
    for name, was, now in _comparable(before, after):
        if images.are_same(was, now, is_same_node=_is_same_node(before, after)) is not False:
            continue
        called = (after.images or {}).get(name) or images.repository(now)
        old, new = images.digest(was), images.digest(now)
        is_other = f"{called} is another one now" if called else "another one"
        text = f"image of {name}: {is_other}, {old[:_SHORT]} → {new[:_SHORT]}"
        yield Change(what=What.DIGEST, container=name, before=old, after=new, text=text)


def _comparable(before: setups.Setup, after: setups.Setup) -> Iterator[tuple[str, str, str]]:
    """Yield the ids of images that are written as before, or that others than the template add."""
    old, new = before.image_ids, after.image_ids
    was, now = before.images, after.images
    for name in sorted(old.keys() & new.keys()):
        if was is None or now is None or was.get(name) == now.get(name):
            yield name, old[name], new[name]


def _are_same_images(before: setups.Setup, after: setups.Setup) -> bool | None:
    """Whether all images are the same, those that others than the template add included."""
    if before.images != after.images and before.images and after.images:
        return False
    is_same_node = _is_same_node(before, after)
    same = {
        name: images.are_same(was, now, is_same_node=is_same_node)
        for name, was, now in _comparable(before, after)
    }
    if False in same.values():
        return False
    is_all = after.images and before.images and all(same.get(name) for name in after.images)
    return True if is_all else None


def _is_same_node(before: setups.Setup, after: setups.Setup) -> bool:
    return before.nodes == after.nodes and len(after.nodes) == 1


def _of_rhythm(before: setups.Rhythm | None, after: setups.Rhythm | None) -> Iterator[Change]:
    if before is None or after is None:
        return
    for what, title, was, now in (
        (What.SCHEDULE, "schedule", before.schedule, after.schedule),
        (What.TIME_ZONE, "time zone", before.time_zone, after.time_zone),
        (What.CONCURRENCY, "concurrencyPolicy", before.concurrency, after.concurrency),
    ):
        if was != now:
            yield Change(what=what, before=was, after=now, text=f"{title}: {was} → {now}")


def _of_nodes(before: list[str], after: list[str]) -> Iterator[Change]:
    if before and after and not set(before) & set(after):
        was, now = _named(before), _named(after)
        yield Change(what=What.NODE, before=was, after=now, text=f"node: {was} → {now}")


def _named(nodes: list[str]) -> str:
    more = [f"{len(nodes) - MOST_NODES} more"] if len(nodes) > MOST_NODES else []
    return ", ".join([*nodes[:MOST_NODES], *more])
