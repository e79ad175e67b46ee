"""The checks of the campaign themselves: a sound run passes, and every kind of fault in one that is not is named."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fastavro
import numpy as np
import pytest

from bench.events import STANDARD
from bench.models import Model, pack_model
from tests.chaos.checker import GroupOffsets
from tests.chaos.reading import HEADER_BYTES, PREDICTION, Outputs
from tests.fuzz.damage import FAMILIES
from tests.fuzz.memory import MOST_GROWTH_MB, Sample, growth_mb
from tests.fuzz.mixture import PARTITIONS, SOUND, Mixture, make_mixture
from tests.fuzz.verdict import NO_REASON, OTHER_BITS, judged
from worker.records import Record

FRAME = b"\xc3\x01" + bytes(HEADER_BYTES - 2)
SLICE = 4_000


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    bundle = tmp_path_factory.mktemp("fuzz") / "bundle"
    pack_model(STANDARD, Model.LOGISTIC, bundle)
    return make_mixture(3_000, seed=3, bundle=bundle)


@dataclass(slots=True)
class Run:
    """What a worker might have left behind; predictions as their fields, so that a test can spoil them."""

    mixture: Mixture
    predictions: list[tuple[Record, dict[str, Any]]] = field(default_factory=list)
    letters: list[Record] = field(default_factory=list)

    def wrong(self) -> tuple[str, ...]:
        stream = self.mixture.stream
        ends = {p: int((stream.partition == p).sum()) for p in range(PARTITIONS)}
        predictions = [dataclasses.replace(record, value=FRAME + _written(body)) for record, body in self.predictions]
        return judged(self.mixture, Outputs(predictions, self.letters, []), GroupOffsets(ends)).wrong


@pytest.fixture
def sound(mixture: Mixture) -> Run:
    run, stream = Run(mixture), mixture.stream
    for row in np.lexsort((stream.offset, stream.partition)).tolist():
        partition, offset = int(stream.partition[row]), int(stream.offset[row])
        record = Record("out", partition, 0, 0, stream.key[row], stream.value[row])
        if stream.reason[row]:
            run.letters.append(dataclasses.replace(record, headers=_headers(partition, offset, stream.reason[row])))
        else:
            score = float(stream.score[row])
            run.predictions.append((record, _prediction(stream.event_id[row], score, partition, offset)))
    return run


def _headers(partition: int, offset: int, stage: str) -> tuple[tuple[str, bytes], ...]:
    place = (("__dlq.errors.partition", b"%d" % partition), ("__dlq.errors.offset", b"%d" % offset))
    return (*place, ("__dlq.errors.message", b"said"), ("stage", stage.encode()), ("reason", b"malformed"))


def _prediction(event_id: str, score: float, partition: int, offset: int) -> dict[str, Any]:
    place = {"source_partition": partition, "source_offset": offset}
    model = {"model_name": "m", "model_version": "1", "model_digest": "0"}
    return {"event_id": event_id, "event_time": 0, **model, "label": "1", "score": score, "probabilities": [], **place}


def _written(body: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, PREDICTION, body)
    return stream.getvalue()


def _scores_rolled(run: Run) -> None:
    scores = [body["score"] for _, body in run.predictions]
    for (_, body), score in zip(run.predictions, scores[1:] + scores[:1], strict=True):
        body["score"] = score


def _values_rolled(run: Run) -> None:
    bodies = [body for _, body in run.predictions]
    run.predictions = [(r, b) for (r, _), b in zip(run.predictions, bodies[1:] + bodies[:1], strict=True)]


def _one_bit_of_a_score(run: Run) -> None:
    body = run.predictions[5][1]
    body["score"] = float(np.nextafter(body["score"], 1))


def _a_letter_dropped(run: Run) -> None:
    del run.letters[7]


def _a_prediction_dropped(run: Run) -> None:
    del run.predictions[7]


def _a_prediction_doubled(run: Run) -> None:
    run.predictions.insert(7, run.predictions[7])


def _a_letter_cut(run: Run) -> None:
    row = next(i for i, letter in enumerate(run.letters) if letter.value)
    run.letters[row] = dataclasses.replace(run.letters[row], value=(run.letters[row].value or b"")[:-1])


def _a_null_letter_emptied(run: Run) -> None:
    row = next(i for i, letter in enumerate(run.letters) if letter.value is None)
    run.letters[row] = dataclasses.replace(run.letters[row], value=b"")


def _a_null_key_emptied(run: Run) -> None:
    row = next(i for i, letter in enumerate(run.letters) if letter.key is None)
    run.letters[row] = dataclasses.replace(run.letters[row], key=b"")


def _a_stage_exchanged(run: Run) -> None:
    letter = run.letters[3]
    other = b"validate" if dict(letter.headers)["stage"] != b"validate" else b"framing"
    headers = tuple((name, other if name == "stage" else value) for name, value in letter.headers)
    run.letters[3] = dataclasses.replace(letter, headers=headers)


def _a_reason_made_up(run: Run) -> None:
    headers = tuple((name, b"bad" if name == "reason" else value) for name, value in run.letters[3].headers)
    run.letters[3] = dataclasses.replace(run.letters[3], headers=headers)


def _a_mutant_accepted(run: Run) -> None:
    letter = run.letters.pop(0)
    offset = int(dict(letter.headers)["__dlq.errors.offset"] or b"")
    at = sum(body["source_partition"] == 0 and body["source_offset"] < offset for _, body in run.predictions)
    run.predictions.insert(at, (letter, _prediction("event", 0.5, letter.partition, offset)))


def _a_sound_event_refused(run: Run) -> None:
    record, body = run.predictions.pop(0)
    headers = _headers(record.partition, body["source_offset"], "decode")
    run.letters.insert(0, dataclasses.replace(record, headers=headers))


SPOILED: list[tuple[Callable[[Run], None], str]] = [
    (_scores_rolled, "wrong prediction"),
    (_values_rolled, "wrong key"),
    (_one_bit_of_a_score, OTHER_BITS),
    (_a_letter_dropped, "lost"),
    (_a_prediction_dropped, "lost"),
    (_a_prediction_doubled, "duplicate"),
    (_a_letter_cut, "wrong dead letter"),
    (_a_null_letter_emptied, "wrong dead letter"),
    (_a_null_key_emptied, "wrong key"),
    (_a_stage_exchanged, "wrong dead letter"),
    (_a_reason_made_up, NO_REASON),
    (_a_mutant_accepted, "wrong dead letter"),
    (_a_sound_event_refused, "wrong dead letter"),
]


def test_a_sound_run_passes(sound: Run) -> None:
    """Where every record has come to what it must, nothing is found."""
    assert sound.wrong() == ()


@pytest.mark.parametrize(("spoil", "fault"), SPOILED, ids=lambda value: getattr(value, "__name__", ""))
def test_every_fault_is_named(sound: Run, spoil: Callable[[Run], None], fault: str) -> None:
    """A run with one thing wrong is told by that fault's name."""
    spoil(sound)
    assert any(line.startswith(f"{fault}: ") for line in sound.wrong()), sound.wrong()


def test_what_decoding_may_refuse_is_no_fault_either_way(sound: Run) -> None:
    """A record that is written otherwise than fastavro would may be refused by decoding, and by nothing else."""
    mixture, stream = sound.mixture, sound.mixture.stream
    row = int(np.flatnonzero(mixture.or_decode & (stream.reason == ""))[0])
    place = (int(stream.partition[row]), int(stream.offset[row]))
    record = next(r for r, b in sound.predictions if (b["source_partition"], b["source_offset"]) == place)
    sound.predictions = [(r, b) for r, b in sound.predictions if r is not record]
    at = sum(_place(letter) < place for letter in sound.letters)
    sound.letters.insert(at, dataclasses.replace(record, headers=_headers(*place, "decode")))
    assert sound.wrong() == ()
    sound.letters[at] = dataclasses.replace(record, headers=_headers(*place, "validate"))
    assert any(line.startswith("wrong dead letter: ") for line in sound.wrong())


def _place(letter: Record) -> tuple[int, int]:
    return letter.partition, int(dict(letter.headers)["__dlq.errors.offset"] or b"")


def test_the_mixture_is_what_it_says(mixture: Mixture) -> None:
    """More than half is mutated, every family is there, and each stage before the model refuses some; all by seed."""
    assert mixture.mutated == 3_000
    assert len(mixture.stream) == 5_000
    assert set(mixture.family) == {SOUND, *FAMILIES}
    assert set(mixture.stream.reason) == {"", "framing", "decode", "validate"}
    assert set(mixture.stream.reason[mixture.family == SOUND]) == {""}
    assert np.isfinite(mixture.stream.score[mixture.stream.reason == ""]).all()
    assert 0 < mixture.or_decode.sum() < 0.01 * len(mixture.stream)


def _resident(leaked_bytes: float) -> list[Sample]:
    """A warm-up, noise of 2 MB, and so much kept of every record."""
    noise = np.random.default_rng(4).random(40) * 2
    rise = [200 + min(k, 6) * 3 + leaked_bytes * k * SLICE / 2**20 for k in range(40)]
    return [Sample(k * SLICE, mb) for k, mb in enumerate((noise + rise).tolist())]


def test_growth_is_found() -> None:
    """Forty bytes kept of each of 160,000 records are growth; a warm-up and noise are none."""
    assert growth_mb(_resident(0)) < MOST_GROWTH_MB / 2
    assert growth_mb(_resident(40)) > MOST_GROWTH_MB
