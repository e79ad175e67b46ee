"""``python -m tests.fuzz.worker --records 100000``: mutated records through the whole worker, as a process on a Kafka.

Mutated records and sound ones stand mixed in one topic, which is fed in slices: the next when the last is answered.
The worker must not end before it is told to, every record must become what the oracle says of it (and nothing else, to
no other record), and memory must not grow. All follows from the seed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.events import STANDARD
from bench.models import Model, pack_model
from tests.chaos.campaign import GRACE_SECONDS, to_toml
from tests.chaos.checker import GroupOffsets
from tests.chaos.fleet import PLAIN, READY, ChildProcess, Fleet
from tests.chaos.reading import CommittedOffsets, read_outputs
from tests.chaos.stream import StreamProducer
from tests.fuzz.answers import Answers
from tests.fuzz.damage import EVENT_ID, OTHER_ID
from tests.fuzz.memory import MOST_GROWTH_MB, Sample, growth_mb, resident_mb, thirds_mb
from tests.fuzz.mixture import PARTITIONS, Mixture, make_mixture
from tests.fuzz.verdict import Finding, judged
from tests.support.brokers import any_kafka
from tests.support.kafka import make_topic
from worker.broker.topics import create_topics
from worker.errors import ExitCode

SLICES = 40
STALLED_SECONDS = 30.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a campaign has found; ``wrong`` is empty when all is as promised."""

    mixture: Mixture
    finding: Finding
    samples: Sequence[Sample]
    seconds: float
    wrong: tuple[str, ...]

    def text(self) -> str:
        verdict = self.finding.verdict
        faults = f"{len(self.wrong) or 'no'} fault{'s' if len(self.wrong) != 1 else ''}"
        return (
            f"{self.mixture.mutated:,} mutated records among {len(self.mixture.stream):,}: "
            f"{verdict.predictions:,} predictions ({self.finding.accepted_mutants:,} of mutated ones), "
            f"{verdict.dead_letters:,} dead letters, {self.seconds:.0f} s; {self._memory()}; {faults}"
        )

    def _memory(self) -> str:
        if len(self.samples) < SLICES:
            return "memory not judged"
        middle, last = thirds_mb(self.samples)
        grown = f"growth {growth_mb(self.samples):+.2f} MB (at most {MOST_GROWTH_MB:g})"
        return f"resident {middle:.1f} MB in the middle, {last:.1f} MB at the end, {grown}"


@dataclass(slots=True)
class Ground:
    """A topic with its outputs, and the settings of a worker on it; dead-letter limits are off."""

    bootstrap: str
    topic: str
    config: Path

    @classmethod
    def made(cls, bootstrap: str, folder: Path, bundle: Path) -> Ground:
        topic = make_topic(bootstrap, partitions=PARTITIONS, name_prefix="fuzz")
        create_topics(bootstrap, {f"{topic}.predictions": PARTITIONS, f"{topic}.dlq": PARTITIONS})
        (folder / "event.avsc").write_text(STANDARD.schema, "utf-8")
        (folder / "other.avsc").write_text(STANDARD.schema.replace('"Event23"', '"Another"'), "utf-8")
        (folder / "ids.toml").write_text(f'[ids]\n{EVENT_ID} = "event.avsc"\n{OTHER_ID} = "other.avsc"\n', "utf-8")
        settings: dict[str, dict[str, Any]] = {
            "kafka": {"bootstrap": bootstrap, "group": topic},
            "topics": {"input": topic},
            "event": {"schema": "event.avsc", "id": "id", "time": "at", "tombstones": "dead-letter"},
            "model": {"bundle": str(bundle)},
            "dead_letters": {"max_ratio": 1, "max_consecutive": 0},
            "delivery": {"grace_seconds": GRACE_SECONDS},
            "telemetry": {"port": 0},
        }
        config = folder / "worker.toml"
        config.write_text(to_toml(settings), "utf-8")
        return cls(bootstrap, topic, config)


def run(
    bootstrap: str,
    folder: Path,
    records: int,
    seed: int,
    say: Say,
    *,
    module: tuple[str, ...] = PLAIN,
    arguments: tuple[str, ...] = (),
) -> Report:
    """Feed ``records`` mutated ones, and as many sound ones as belong to them, to one worker: ``module``'s."""
    began = time.monotonic()
    bundle = folder / "bundle"
    pack_model(STANDARD, Model.LOGISTIC, bundle)
    mixture = make_mixture(records, seed=seed, bundle=bundle)
    ground = Ground.made(bootstrap, folder, bundle)
    stream = mixture.stream
    say(f"{len(stream):,} records, {mixture.mutated:,} of them mutated, seed {seed}")
    producer = StreamProducer(bootstrap, ground.topic, stream)
    offsets = CommittedOffsets(bootstrap, ground.topic, ground.topic, PARTITIONS)
    with Fleet(ground.config) as fleet, offsets, Answers(bootstrap, ground.topic, PARTITIONS) as answers:
        worker = fleet.start(*arguments, module=module)
        samples = _fed(producer, answers, worker, -(-len(stream) // SLICES), say)
        ended = [] if worker.running else [f"the worker has ended, exit status {worker.exit_status}"]
        producer.append(len(stream))
        if not ended and fleet.stop(GRACE_SECONDS) != [ExitCode.OK]:
            ended.append(f"the worker did not stop in order, exit status {worker.exit_status}")
        if ended:
            ended.append(worker.last_words())
        group = GroupOffsets(offsets.now(), offsets.samples)
    finding = judged(mixture, read_outputs(bootstrap, ground.topic, stream), group)
    wrong = (*ended, *finding.wrong, *_restarts(worker), *_growth(samples))
    return Report(mixture, finding, samples, time.monotonic() - began, wrong)


def _fed(producer: StreamProducer, answers: Answers, worker: ChildProcess, portion: int, say: Say) -> list[Sample]:
    """Slice by slice, until all is fed or the worker answers no more: what is missing then is for the checker to say."""
    samples: list[Sample] = []
    for number in range(SLICES):
        producer.append(portion)
        if not answers.reach(producer.produced, lambda: worker.running, STALLED_SECONDS):
            say(f"{answers.count:,} of {producer.produced:,} answered, then nothing")
            break
        samples.append(Sample(answers.count, resident_mb(worker.pid)))
        if (number + 1) % (SLICES // 8) == 0:
            say(f"{answers.count:,} answered, {samples[-1].resident_mb:.1f} MB resident")
    return samples


def _restarts(worker: ChildProcess) -> list[str]:
    """It says once that it is ready: one that had started again would have said it again."""
    starts = worker.text().count(READY)
    return [] if starts == 1 else [f"the worker has started {starts} times"]


def _growth(samples: Sequence[Sample]) -> list[str]:
    if len(samples) < SLICES:
        return [f"memory was seen for {len(samples)} of {SLICES} slices only"]
    grown = growth_mb(samples)
    return [] if grown <= MOST_GROWTH_MB else [f"memory has grown by {grown:.1f} MB"]


def say_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000, help="mutated ones")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, any_kafka() as kafka:
        report = run(kafka.bootstrap, Path(folder), arguments.records, arguments.seed, say_line)
    for line in report.wrong:
        say_line(f"seed {arguments.seed}: {line}")
    say_line(report.text())
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
