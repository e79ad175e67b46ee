"""Which deadline must be longer than which, so that the one that knows what to do acts first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from worker.doctor import Finding
from worker.doctor.findings import error, warning
from worker.settings import Settings
from worker.telemetry.health import PROGRESS_BOUND_SECONDS

CHECK = "time-outs"
SUPERVISOR_SECONDS = 5.0  # what a supervisor gives its processes beyond their grace
MARGIN_SECONDS = 5.0
_MAX_POLL_MS = 300_000


@dataclass(frozen=True, slots=True)
class Deadlines:
    """In seconds. ``termination``: terminationGracePeriodSeconds, at least; ``restart``: after which liveness gives a loop up
    that does not go round; ``watchdog``: after which a call on the broker that hangs ends the process.
    """

    termination: float
    restart: float
    watchdog: float
    transaction: float
    max_poll: float


def deadlines_of(settings: Settings) -> Deadlines:
    """As the settings have them."""
    delivery, options = settings.delivery, settings.kafka.options
    max_poll_ms = options.get("consumer.max.poll.interval.ms", options.get("max.poll.interval.ms", _MAX_POLL_MS))
    return Deadlines(
        termination=delivery.grace_seconds + SUPERVISOR_SECONDS + MARGIN_SECONDS,
        restart=PROGRESS_BOUND_SECONDS,
        watchdog=delivery.watchdog_seconds,
        transaction=delivery.transaction_timeout_seconds,
        max_poll=float(max_poll_ms) / 1_000,
    )


def check_deadlines(settings: Settings) -> Iterator[Finding]:
    """What is at odds in the settings alone."""
    deadlines, delivery = deadlines_of(settings), settings.delivery
    batch = delivery.latency_target_ms / 1_000
    if batch >= deadlines.transaction and delivery.mode == "exactly-once":
        yield error(
            CHECK,
            f"batches may take {batch:g} s (latency_target_ms), and the broker aborts transactions after {deadlines.transaction:g} s",
            "raise delivery.transaction_timeout_seconds well beyond delivery.latency_target_ms",
        )
    if deadlines.watchdog <= deadlines.transaction and delivery.mode == "exactly-once":
        yield warning(
            CHECK,
            f"the watchdog ({deadlines.watchdog:g} s) ends the process before the broker would abort the transaction ({deadlines.transaction:g} s)",
            "raise delivery.watchdog_seconds above delivery.transaction_timeout_seconds",
        )
    if deadlines.watchdog >= deadlines.restart:
        yield error(
            CHECK,
            f"/healthz gives the loop up after {deadlines.restart:g} s, before the watchdog acts ({deadlines.watchdog:g} s)",
            f"set delivery.watchdog_seconds below {deadlines.restart:g}",
        )
    if deadlines.max_poll <= deadlines.watchdog + batch:
        yield error(
            CHECK,
            f"the group gives a member up after {deadlines.max_poll:g} s (max.poll.interval.ms), while a batch may take {deadlines.watchdog + batch:g} s",
            "raise max.poll.interval.ms under [kafka.options]",
        )
    if delivery.grace_seconds <= batch:
        yield error(
            CHECK,
            f"a stop has {delivery.grace_seconds:g} s, and a batch may take {batch:g} s",
            "raise delivery.grace_seconds",
        )
