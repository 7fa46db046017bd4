"""What a job's conditions and Events say about its CronJob, in words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollcall.cluster import apply, fields, inventory, managedfields, outcomes
from rollcall.core import manifests, names

_NAMED = 5  # fields of others that a message lists


def about(plan: manifests.Plan, child: inventory.Child, now: datetime) -> list[str]:
    """Say what is worth knowing about a CronJob that is as planned."""
    remarks = []
    if plan.ticks.next_after(now) is None:
        remarks.append("the schedule never comes")
    if child.suspended and "suspend" not in plan.cronjob["spec"]:
        remarks.append(f"suspended on the CronJob by {child.suspended_by or 'somebody'}")
    if child.foreign:
        named = ", ".join(child.foreign[:_NAMED])
        more = len(child.foreign) - _NAMED
        rest = f" and {more} more" if more > 0 else ""
        remarks.append(f"set on the CronJob by others: {named}{rest}")
    return remarks


def not_ours(
    tracked: Mapping[str, Any], live: Mapping[str, Any], standing: apply.Standing
) -> outcomes.Outcome:
    """Describe a job whose name belongs to a CronJob that we do not touch."""
    if standing is apply.Standing.LEAVING:
        message = "the CronJob of an earlier TrackedCronJob of this name is still being deleted"
        return outcomes.unready(tracked, "Waiting", message, stalled=False)
    name = fields.text(live, "metadata", "name")
    owners = fields.items(live, "metadata", "ownerReferences")
    owner = next((one for one in owners if one.get("controller") is True), None)
    if owner:
        message = (
            f"a CronJob {name} exists and belongs to {owner.get('kind')} {owner.get('name')}; "
            "use another name"
        )
    else:
        message = (
            f"a CronJob {name} exists and is not ours; delete it, or have it taken over with "
            f"kubectl annotate cronjob {name} {names.ADOPT}={name}"
        )
    return outcomes.unready(tracked, "NameTaken", message)


def stranger(live: Mapping[str, Any]) -> str:
    """Name who changed an object last, apart from us."""
    others = [one for one in managedfields.owners(live) if one.manager != names.MANAGER and one.at]
    newest = max(others, key=lambda one: (one.at, one.manager), default=None)
    return newest.manager if newest else "somebody"
