from __future__ import annotations

import contextlib
import csv
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import fastavro
import joblib
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from tests.unit.models.trained import NAMES, SCHEMA, TEST, TRAIN, Trap, boosting, logistic, outcome, packed, rewrite
from worker.cli.model import app
from worker.errors import ConfigurationError, ExitCode, ModelError, WorkerError
from worker.models import open_bundle


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """A folder with a schema, test rows and two trained models, entered."""
    (tmp_path / "applicant.avsc").write_text(SCHEMA.text)
    joblib.dump(logistic(), tmp_path / "model.joblib")
    table = pd.DataFrame(TRAIN.astype(int), columns=list(NAMES))
    (tmp_path / "named.pkl").write_bytes(pickle.dumps(boosting().fit(table, outcome(TRAIN))))
    with (tmp_path / "test.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*NAMES, "name", "paid"])
        for row, paid in zip(TEST.tolist(), outcome(TEST).tolist(), strict=True):
            out.writerow([int(row[0]), int(row[1]), row[2], row[3], "someone", paid])
    with contextlib.chdir(tmp_path):
        yield tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def pack(*arguments: str, model: str = "model.joblib", data: str = "test.csv", features: bool = True) -> Result:
    named = ["--features", ",".join(NAMES)] if features else []
    fixed = ["--to", "models/loans", "--name", "loans", "--version", "1.0.0", "--schema", "applicant.avsc"]
    return run("pack", model, *fixed, "--test-data", data, "--target", "paid", *named, *arguments)


def error(result: Result) -> WorkerError:
    assert isinstance(result.exception, WorkerError), result.output
    return result.exception


def test_pack_prints_metrics_and_the_digest_to_pin(work: Path) -> None:
    """A packed model's metrics stand beside their minima, and the digest can be copied into the settings."""
    result = pack("--min", "accuracy=0.9", "--min", "recall=0.8")
    assert result.exit_code == 0, result.output
    assert re.search(r"accuracy\W+0\.\d+\W+0\.9", result.output)
    digest = re.search(r'digest = "([0-9a-f]{64})"', result.output)
    assert digest is not None
    assert open_bundle(work / "models" / "loans", digest=digest[1]).warnings == ()


@pytest.mark.usefixtures("work")
def test_pack_refuses_a_model_below_its_minimum() -> None:
    """A missed minimum is the model's fault, exit code 4."""
    refused = error(pack("--min", "accuracy=1.01"))
    assert refused.exit_code == ExitCode.MODEL
    assert "the minimum is 1.01" in refused.message


@pytest.mark.usefixtures("work")
def test_pack_takes_names_from_the_model_and_a_plain_pickle() -> None:
    """A model fitted on a data frame needs no list of features."""
    result = pack(model="named.pkl", features=False)
    assert result.exit_code == 0, result.output
    assert "warning" not in result.output.lower()


def test_pack_from_avro(work: Path) -> None:
    """Test rows may come as an Avro container file; nulls in it reach the model as NaN."""
    kinds = {"age": "int", "credit_score": "int", "income": "double"}
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    fields += [{"name": "debt_ratio", "type": ["null", "double"]}, {"name": "paid", "type": "boolean"}]  # type: ignore[dict-item]  # a union is a list
    rows = [
        {
            "age": int(r[0]),
            "credit_score": int(r[1]),
            "income": r[2],
            "debt_ratio": r[3] if i else None,
            "paid": bool(y),
        }
        for i, (r, y) in enumerate(zip(TEST.tolist(), outcome(TEST).tolist(), strict=True))
    ]
    with (work / "test.avro").open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema({"type": "record", "name": "T", "fields": fields}), rows)
    result = pack(model="named.pkl", data="test.avro", features=False)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("--min", "accuracy"), "METRIC=VALUE"),
        (("--version", "one"), "version"),
        (("--test-data", "nothing.csv"), "can't be read"),
        (("--target", "nothing"), "no column nothing"),
        (("--features", "age,credit_score,income,nothing"), "nothing is no field"),
        (("--features", "age,credit_score,income,name"), "fails on the test rows"),
        (("--schema", "test.csv"), "not valid JSON"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("work")
def test_pack_says_what_does_not_fit(change: tuple[str, str], says: str) -> None:
    """Arguments that don't fit are named, with exit code 2 or 3, and nothing is written."""
    result = pack(*change)
    if isinstance(result.exception, SystemExit):
        assert result.exit_code == ExitCode.USAGE
        assert says in result.output
    else:
        assert says in error(result).message
    assert not Path("models/loans").exists()


@pytest.mark.parametrize(("cell", "says"), [("many", "age is not of kind int"), ("1.5", "not of kind int")])
def test_pack_names_the_row_that_can_not_be_read(cell: str, says: str, work: Path) -> None:
    """A cell of the wrong kind is named by row and column, never by value."""
    (work / "bad.csv").write_text(f"{','.join(NAMES)},paid\n{cell},700,10,0.5,1\n")
    refused = error(pack(data="bad.csv"))
    assert says in refused.message
    assert "row 1" in refused.message
    assert cell not in refused.message


def test_check_says_yes(work: Path) -> None:
    """A bundle that its schema feeds gets one line that says so."""
    packed(work / "m")
    result = run("check", "m", "--schema", "applicant.avsc", "--digest", open_bundle(work / "m").digest)
    assert result.exit_code == 0, result.output
    assert result.output.count("\n") == 1
    assert "bank.Applicant feeds all of its 4 features" in result.output


def test_check_warns_of_an_unpinned_bundle(work: Path) -> None:
    """Without a digest the check passes, with a warning."""
    packed(work / "m")
    assert "warning: the bundle is not pinned" in run("check", "m", "--schema", "applicant.avsc").output


def test_check_names_every_field_that_does_not_feed(work: Path) -> None:
    """A schema that does not feed the model is a matter of configuration, exit code 3."""
    packed(work / "m")
    (work / "other.avsc").write_text(SCHEMA.text.replace('"age"', '"years"').replace('"income"', '"salary"'))
    refused = error(run("check", "m", "--schema", "other.avsc"))
    assert isinstance(refused, ConfigurationError)
    assert len(refused.problems) == 2


def test_check_refuses_another_bundle(work: Path) -> None:
    """A bundle that is not the pinned one is the model's fault, exit code 4."""
    packed(work / "m")
    refused = error(run("check", "m", "--schema", "applicant.avsc", "--digest", "0" * 64))
    assert isinstance(refused, ModelError)


@pytest.mark.parametrize("as_json", [False, True])
def test_show_does_not_unpickle(as_json: bool, work: Path) -> None:
    """Showing a bundle never runs what is in its pickle."""
    packed(work / "m", thresholds={"accuracy": 0.5})
    digest = rewrite(work / "m", model_bytes=pickle.dumps(Trap(work / "mark")))
    result = run("show", "m", *(["--json"] if as_json else []))
    assert result.exit_code == 0, result.output
    assert not (work / "mark").exists()
    if as_json:
        assert json.loads(result.output)["name"] == "loans"
    else:
        for word in (digest, "credit_score", "accuracy", "model.joblib", "scikit-learn"):
            assert word in result.output


def test_pack_with_a_profile(work: Path) -> None:
    """Training rows from a file make a profile; pack and show say what it is of."""
    with (work / "training.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*NAMES, "at"])
        for number, row in enumerate(TRAIN.tolist()):
            out.writerow([int(row[0]), int(row[1]), row[2], row[3], f"2013-01-01T{number // 150:02}:10:00Z"])
    result = pack("--profile-data", "training.csv", "--time-column", "at", "--window", "3600")
    assert result.exit_code == 0, result.output
    shown = run("show", "models/loans").output
    for text in (result.output, shown):
        assert re.search(r"windows in training\W+4\b", text)
        assert re.search(r"training rows\W+600\b", text)
    assert "reference_profile.json" in shown
    without_times = pack("--profile-data", "training.csv", "--replace")
    assert "taken to be independent" in " ".join(re.sub(r"[^\w ]", " ", without_times.output).split())
