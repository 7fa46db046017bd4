"""What Jobs were made from, written by a part of the statement that writes runs.

A template is written when a run has it first. Once a week it is said to be in use, also by whoever
finds it removed meanwhile.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from rollcall.services import ports
from rollcall.store import models

SEEN_AGAIN = timedelta(days=7)

_templates = models.table(models.JobTemplate)
_NAMES = ("cronjob_id", "hash", "summary")


def _kept() -> sa.CTE:
    given = (
        sa.func.unnest(
            sa.bindparam("template_cronjob_id", type_=sa.ARRAY(sa.Uuid)),
            sa.bindparam("template_hash", type_=sa.ARRAY(sa.Text)),
            sa.bindparam("template_summary", type_=sa.ARRAY(sa.Text)),
        )
        .table_valued(*map(sa.column, _NAMES))
        .render_derived()
    )
    now = sa.bindparam("now", type_=_templates.c.seen_at.type)
    statement = insert(_templates).from_select(
        [*_NAMES, "seen_at"],
        sa.select(given.c.cronjob_id, given.c.hash, sa.cast(given.c.summary, JSONB), now),
    )
    return statement.on_conflict_do_update(
        index_elements=[_templates.c.cronjob_id, _templates.c.hash],
        set_={"seen_at": statement.excluded.seen_at},
        where=_templates.c.seen_at < statement.excluded.seen_at - SEEN_AGAIN,
    ).cte("kept")


KEPT = _kept()


def parameters(templates: Collection[ports.UsedTemplate]) -> dict[str, list[Any]]:
    """Return the parameters of that part, each template once and in a fixed order."""
    once = {(one.cronjob_id, one.template.hash): one for one in templates}
    rows = [once[key] for key in sorted(once)]
    return {
        "template_cronjob_id": [one.cronjob_id for one in rows],
        "template_hash": [one.template.hash for one in rows],
        "template_summary": [one.template.summary for one in rows],
    }
