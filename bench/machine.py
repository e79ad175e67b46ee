"""What the figures were measured on; nothing that names the machine."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import confluent_kafka

from worker import __version__
from worker.broker.jars import KAFKA_VERSION

LIBRARIES = ("confluent-kafka", "numpy", "scikit-learn", "fastavro")


def machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "processor": _processor(),
        "python": platform.python_version(),
        "worker": __version__,
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "librdkafka": confluent_kafka.libversion()[0],
        "kafka": KAFKA_VERSION,
        "load_before": load(),
    }


def load() -> float:
    """Processes that wanted to run, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


def line(known: dict[str, Any]) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in known["libraries"].items())
    return (
        f"{known['cores']} cores ({known['processor']}), {known['memory_gb']} GB; Python {known['python']}, {libraries}, "
        f"librdkafka {known['librdkafka']}; Apache Kafka {known['kafka']} on the same machine; "
        f"load average {known['load_before']} before, {known['load_after']} after"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    return names[0] if names else platform.machine()
