"""Families 18, 20, 25, 37 and 40 once more, of arrays that are features."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.component.bad_input.bed import (
    Bed,
    Good,
    Outcome,
    Schema,
    Size,
    body_schema,
    confluent,
    double,
    record_of,
    score_of,
    varint,
    verdicts,
)
from tests.component.bad_input.conftest import MakeBed
from worker.avro.schema import parse_schema
from worker.models import pack
from worker.testing import DeadLetterOf, PredictionOf

N = double(5)
MALFORMED = "decode/malformed"
FIXED = {"minItems": 3, "maxItems": 3}


def array_of(kind: str) -> dict[str, str]:
    return {"type": "array", "items": kind}


def vector(items: Sequence[float], encode: Callable[[Any], bytes] = double) -> bytes:
    """As one block, which is how Avro's libraries write a short array."""
    return (varint(len(items)) + b"".join(map(encode, items)) if items else b"") + varint(0)


def details(found: Sequence[Outcome]) -> list[str]:
    assert all(isinstance(item, DeadLetterOf) and item.field == "x" for item in found)
    return [item.detail for item in found if isinstance(item, DeadLetterOf)]


def judged(on: Bed, size: Size, bodies: Sequence[bytes]) -> list[Outcome]:
    """Of records beside vectors of three, whose scores must stay what they are."""
    return on.among(Good(on.framed(vector([1, 2, 3]) + N), 11), [on.framed(body + N) for body in bodies], size)


def test_lengths(bed: MakeBed, size: Size) -> None:
    """40: a vector of another length is a dead letter of its field, and says which bound it breaks."""
    bodies = [vector([0.5] * length) for length in (0, 1, 2, 4, 5, 300)]
    found = judged(bed(body_schema(array_of("double"), **FIXED)), size, bodies)
    assert verdicts(found) == ["validate/too_short"] * 3 + ["validate/too_long"] * 3
    assert set(details(found)) == {"x: has fewer items than minItems 3", "x: has more items than maxItems 3"}


@pytest.mark.parametrize("kind", ["int", "long", "float", "double"])
def test_ragged(bed: MakeBed, size: Size, kind: str) -> None:
    """18: where a field allows several lengths, every record keeps its own items, and its own score."""
    encode = {"float": lambda number: struct.pack("<f", number), "double": double}.get(kind, varint)
    on = bed(body_schema(array_of(kind)))
    vectors: list[list[float]] = [[], [7], [1, -2, 3, 40], [2] * 33, [-1] * 300]
    good = Good(on.framed(vector([1, 2, 3], encode) + N), 11)
    found = on.among(good, [on.framed(vector(items, encode) + N) for items in vectors], size)
    expected = [score_of(sum(items) + 5) for items in vectors]
    assert [item.score for item in found if isinstance(item, PredictionOf)] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_items_that_are_not_finite(bed: MakeBed, size: Size, bad: float, place: int) -> None:
    """25: one NaN or infinity among the items makes a dead letter, unless the field says allowNaN."""
    items = [1.0, 2.0, 3.0]
    items[place] = bad
    found = judged(bed(body_schema(array_of("double"), **FIXED)), size, [vector(items)])
    assert verdicts(found) == ["validate/not_finite"]
    assert details(found) == ["x: has an item that is NaN or infinite"]
    allowed = bed(body_schema(array_of("double"), **FIXED, allowNaN=True))
    assert verdicts(judged(allowed, size, [vector(items)])) == ["predicted"]


@pytest.mark.parametrize(
    ("rule", "items", "refused"),
    [
        ({"minimum": 0}, [1, -0.5, 1], ("below_minimum", "x: has an item that is below minimum 0")),
        ({"exclusiveMinimum": 0}, [0, 1, 1], ("below_minimum", "x: has an item that is not above exclusiveMinimum 0")),
        ({"maximum": 9}, [1, 1, 9.5], ("above_maximum", "x: has an item that is above maximum 9")),
        ({"exclusiveMaximum": 9}, [1, 9, 1], ("above_maximum", "x: has an item that is not below exclusiveMaximum 9")),
        ({"enum": [1, 2, 3]}, [1, 2, 4], ("not_in_enum", "x: has an item that is not in enum")),
    ],
)
def test_items(bed: MakeBed, size: Size, rule: dict[str, Any], items: list[float], refused: tuple[str, str]) -> None:
    """40: a number's rules hold for each item, and the dead letter names the rule."""
    found = judged(bed(body_schema(array_of("double"), **rule)), size, [vector(items)])
    assert (verdicts(found), details(found)) == ([f"validate/{refused[0]}"], [refused[1]])


def test_all_at_once(bed: MakeBed, size: Size) -> None:
    """18, 25, 40: in one batch each record is judged by its own items, wherever its neighbours' end."""
    on = bed(body_schema(array_of("double"), minItems=1, maxItems=4, minimum=-100))
    bodies = [vector([1] * 9), vector([math.nan]), vector([]), vector([1, 2, -101, 4]), vector([4, 3, 2, 1])]
    expected = ["too_long", "not_finite", "too_short", "below_minimum"]
    assert verdicts(judged(on, size, bodies)) == [*(f"validate/{reason}" for reason in expected), "predicted"]
    assert verdicts(judged(on, size, bodies[::-1])) == ["predicted", *(f"validate/{r}" for r in reversed(expected))]


def test_blocks(bed: MakeBed, size: Size) -> None:
    """20: several blocks and blocks that state their size make the same vector; a wrong size is a dead letter."""
    one, two = double(4), double(5) + double(6)
    right = [
        varint(1) + one + varint(2) + two + varint(0),
        varint(-3) + varint(24) + one + two + varint(0),
        varint(-1) + varint(8) + one + varint(2) + two + varint(0),
    ]
    wrong = [varint(-3) + varint(stated) + one + two + varint(0) for stated in (0, 23, 25, -1, 2**40, -(2**63))]
    on = bed(body_schema(array_of("double"), **FIXED))
    found = judged(on, size, [*right, varint(2) + two + right[0], *wrong])
    assert verdicts(found) == ["predicted"] * 3 + ["validate/too_long"] + [MALFORMED] * len(wrong)
    assert {item.score for item in found if isinstance(item, PredictionOf)} == {score_of(20)}


def test_cut_off(bed: MakeBed, size: Size) -> None:
    """18: a vector that is cut off anywhere is a dead letter."""
    on = bed(body_schema(array_of("double"), **FIXED))
    whole = vector([1, 2, 3]) + N
    bad = [on.framed(whole[:length]) for length in range(len(whole))]
    found = verdicts(on.among(Good(on.framed(whole), 11), bad, size))
    assert found == [MALFORMED] * len(bad)


def test_every_bit_flip(bed: MakeBed, size: Size) -> None:
    """9: a vector with any single bit flipped is a dead letter, or three items within the declared range."""
    rules = {**FIXED, "minimum": 0, "maximum": 9}
    on = bed(record_of({"name": "x", "type": array_of("double"), **rules}))
    whole = vector([1, 2, 3])
    bits = int.from_bytes(whole, "little")
    flipped = [(bits ^ (1 << bit)).to_bytes(len(whole), "little") for bit in range(8 * len(whole))]
    found = on.among(Good(on.framed(whole), 6), [on.framed(body) for body in flipped], size)
    predicted = {i: item.score for i, item in enumerate(found) if isinstance(item, PredictionOf)}
    assert 0 < len(predicted) < len(flipped)
    for i, score in predicted.items():
        items = struct.unpack("<3d", flipped[i][1:-1])
        assert all(0 <= item <= 9 for item in items)
        assert score == pytest.approx(score_of(sum(items)), abs=1e-12)


@pytest.mark.parametrize(
    ("policy", "expected"), [({}, "validate/null_not_allowed"), ({"nullPolicy": "nan"}, "predicted")]
)
def test_null(bed: MakeBed, size: Size, policy: dict[str, str], expected: str) -> None:
    """37: a null vector is refused, or reaches the model as NaN where the field says so."""
    on = bed(body_schema(["null", array_of("double")], **FIXED, **policy))
    good = Good(on.framed(varint(1) + vector([1, 2, 3]) + N), 11)
    assert verdicts(on.among(good, [on.framed(varint(0) + N)], size)) == [expected]


def test_writers_of_other_arrays(bed: MakeBed, size: Size) -> None:
    """29, 30: items are promoted, a missing vector has its default; what is no array of such numbers is refused."""
    reader = record_of({"name": "x", "type": array_of("double"), "default": [1, 2], **FIXED}, ("n", "double"))
    writers = {
        1: record_of(("x", array_of("int")), ("n", "double")),
        2: record_of(("n", "double")),
        3: record_of(("x", "double"), ("n", "double")),
        4: record_of(("x", array_of("string")), ("n", "double")),
    }
    on = bed(reader, writers=writers)
    bad = [vector([1, 2, 3], varint), b"", double(1), vector([1], lambda _: b"\x02a")]
    good = Good(on.framed(vector([1, 2, 3]) + N), 11)
    found = on.among(good, [confluent(i, body + N) for i, body in enumerate(bad, 1)], size)
    assert verdicts(found) == ["predicted", "validate/too_short", *["decode/schema_refused"] * 2]


def embedding_model(folder: Path, schema: Schema) -> tuple[Path, LogisticRegression]:
    """A bundle on a vector of three and a number, and the model in it."""
    rows = np.random.default_rng(0).normal(size=(200, 4))
    wanted = (rows @ [1, -2, 3, 1] > 0).astype(int)
    model = LogisticRegression().fit(rows, wanted)
    pack(
        model,
        to=folder / "m",
        name="m",
        version="1.0.0",
        schema=parse_schema(json.dumps(schema)),
        features=["x[0]", "x[1]", "x[2]", "n"],
        X_test=rows[:50],
        y_test=wanted[:50],
    )
    return folder / "m", model


def test_the_model_decides_the_length(tmp_path: Path, size: Size) -> None:
    """40: where the schema leaves the length open, a vector that is not the model's is a dead letter, not the model's fault."""
    schema = record_of(("x", array_of("double")), ("n", "double"))
    bundle, model = embedding_model(tmp_path, schema)
    on = Bed(tmp_path, schema, bundle=bundle)
    good = Good(on.framed(vector([1, 2, 3]) + N), 0)
    others = [on.framed(vector([1.0] * length) + N) for length in (0, 2, 4)]
    refused = on.among(good, others, size)
    assert verdicts(refused) == ["validate/too_short"] * 2 + ["validate/too_long"]
    assert set(details(refused)) == {"x: has fewer items than the model's 3", "x: has more items than the model's 3"}
    found = on.run([good.value, others[0], on.framed(vector([3, 2, 1]) + N)]).predictions
    expected = model.predict_proba([[1, 2, 3, 5], [3, 2, 1, 5]])[:, 1]
    assert [item.score for item in found] == pytest.approx(expected.tolist(), abs=1e-9)
