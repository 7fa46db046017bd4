"""How an incident stands, in one word."""

from enum import StrEnum

from rollcall.core.incidents import Incident


class Standing(StrEnum):
    """What lists show of an incident; who is quiet about an open one comes first."""

    INHIBITED = "inhibited"
    OPEN = "open"
    RESOLVED = "resolved"


def of(incident: Incident) -> Standing:
    """Say how it stands."""
    if not incident.is_open:
        return Standing.RESOLVED
    return Standing.INHIBITED if incident.inhibited_by else Standing.OPEN
