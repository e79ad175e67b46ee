"""``python -m tests.deploy.kubernetes``: the cluster with Kafka, to try things out by hand, until Ctrl-C."""

from __future__ import annotations

import signal
import sys

from tests.deploy.kubernetes.bed import BedError
from tests.deploy.kubernetes.cluster import start_cluster
from tests.deploy.kubernetes.kafka_pod import start_kafka


def main() -> None:
    try:
        with start_cluster() as cluster:
            kafka = start_kafka(cluster)
            print(f"export KUBECONFIG={cluster.kubeconfig}")
            print(f"# kubectl: {cluster.program}; Kafka from here: {kafka.outside}; Ctrl-C ends it", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        pass
    except BedError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell lets its background jobs ignore the first
        signal.signal(number, signal.default_int_handler)
    main()
