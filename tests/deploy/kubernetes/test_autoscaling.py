"""Real autoscalers over real workers: a step of load brings workers until the lag is gone, and they leave after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.kubernetes.bed import CACHE, wait_for
from tests.deploy.kubernetes.cluster import Cluster
from tests.deploy.kubernetes.field import NAME, Field, Patch, change, open_field
from tests.deploy.kubernetes.kafka_pod import KafkaPod
from tests.deploy.kubernetes.scalers import keda, metrics_server, prometheus_adapter
from tests.deploy.kubernetes.timeline import Timeline, chart, turns
from tests.deploy.kubernetes.workload import pack_readings

pytestmark = pytest.mark.timeout(3_600)
PARTITIONS, LEAST = 6, 2
CPU = "150m"
BATCH = 1_000
KERNELS = 8
CALM, STEP = 150, 1_000  # events a second
CALM_SECONDS, STEP_SECONDS, LEAVING_SECONDS = 45, 240, 1_200
# For a model that is dear by the call: whole batches, twice a second.
THROUGHPUT: dict[str, dict[str, Any]] = {
    "delivery": {"max_batch_records": BATCH, "latency_target_ms": 2_000},
    "kafka": {"options": {"consumer.fetch.min.bytes": 100_000, "consumer.fetch.wait.max.ms": 500}},
}
TITLES = {"hpa": "HorizontalPodAutoscaler: CPU and lag", "keda": "KEDA: CPU and its Kafka scaler"}


@pytest.fixture(scope="session")
def costly(cluster: Cluster) -> Path:
    """A bundle of a model that takes so long for a row that a small share of a CPU is soon busy."""
    bundle = cluster.folder / "costly/readings"
    pack_readings(bundle, kernels=KERNELS, replace=True)
    return bundle


def patches(scaler: str, kafka: KafkaPod) -> list[Patch]:
    """A small share of CPU for each worker, fewer partitions, and the names of this test; rules and times stay."""
    resources = "/spec/template/spec/containers/0/resources"
    share = [
        change("Deployment", NAME, "add", f"{resources}/limits/cpu", CPU),
        change("Deployment", NAME, "replace", f"{resources}/requests/cpu", CPU),
        change("Job", ".*", "replace", "/spec/template/spec/containers/0/args/5", str(PARTITIONS)),
    ]
    if scaler == "hpa":
        lag = "/spec/metrics/1/external"
        return [
            *share,
            change("HorizontalPodAutoscaler", NAME, "replace", "/spec/maxReplicas", PARTITIONS),
            change(
                "HorizontalPodAutoscaler", NAME, "replace", f"{lag}/metric/selector/matchLabels/topic", f"by-{scaler}"
            ),
            change("HorizontalPodAutoscaler", NAME, "replace", f"{lag}/target/averageValue", str(BATCH)),
        ]
    metadata = "/spec/triggers/1/metadata"
    return [
        *share,
        change("ScaledObject", NAME, "replace", "/spec/maxReplicaCount", PARTITIONS),
        change("ScaledObject", NAME, "replace", f"{metadata}/bootstrapServers", kafka.outside),
        change("ScaledObject", NAME, "replace", f"{metadata}/consumerGroup", f"by-{scaler}"),
        change("ScaledObject", NAME, "replace", f"{metadata}/topic", f"by-{scaler}"),
        change("ScaledObject", NAME, "replace", f"{metadata}/lagThreshold", str(BATCH)),
    ]


@pytest.mark.parametrize("scaler", ["keda", "hpa"])
def test_workers_come_and_go_with_the_load(cluster: Cluster, kafka_pod: KafkaPod, costly: Path, scaler: str) -> None:
    """Lag brings workers, at most one a partition; they work it off, and leave one by one; the number never swings."""
    with (
        metrics_server(cluster),
        started(cluster, scaler),
        open_field(
            cluster,
            kafka_pod,
            f"by-{scaler}",
            costly,
            overlay=f"overlays/{scaler}",
            events=1_000_000,
            partitions=PARTITIONS,
            bad_ratio=0,  # a row that the model raises on is looked for by many calls, and these are dear
            settings=THROUGHPUT,
            patches=patches(scaler, kafka_pod),
        ) as field,
    ):
        field.await_ready(300)
        wait_for("the least workers are there", lambda: len(field.workers()) == LEAST, 120)
        field.await_rolled_out(300)
        with Timeline(field) as seen:
            try:
                go_through(field, seen)
            finally:
                seen.save(CACHE / f"autoscaling-{scaler}.json")
                (CACHE / f"autoscaling-{scaler}.svg").write_text(chart(TITLES[scaler], seen.moments), "utf-8")
        field.await_drained()
        field.verdict().assert_sound("exactly-once")
    numbers = seen.wanted()
    assert min(numbers) >= LEAST
    assert LEAST < max(numbers) <= PARTITIONS
    assert numbers[-1] == LEAST
    assert turns(numbers) == 1, numbers


@contextlib.contextmanager
def started(cluster: Cluster, scaler: str) -> Iterator[None]:
    with keda(cluster) if scaler == "keda" else prometheus_adapter(cluster, f"by-{scaler}"):
        yield


def go_through(field: Field, seen: Timeline) -> None:
    """A calm, the step, and calm again until the workers have left."""
    with field.load(CALM):
        wait_for("it is looked at", lambda: bool(seen.moments), 30)
        field.await_drained()
        hold(seen, CALM_SECONDS)
    with field.load(STEP):
        wait_for("workers come", lambda: seen.latest.ready > LEAST, 240)
        wait_for("the lag is gone, under the load", lambda: seen.latest.lag < BATCH * LEAST, 600)
        hold(seen, STEP_SECONDS)
    with field.load(CALM):
        wait_for("workers leave", lambda: seen.latest.ready == LEAST == seen.latest.wanted, LEAVING_SECONDS)
        hold(seen, CALM_SECONDS)


def hold(seen: Timeline, seconds: float) -> None:
    """Until the timeline is so much longer."""
    end = seen.latest.seconds + seconds
    wait_for("time goes on", lambda: seen.latest.seconds >= end, seconds + 60, pause=1)
