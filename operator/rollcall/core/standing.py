"""How an incident stands, in one word."""

from enum import StrEnum

from rollcall.core.incidents import Incident


class Standing(StrEnum):
    """What lists show of an incident: why nobody is told more of an open one, before that."""

    ACKNOWLEDGED = "acknowledged"
    INHIBITED = "inhibited"
    SILENCED = "silenced"
    OPEN = "open"
    RESOLVED = "resolved"


def of(incident: Incident) -> Standing:
    """Say how it stands."""
    if not incident.is_open:
        return Standing.RESOLVED
    if incident.acknowledged:
        return Standing.ACKNOWLEDGED
    if incident.inhibited_by:
        return Standing.INHIBITED
    return Standing.SILENCED if incident.silenced_by else Standing.OPEN
