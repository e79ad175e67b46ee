"""A real Prometheus with our rules, which scrapes one target every second."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.waiting import wait_until
from worker.broker.ports import free

FOLDER = Path(__file__).parents[2] / "observability"
START_SECONDS = 30.0
STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Prometheus:
    """``began``: Unix time of its start."""

    address: str
    began: float

    def ask(self, path: str, **parameters: str) -> Any:
        """What the API answers. Raises AssertionError with Prometheus's own words where it refuses."""
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def value(self, expr: str) -> float | None:
        """Of an expression with one series, as of now."""
        found = self.ask("query", query=expr)["result"]
        return float(found[0]["value"][1]) if found else None

    def numbers(self, expr: str) -> int:
        """How many samples the expression has had since the start, every second, that are numbers."""
        found = self.ask("query_range", query=expr, start=str(self.began), end=str(time.time()), step="1")["result"]
        return sum(not math.isnan(float(value)) for series in found for _, value in series["values"])

    def is_there(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
        return False


@contextlib.contextmanager
def prometheus(program: str, folder: Path, target: str) -> Iterator[Prometheus]:
    """Ours but for the address that is scraped, and how often."""
    settings = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(FOLDER / name) for name in settings["rule_files"]]
    del settings["alerting"]
    (scrape,) = settings["scrape_configs"]
    del scrape["dns_sd_configs"]
    scrape["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (port,) = free(1)
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    began = time.time()
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            found = Prometheus(f"http://127.0.0.1:{port}", began)
            wait_until(lambda: found.is_there() or process.poll() is not None, START_SECONDS)
            assert process.poll() is None, (folder / "prometheus.log").read_text("utf-8")
            yield found
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)
