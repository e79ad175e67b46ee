"""The ``server.properties`` of a single development broker: small, quick to start, and keeping everything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

LOOPBACK = "127.0.0.1"

SMALL: Mapping[str, str] = {
    # One node: nothing can be replicated, and no second member is worth waiting for.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # Few internal partitions: each costs files, and time at start.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    # A misspelt topic is an error, not a new topic.
    "auto.create.topics.enable": "false",
    # After a crash the controller waits until the broker of before has lost its session (9 s by default).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Small pools and buffers.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "group.coordinator.threads": "2",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "log.segment.bytes": "134217728",
    "log.index.size.max.bytes": "1048576",
    # Retention goes by the records' own timestamps: replayed events of years ago would be deleted within minutes.
    "log.retention.ms": "-1",
}


def server_properties(
    *, port: int, controller_port: int, listeners: Mapping[str, int], logs: Path, overrides: Mapping[str, str]
) -> str:
    """The file's text; ``overrides`` win over everything else. ``listeners``: those beside the plain one, with ports.

    The controller quorum is given by address (not kept in the log), so that the same data can be served on other ports.
    """
    plain = f"PLAINTEXT://{LOOPBACK}:{port}"
    others = [f"{name}://{LOOPBACK}:{number}" for name, number in listeners.items()]
    own = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join([plain, f"CONTROLLER://{LOOPBACK}:{controller_port}", *others]),
        "advertised.listeners": ",".join([plain, *others]),
        "log.dirs": str(logs),
    }
    lines = {**own, **SMALL, **overrides}
    return "".join(f"{key}={_escape(value)}\n" for key, value in lines.items())


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
