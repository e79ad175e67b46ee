"""Format and start Apache Kafka; ``KAFKA_NODE_ID`` becomes ``node.id``, as in the official image."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

FOLDER = Path("/var/lib/kafka")
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
JAVA = [
    "/opt/java/bin/java", "-cp", "/opt/kafka/libs/*", "-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
]  # fmt: skip
NOT_SETTINGS = {"KAFKA_HEAP_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_OPTS"}


def main() -> None:
    settings = {"log.dirs": f"{FOLDER}/data"}
    for name, value in os.environ.items():
        if name.startswith("KAFKA_") and name not in NOT_SETTINGS:
            settings[name.removeprefix("KAFKA_").lower().replace("_", ".")] = value
    file = FOLDER / "server.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), "utf-8")
    storage = [*JAVA, "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", CLUSTER_ID, "-c", str(file)]
    subprocess.run(storage, check=True)
    os.execv(JAVA[0], [*JAVA, "kafka.Kafka", str(file)])


if __name__ == "__main__":
    main()
