"""Writes pods from the Inbox that have outlived their Job."""

import logging
from collections.abc import Callable
from uuid import UUID

from rollcall.core import errors
from rollcall.services import inbox, pods, ports

logger = logging.getLogger(__name__)

PIECE = 200  # pods per transaction


class Outliving:
    """Takes pods without their Job from the Inbox; `changed` hears which jobs' rows are new."""

    def __init__(
        self, *, store: ports.Store, inbox: inbox.Inbox, changed: Callable[[UUID], None]
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._changed = changed

    async def flush(self) -> bool:
        """Write one piece; says whether it was a whole one, so that more may wait.

        Raises errors.Unavailable; then everything is still in the Inbox.
        """
        jobless = self._inbox.jobless(PIECE)
        if not jobless:
            return False
        try:
            await self._write(jobless)
        except errors.Unavailable:
            raise
        except Exception as error:
            # Most likely it is one reading's, which will say so by itself.
            logger.warning("not written together", extra={"pods": len(jobless)}, exc_info=error)
            await self._one_by_one(jobless)
        return len(jobless) == PIECE

    async def _write(self, jobless: pods.Pods) -> None:
        kept = await self._store.run(lambda unit: pods.keep_outliving(unit, jobless))
        self._inbox.tried(jobless, kept.pod_uids)
        for cronjob_id in kept.cronjob_ids:
            self._changed(cronjob_id)

    async def _one_by_one(self, jobless: pods.Pods) -> None:
        for pod in jobless:
            try:
                await self._write([pod])
            except errors.Unavailable:
                raise
            except Exception:
                logger.exception("pod not written yet", extra={"pod": pod.pod_name})
                self._inbox.tried([pod], ())
