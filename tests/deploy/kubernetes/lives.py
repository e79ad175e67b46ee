"""What became of every pod of a namespace, seen by watching: exit codes, restarts, and whether the grace was enough."""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, Self

from tests.deploy.kubernetes.cluster import Cluster


@dataclass(slots=True)
class Life:
    """One pod. ``ended_by`` is the RFC 3339 time when its grace is over, ``finished`` when its container ended for good."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    exit_codes: list[int] = field(default_factory=list)
    restarts: int = 0
    ended_by: str = ""
    finished: str = ""
    gone: bool = False

    @property
    def in_time(self) -> bool:
        """Times of one form and zone: their order is that of their texts."""
        return bool(self.finished) and self.finished <= self.ended_by


class Lives:
    """Watches from construction until ``__exit__``; one entry a pod, by its uid."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        words = ["get", "pods", f"--namespace={namespace}", "--watch", "--output-watch-events", "--output=json"]
        self._process = subprocess.Popen(
            [str(cluster.program), f"--kubeconfig={cluster.kubeconfig}", *words], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.of: dict[str, Life] = {}
        self._thread = threading.Thread(target=self._follow, args=(self._process.stdout,), daemon=True)
        self._thread.start()

    def of_component(self, component: str) -> list[Life]:
        return [life for life in list(self.of.values()) if life.labels.get("app.kubernetes.io/component") == component]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._thread.join(10)
        self._process.wait(10)

    def _follow(self, stream: IO[str]) -> None:
        for line in stream:
            event = json.loads(line)
            pod = event["object"]
            life = self.of.setdefault(pod["metadata"]["uid"], Life(pod["metadata"]["name"]))
            take(life, pod)
            life.gone = life.gone or event["type"] == "DELETED"


def take(life: Life, pod: dict[str, Any]) -> None:
    life.labels = pod["metadata"].get("labels", {})
    life.ended_by = pod["metadata"].get("deletionTimestamp") or life.ended_by
    for status in pod["status"].get("containerStatuses", ()):
        if status["restartCount"] > life.restarts:
            life.restarts = status["restartCount"]
            if (before := status.get("lastState", {}).get("terminated")) is not None:
                life.exit_codes.append(before["exitCode"])
        if (ended := status["state"].get("terminated")) is not None and life.ended_by and not life.finished:
            life.finished = ended["finishedAt"]
            life.exit_codes.append(ended["exitCode"])
