"""How many finished Jobs the CronJob keeps."""

import pytest

from rollcall import config
from rollcall.core import manifests
from support.trackedcronjobs import tracked

SIDECAR = config.Sidecar(image="registry.example/sidecar:1", ingest_url="http://api.rollcall:8080")
KEPT = {
    "fifteen minutes of them": ("*/5 * * * *", 3),
    "more of them if they come more often": ("*/3 * * * *", 5),
    "a quarter of an hour around midnight": ("59,0 0,23 * * *", 15),
    "the least for a schedule that matches nothing": (", * * * *", 3),
}


@pytest.mark.parametrize(("expression", "limit"), KEPT.values(), ids=KEPT)
def test_finished_jobs_are_kept_long_enough_to_be_seen(expression: str, limit: int) -> None:
    plan = manifests.build(tracked(schedule=expression), sidecar=SIDECAR, withheld=None)
    assert plan.cronjob["spec"]["successfulJobsHistoryLimit"] == limit
    assert plan.cronjob["spec"]["failedJobsHistoryLimit"] == limit
