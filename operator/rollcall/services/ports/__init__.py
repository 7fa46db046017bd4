"""What the use cases ask of the outside: small protocols, and the values that cross them."""

from rollcall.services.ports.channels import Delivery, Directory, Sender, Senders
from rollcall.services.ports.cluster import Evidence
from rollcall.services.ports.runs import Attempts, Events, Gaps, History, Ledger, Neighbours
from rollcall.services.ports.store import (
    Housekeeping,
    Incidents,
    Outbox,
    Registry,
    Schedule,
    Sight,
    Store,
    Transaction,
)
from rollcall.services.ports.values import (
    Applied,
    Identity,
    JobRow,
    JobState,
    Notification,
    Outcome,
    SlotKey,
    Started,
    Story,
    Summary,
    TrackedJob,
)

__all__ = [
    "Applied",
    "Attempts",
    "Delivery",
    "Directory",
    "Events",
    "Evidence",
    "Gaps",
    "History",
    "Housekeeping",
    "Identity",
    "Incidents",
    "JobRow",
    "JobState",
    "Ledger",
    "Neighbours",
    "Notification",
    "Outbox",
    "Outcome",
    "Registry",
    "Schedule",
    "Sender",
    "Senders",
    "Sight",
    "SlotKey",
    "Started",
    "Store",
    "Story",
    "Summary",
    "TrackedJob",
    "Transaction",
]
