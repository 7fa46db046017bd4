"""Every metric, declared once.

Label sets are closed: no label takes a value that people choose, except the names of channels.
"""

import functools
from collections.abc import Mapping
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rollcall import __version__


class Metrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        build = Gauge("rollcall_build_info", "Version", ["version"], registry=self.registry)
        build.labels(version=__version__).set(1)
        self.leader = Gauge("rollcall_leader", "1 while this process leads", registry=self.registry)
        self.observed_through = Gauge(
            "rollcall_observed_through_timestamp_seconds",
            "Until when the cluster was seen",
            registry=self.registry,
        )
        self.clock_difference = Gauge(
            "rollcall_clock_difference_seconds",
            "By how much the API server's clock is ahead of the database's",
            registry=self.registry,
        )
        self.sweep_lag = Gauge(
            "rollcall_sweep_lag_seconds",
            "Time since the last sweep that went through",
            registry=self.registry,
        )
        self.outbox_lag = Gauge(
            "rollcall_outbox_lag_seconds",
            "Time since the outbox was last asked for messages to send",
            registry=self.registry,
        )
        self.outbox_oldest = Gauge(
            "rollcall_outbox_oldest_pending_seconds",
            "For how long the oldest message waits that could have been sent",
            registry=self.registry,
        )
        self.store_up = Gauge(
            "rollcall_store_up", "1 while Postgres answers", registry=self.registry
        )
        self.channel_ready = Gauge(
            "rollcall_channel_ready",
            "1 for a channel that can be sent to, 0 for one that cannot",
            ["channel"],
            registry=self.registry,
        )
        self.observations_waiting = Gauge(
            "rollcall_observations_waiting_seconds",
            "Age of the oldest reading that is not written yet",
            registry=self.registry,
        )
        self.corrections = Counter(
            "rollcall_resync_corrections",
            "Objects that a full list had and no watch had delivered",
            ["kind"],
            registry=self.registry,
        )
        self.requests = Counter(
            "rollcall_kubernetes_requests",
            "Requests to the API server, watches excluded",
            ["method"],
            registry=self.registry,
        )
        self.notifications = Counter(
            "rollcall_notifications",
            "Tries to deliver",
            ["channel", "outcome"],
            registry=self.registry,
        )
        self.suppressed = Counter(
            "rollcall_notifications_suppressed",
            "Messages that were not written or not sent",
            ["reason"],
            registry=self.registry,
        )
        self.words = Counter(
            "rollcall_deadman_words",
            "Minutes of the dead-man switch",
            ["outcome"],
            registry=self.registry,
        )
        self.reports = Counter(
            "rollcall_ingest_reports", "Reports of sidecars", ["outcome"], registry=self.registry
        )
        # A label is looked up once: that takes longer than counting.
        self._reports_of = functools.cache(lambda outcome: self.reports.labels(outcome=outcome))
        self.batch_seconds = Histogram(
            "rollcall_ingest_batch_seconds",
            "Time from a batch's begin to its commit",
            registry=self.registry,
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
        )

    def saw_store(self, oldest: timedelta | None) -> None:
        """Keep for how long the oldest message waits; None: Postgres does not answer."""
        self.store_up.set(oldest is not None)
        if oldest is not None:
            self.outbox_oldest.set(oldest.total_seconds())

    def knows_channels(self, unready: Mapping[str, object | None]) -> None:
        """Keep which channels are ready: those of which nothing is said against it."""
        self.channel_ready.clear()
        for channel, why in unready.items():
            self.channel_ready.labels(channel=channel).set(why is None)

    def corrected(self, kind: str, count: int) -> None:
        """Count corrections of a full list."""
        self.corrections.labels(kind=kind).inc(count)

    def requested(self, method: str) -> None:
        """Count a request to the API server."""
        self.requests.labels(method=method).inc()

    def sent(self, channel: str, outcome: str) -> None:
        """Count a try to deliver."""
        self.notifications.labels(channel=channel, outcome=outcome).inc()

    def kept_quiet(self, reason: str) -> None:
        """Count a message that was not written or not sent."""
        self.suppressed.labels(reason=reason).inc()

    def gave_word(self, outcome: str) -> None:
        """Count a minute of the dead-man switch."""
        self.words.labels(outcome=outcome).inc()

    def reported(self, outcome: str) -> None:
        """Count a report of a sidecar."""
        self._reports_of(outcome).inc()

    def batched(self, seconds: float, size: int) -> None:
        """Keep how long a batch took."""
        del size
        self.batch_seconds.observe(seconds)
