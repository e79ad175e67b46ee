"""The tutorial, done word for word in an empty folder, on the development broker that it starts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.architecture.source import ROOT
from worker.broker.apache import ApacheKafka
from worker.broker.ports import free

PAGE = (ROOT / "docs/tutorial.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LIMIT_SECONDS = 240


def done(folder: Path) -> tuple[int, str]:
    """The exit code of all blocks as one script that ends at the first failure, and what was printed."""
    broker, telemetry = free(2)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TMPDIR": str(folder),
        # The page has the usual ports, which may be in use here.
        "WORKER_BROKER_PORT": str(broker),
        "WORKER_KAFKA__BOOTSTRAP": f"127.0.0.1:{broker}",
        "WORKER_TELEMETRY__PORT": str(telemetry),
    }
    with (folder / "tutorial.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-euxo", "pipefail", "-c", "\n".join(BLOCKS)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(LIMIT_SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
    logs = [path.read_text("utf-8", "replace") for path in (folder / "tutorial.log", *folder.glob("pumps/*.log"))]
    return code, "\n".join(logs)


def test_the_tutorial(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    """Every command of docs/tutorial.md works as it stands, from `init` to a drift alert, and leaves nothing running."""
    code, text = done(tmp_path)
    assert code == 0, text
    assert "4 passed" in text
    assert "4,800 readings were sent to pumps" in text
    assert re.search(r"^temperature_c\tdistribution\t.*\tyes\t", text, re.MULTILINE), text
    assert re.search(r"\topen\t\w+\ttemperature_c\t", text), text
    assert "<h1>Drift of pumps 1.0.0</h1>" in (tmp_path / "pumps" / "drift.html").read_text("utf-8")
    assert "Apache Kafka has been stopped." in text
    assert "Traceback" not in text
