"""The cluster, and what all its tests share: a Kafka pod and a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.kubernetes.cluster import Cluster, start_cluster
from tests.deploy.kubernetes.kafka_pod import KafkaPod, start_kafka
from tests.deploy.kubernetes.workload import pack_readings


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if not request.config.getoption("--kubernetes"):
        pytest.skip("minutes, as root, on a Kubernetes of its own: make k8s-test")
    with start_cluster() as started:
        yield started


@pytest.fixture(scope="session")
def kafka_pod(cluster: Cluster) -> KafkaPod:
    return start_kafka(cluster)


@pytest.fixture(scope="session")
def readings(cluster: Cluster) -> Path:
    """The bundle, where pods can mount it."""
    bundle = cluster.folder / "models/readings"
    pack_readings(bundle, replace=True)
    return bundle
