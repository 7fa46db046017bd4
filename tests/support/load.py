"""Jobs on minute schedules with every kind of end, many at once."""

from collections.abc import Mapping

from support import kube as kubes

Spec = Mapping[str, object]

# Fails until the half of the minute: by then it was tried again.
LATER = 'test "$(date +%S)" -ge 30'
# Kinds of which there is nothing to tell, for they run and succeed while Rollcall is away.
SOUND = frozenset({"quick", "seldom"})
_FORBID = {"concurrencyPolicy": "Forbid"}
_EVERY_OTHER = {"schedule": "*/2 * * * *"}
_MANY = {
    "quick": 5,
    "failing": 2,
    "single": 3,
    "patient": 3,
    "newest": 2,
    "wide": 2,
    "ended": 2,
    "retried": 2,
    "seldom": 6,
}


def specs(image: str, *, percent: int) -> dict[str, Spec]:
    """Return the specs by the names of their jobs: about thirty, with fewer pods a minute.

    With fewer percent there are fewer jobs of each kind, and one of each at least.

    Most forbid a second run, so that a machine that is too slow for them skips slots instead of
    drowning in pods.
    """

    def job(script: str, **fields: object) -> kubes.Object:
        template = kubes.job_template(image, script)
        template["spec"] |= fields
        return template

    kinds: dict[str, Spec] = {
        "quick": {"jobTemplate": job("sleep 1"), **_FORBID},
        "failing": {"jobTemplate": job("exit 1"), **_FORBID},
        "single": {"jobTemplate": job("sleep 80"), "startingDeadlineSeconds": 10, **_FORBID},
        "patient": {"jobTemplate": job("sleep 130"), **_FORBID},
        "newest": {"jobTemplate": job(kubes.HANG), "concurrencyPolicy": "Replace"},
        "wide": {"jobTemplate": job("sleep 130"), **_EVERY_OTHER},
        "ended": {"jobTemplate": job(kubes.HANG, activeDeadlineSeconds=20), **_FORBID},
        "retried": {"jobTemplate": job(LATER, backoffLimit=6), **_EVERY_OTHER, **_FORBID},
        "seldom": {"jobTemplate": job("exit 0"), **_EVERY_OTHER, **_FORBID},
    }
    alone: dict[str, Spec] = {
        "asleep": {"jobTemplate": job("exit 0"), "suspend": True},
        "stopped": {"jobTemplate": job(kubes.HANG), **_FORBID},
        "mended": {"jobTemplate": job("exit 1"), **_FORBID},
    }
    many = {
        f"{kind}-{number}": spec
        for kind, spec in kinds.items()
        for number in range(max(1, _MANY[kind] * percent // 100))
    }
    return many | alone


def is_sound(name: str) -> bool:
    """Whether there is nothing to tell of a job of this name."""
    return name.rpartition("-")[0] in SOUND
