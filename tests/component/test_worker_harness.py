"""What users test their own models with: the whole worker, in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import worker.testing
from tests.support.drift import added
from worker.avro.schema import parse_schema
from worker.columns import Column, Columns, NumberColumn, TextColumn
from worker.errors import ConfigurationError, DeadLetterLimit, DeliveryAborted, ModelError
from worker.models import TrainingRows, open_bundle, pack, profile_of
from worker.records import Reason, Record, Stage
from worker.settings import DeadLetters, Drift, Event, Kafka, Model, Settings, Topics
from worker.testing import DeadLetterOf, PredictionOf, StubPredictor, WorkerHarness

LOAN = Path(__file__).parent.parent / "fixtures" / "loan.avsc"
GOOD = {"application_id": "a", "age": 30, "credit_score": 700, "income": 5.0, "purpose": "car"}


def test_each_kind_of_record() -> None:
    """A mapping, bytes, a tombstone and a record each become what they become in production."""
    harness = worker.testing.harness(schema=LOAN, predictor=StubPredictor(), event_id="application_id")
    value = harness.run([GOOD]).predictions
    assert value[0].event_id == "a"
    own = Record("events", 0, 0, 5, b"key", b"junk!", (("h", b"1"),))
    result = harness.run([{**GOOD, "age": 17}, b"", None, own, {**GOOD, "application_id": "b"}])
    assert [(d.row, d.stage, d.reason, d.field) for d in result.dead_letters] == [
        (0, Stage.VALIDATE, Reason.BELOW_MINIMUM, "age"),
        (1, Stage.FRAMING, Reason.EMPTY_VALUE, None),
        (3, Stage.FRAMING, Reason.UNKNOWN_FRAMING, None),
    ]
    letter, prediction = result.of(3), result.of(4)
    assert isinstance(letter, DeadLetterOf)
    assert (letter.key, letter.value, letter.headers[0]) == (b"key", b"junk!", ("h", b"1"))
    assert result.of(2) is None
    assert isinstance(prediction, PredictionOf)
    assert prediction.event_id == "b"


def test_schema_text() -> None:
    """The schema may be given as text, and tombstones may be dead letters."""
    harness = worker.testing.harness(schema=LOAN.read_text(), predictor=StubPredictor(), tombstones="dead-letter")
    assert [letter.reason for letter in harness.run([None]).dead_letters] == [Reason.EMPTY_VALUE]


def test_vectors() -> None:
    """An array is given as a list, and judged item by item."""
    fields = '[{"name": "v", "type": {"type": "array", "items": "float"}, "maxItems": 3, "minimum": 0}]'
    schema = f'{{"type": "record", "name": "R", "fields": {fields}}}'
    harness = worker.testing.harness(schema=schema, predictor=StubPredictor())
    result = harness.run([{"v": [1, 2, 3]}, {"v": []}, {"v": [1] * 4}, {"v": [0, -1]}])
    assert [prediction.row for prediction in result.predictions] == [0, 1]
    assert [letter.reason for letter in result.dead_letters] == [Reason.TOO_LONG, Reason.BELOW_MINIMUM]


def packed(to: Path, **options: Any) -> tuple[Any, Any]:
    """A model of two features in a bundle, and the rows that it learnt."""
    random = np.random.default_rng(1)
    features = np.column_stack([random.integers(18, 100, 300), random.integers(300, 850, 300)]).astype(np.float64)
    model = LogisticRegression().fit(features, features[:, 1] > 600)
    pack(
        model, to=to, name="loans", version="1.0.0", X_test=features[:50], y_test=(features[:, 1] > 600)[:50],
        features=["age", "credit_score"], schema=parse_schema(LOAN.read_text()), **options,
    )  # fmt: skip
    return model, features


def loans(features: Any) -> list[dict[str, Any]]:
    return [{**GOOD, "age": int(age), "credit_score": int(score)} for age, score in features]


def test_bundle(tmp_path: Path) -> None:
    """A packed model answers as the model itself does."""
    model, features = packed(tmp_path / "loans")
    harness = worker.testing.harness(schema=LOAN, bundle=tmp_path / "loans", event_id="application_id")
    result = harness.run(loans(features[:20]))
    expected = model.predict_proba(features[:20])[:, 1]
    assert [p.score for p in result.predictions] == pytest.approx(expected.tolist(), abs=1e-9)
    assert {p.model_name for p in result.predictions} == {"loans"}
    assert result.sketches == ()


def test_counting(tmp_path: Path) -> None:
    """Where the bundle has a profile, the very rows that it was made of are counted into the very same bins."""
    _, features = packed(tmp_path / "loans", profile=TrainingRows(profiled_rows()))
    found = profile_of(open_bundle(tmp_path / "loans").files)
    assert found is not None
    profile, digest = found
    harness = worker.testing.harness(schema=LOAN, bundle=tmp_path / "loans")
    result = harness.run([*loans(features), b"junk"])
    assert {sketch.profile_digest for sketch in result.sketches} == {digest}
    assert {(sketch.model_name, sketch.model_version, sketch.lateness_seconds) for sketch in result.sketches} == {
        ("loans", "1.0.0", 360)
    }
    ((records, late, counts),) = added(result.sketches).values()
    assert (records, late) == (len(features), 0)
    assert [counts[place] for place in range(sum(series.bins for series in profile.series))] == [
        count for series in profile.series for count in series.counts
    ]
    assert sum(r.next - r.first for sketch in result.sketches for r in sketch.ranges) == len(features) + 1


def test_counting_by_event_time(tmp_path: Path) -> None:
    """Events count in the windows of their own time, whatever year it is; the broker in memory knows of none."""
    packed(tmp_path / "loans", profile=TrainingRows(profiled_rows()))
    timed = LOAN.read_text().replace('"fields": [', '"fields": [{"name": "at", "type": "long"},')
    harness = worker.testing.harness(schema=timed, bundle=tmp_path / "loans", event_time="at")
    harness.kafka.clock.advance(1)  # from now on records have a Kafka timestamp, of 1970
    times = (1_000_000_800_000, 1_750_000_000_000, 4_000_000_000_000)
    result = harness.run([{**GOOD, "at": time} for time in times])
    windows = {start: (records, late) for (_, start), (records, late, _) in added(result.sketches).items()}
    assert windows == {time // 3_600_000 * 3_600_000: (1, 0) for time in times}


def profiled_rows() -> Columns:
    """With a column that the model does not take."""
    random = np.random.default_rng(1)
    ages, scores = random.integers(18, 100, 300), random.integers(300, 850, 300)
    columns: dict[str, Column] = {"age": NumberColumn(ages), "credit_score": NumberColumn(scores)}
    columns["purpose"] = TextColumn.of(["car"] * 300)
    return Columns(columns, 300)


FOREIGN = profiled_rows().with_column("wealth", NumberColumn(np.arange(300)))


@pytest.mark.parametrize(
    ("profile", "drift", "says"),
    [
        (None, Drift(enabled=True), "the bundle has no reference profile"),
        (TrainingRows(FOREIGN), Drift(), "series wealth is no field"),
    ],
    ids=["none", "of other fields"],
)
def test_profiles_that_are_of_no_use(tmp_path: Path, profile: TrainingRows | None, drift: Drift, says: str) -> None:
    """A profile that was asked for and isn't there, or is of other fields, stops a worker at its start."""
    packed(tmp_path / "loans", profile=profile)
    with pytest.raises(ConfigurationError, match=says) as caught:
        WorkerHarness(deployed(tmp_path / "loans", drift))
    assert caught.value.hint
    assert WorkerHarness(deployed(tmp_path / "loans", Drift(enabled=False))).run([GOOD]).sketches == ()


def deployed(bundle: Path, drift: Drift) -> Settings:
    values = {"schema": LOAN, "framing": "detect"}
    return Settings(
        kafka=Kafka(bootstrap="nowhere", group="g"),
        topics=Topics(input="in"),
        event=Event(**values),  # type: ignore[arg-type]  # one mapping for two types
        model=Model(bundle=bundle),
        drift=drift,
    )


def test_abort() -> None:
    """After an ordered abort the results are there once."""
    harness = worker.testing.harness(schema=LOAN, predictor=StubPredictor())
    harness.kafka.fail_next("commit_transaction", DeliveryAborted("passing"))
    assert len(harness.run([GOOD, GOOD]).predictions) == 2


def test_no_such_call() -> None:
    """A fault can be ordered only for a call that there is."""
    harness = worker.testing.harness(schema=LOAN, predictor=StubPredictor())
    with pytest.raises(ValueError, match="there is no call begin"):
        harness.kafka.fail_next("begin", DeliveryAborted("x"))  # type: ignore[arg-type]  # that is the point


def test_what_no_producer_could_write() -> None:
    """A mapping that the schema can't hold is the test's own fault, and says which."""
    harness = worker.testing.harness(schema=LOAN, predictor=StubPredictor())
    with pytest.raises(ValueError, match="record 1 can't be encoded"):
        harness.run([GOOD, {"age": 3}])


def test_what_stops_a_worker() -> None:
    """Faults that are not a record's are raised."""
    with pytest.raises(ConfigurationError, match="no model"):
        worker.testing.harness(schema=LOAN)
    with pytest.raises(ConfigurationError, match="names nothing"):
        worker.testing.harness(schema=LOAN, predictor=StubPredictor(), event_id="nothing")
    broken = worker.testing.harness(schema=LOAN, predictor=StubPredictor(fails_always=True, sound=False))
    with pytest.raises(ModelError):
        broken.run([GOOD])


def test_settings_of_ones_own() -> None:
    """Made of the settings that are deployed, the limits are in force, too."""
    values = {"schema": LOAN, "framing": "raw"}
    settings = Settings(
        kafka=Kafka(bootstrap="nowhere", group="g"),
        topics=Topics(input="in"),
        event=Event(**values),  # type: ignore[arg-type]  # one mapping for two types
        model=Model(bundle=Path("unused")),
        dead_letters=DeadLetters(max_consecutive=3),
    )
    harness = WorkerHarness(settings, StubPredictor())
    assert len(harness.run([GOOD]).predictions) == 1
    with pytest.raises(DeadLetterLimit):
        harness.run([b"junk"] * 3)
