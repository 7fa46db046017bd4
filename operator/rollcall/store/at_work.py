"""Whether a pod of a run is at work, whatever became of the run."""

import sqlalchemy as sa

from rollcall.core import report_rules
from rollcall.store import models

_pods = models.table(models.Attempt)
_jobs = models.table(models.CronJob).alias()  # a query around it may have its own
_clusters = models.table(models.Cluster)
_NOW = sa.bindparam("now", type_=sa.DateTime(timezone=True))
# Since when nobody had to be heard: our own outage is no silence of theirs. Null: nobody said so.
_COULD_HEAR_SINCE = sa.case(
    (_clusters.c.kept_through.is_(None), sa.null()),
    (_clusters.c.kept_through < _NOW - report_rules.KEPT_FOR, _NOW),
    else_=_clusters.c.kept_since,
)


def of(execution_id: sa.ColumnElement[object]) -> sa.Exists:
    """Build the condition that a pod of this run reported and has not ended, as far as we know.

    It has been heard after `heard_since`, or cannot have been since then; `now` is the database's.
    """
    heard_at = sa.func.greatest(_pods.c.last_heartbeat_at, _COULD_HEAR_SINCE)
    told = _pods.join(_jobs, _jobs.c.id == _pods.c.cronjob_id)
    pods = told.outerjoin(_clusters, _clusters.c.cluster == _jobs.c.cluster)
    return (
        sa.exists()
        .select_from(pods)
        .where(
            _pods.c.execution_id == execution_id,
            _pods.c.ended_at.is_(None),
            _pods.c.final_at.is_(None),
            _pods.c.last_heartbeat_at.is_not(None),
            heard_at > sa.bindparam("heard_since", type_=sa.DateTime(timezone=True)),
        )
    )
