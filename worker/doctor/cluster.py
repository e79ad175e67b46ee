"""Brokers: how many, of which release, and whether their settings let the worker's time-outs be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worker.doctor.findings import Finding, error, ok, warning
from worker.kafka.facts import ClusterFacts
from worker.settings import Settings

CHECK = "broker"
# Which release first answered a request (by its number) in this version; the newest first. KIP-896 and the broker's own
# request schemas: Produce 13 and 12, DescribeTopicPartitions, ConsumerGroupHeartbeat, ListTransactions, TxnOffsetCommit 3.
_RELEASES = ((0, 13, "4.1"), (0, 12, "4.0"), (75, 0, "3.8"), (68, 0, "3.7"), (66, 0, "3.0"), (28, 3, "2.5"))
_TXN_OFFSET_COMMIT, _BY_GENERATION = 28, 3
_GROUP_HEARTBEAT = 68


def judge_cluster(facts: ClusterFacts, settings: Settings) -> Iterator[Finding]:
    """What the brokers are, and every way in which they are at odds with the settings."""
    count = len(facts.brokers)
    release = release_of(facts.apis)
    kind = f", Kafka {release} or later" if release else ""
    yield ok(CHECK, f"{count} {'broker' if count == 1 else 'brokers'} ({', '.join(facts.brokers[:3])}){kind}")
    yield from _abilities(facts.apis, settings)
    if facts.settings is None:
        fix = "allow DESCRIBE_CONFIGS on cluster kafka-cluster to have them checked"
        yield warning(CHECK, "the brokers' settings may not be read, so they were not checked", fix)
    else:
        yield from _limits(facts.settings, settings)


def release_of(apis: Mapping[int, int]) -> str | None:
    """The release that a broker is at least of, by the requests that it answers; None: it can't be told."""
    return next((release for number, version, release in _RELEASES if apis.get(number, -1) >= version), None)


def _abilities(apis: Mapping[int, int], settings: Settings) -> Iterator[Finding]:
    if not apis:
        return
    if settings.delivery.mode == "exactly-once" and apis.get(_TXN_OFFSET_COMMIT, -1) < _BY_GENERATION:
        yield error(
            CHECK,
            "the broker can't fence by generation, so exactly once is out of reach",
            'use Kafka 2.5 or later, or delivery.mode = "at-least-once"',
        )
    if settings.kafka.protocol == "consumer" and _GROUP_HEARTBEAT not in apis:
        yield error(CHECK, "the broker does not know the group protocol 'consumer'", 'set kafka.protocol = "classic"')


def _limits(broker: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    longest_ms = int(broker.get("transaction.max.timeout.ms", 900_000))
    if settings.delivery.transaction_timeout_seconds * 1_000 > longest_ms:
        yield error(
            CHECK,
            f"transaction.max.timeout.ms is {longest_ms}, less than delivery.transaction_timeout_seconds",
            f"set delivery.transaction_timeout_seconds to {longest_ms // 1_000} or less",
        )
    options = settings.kafka.options
    session_ms = int(options.get("consumer.session.timeout.ms", options.get("session.timeout.ms", 6_000)))
    least_ms, most_ms = (
        int(broker.get(f"group.{bound}.session.timeout.ms", default)) for bound, default in (("min", 0), ("max", 2**31))
    )
    if settings.kafka.protocol == "classic" and not least_ms <= session_ms <= most_ms:
        yield error(
            CHECK,
            f"session.timeout.ms is {session_ms}, and the broker takes {least_ms} to {most_ms}",
            'set "session.timeout.ms" under [kafka.options] within these',
        )
    days = int(broker.get("offsets.retention.minutes", 10_080)) / 1_440
    if days < 1:
        yield warning(
            CHECK,
            f"committed offsets are forgotten after {days * 24:.1f} h without a member",
            "raise the broker's offsets.retention.minutes beyond the longest stop that you plan",
        )
