"""Family 41: bundles that must not be served. The command ends before it looks for a broker, and unpickles nothing."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.models.trained import SCHEMA, Trap, packed, rewrite
from worker.cli import app
from worker.errors import ConfigurationError, ExitCode, ModelError, WorkerError
from worker.models.contents import read_contents
from worker.models.manifest import MANIFEST


def of_another_scikit_learn(bundle: Path) -> None:
    libraries = read_contents(bundle).manifest.libraries.model_dump(by_alias=True)
    rewrite(bundle, libraries={**libraries, "scikit-learn": "1.0.2"})


def cut_off(bundle: Path) -> None:
    model = bundle / "model.joblib"
    model.write_bytes(model.read_bytes()[:-1])


def one_bit_flipped(bundle: Path) -> None:
    golden = bytearray((bundle / "golden.avro").read_bytes())
    golden[-1] ^= 1
    (bundle / "golden.avro").write_bytes(golden)


def linked_out(bundle: Path) -> None:
    shutil.move(bundle / "model.joblib", bundle.parent / "elsewhere")
    (bundle / "model.joblib").symlink_to(bundle.parent / "elsewhere")


def with_features(*features: dict[str, str | int]) -> Callable[[Path], object]:
    return lambda bundle: rewrite(bundle, features=features)


def error_of(folder: Path, digest: str | None = None) -> WorkerError | None:
    """What ends ``run`` on the bundle ``loans``."""
    (folder / "applicant.avsc").write_text(SCHEMA.text)
    lines = [
        'kafka = { bootstrap = "127.0.0.1:1", group = "g" }',
        'topics = { input = "events" }',
        f"event = {{ schema = {json.dumps(str(folder / 'applicant.avsc'))} }}",
        f"[model]\nbundle = {json.dumps(str(folder / 'loans'))}",
        *([f'digest = "{digest}"'] if digest else []),
    ]
    (folder / "worker.toml").write_text("\n".join(lines))
    result = CliRunner().invoke(app, ["run", "--config", str(folder / "worker.toml")])
    return result.exception if isinstance(result.exception, WorkerError) else None


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Appears when the model of the bundle ``loans`` is unpickled: its digests are right, and it is a trap."""
    packed(tmp_path / "loans")
    rewrite(tmp_path / "loans", model_bytes=pickle.dumps(Trap(tmp_path / "unpickled")))
    return tmp_path / "unpickled"


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda bundle: (bundle / MANIFEST).write_text("{}"), "the manifest of"),
        (lambda bundle: (bundle / "golden.avro").unlink(), "has no golden.avro"),
        (shutil.rmtree, "loans"),
        (cut_off, "model.joblib in bundle"),
        (one_bit_flipped, "golden.avro in bundle"),
        (linked_out, "leaves the bundle"),
        (of_another_scikit_learn, "scikit-learn 1.0.2"),
    ],
    ids=["manifest", "missing", "nothing", "truncated", "bit", "link", "scikit-learn"],
)
def test_damaged(tmp_path: Path, mark: Path, harm: Callable[[Path], object], says: str) -> None:
    """41: a bundle that is not what it says is named and ends the worker, exit code 4."""
    harm(tmp_path / "loans")
    error = error_of(tmp_path)
    assert isinstance(error, ModelError)
    assert (error.exit_code, says in error.message) == (ExitCode.MODEL, True), error.message
    assert not mark.exists()


def test_not_the_pinned_one(tmp_path: Path, mark: Path) -> None:
    """41: nor is a bundle that the settings do not pin, sound as it may be."""
    error = error_of(tmp_path, "0" * 64)
    assert isinstance(error, ModelError)
    assert "not the pinned one" in error.message
    assert not mark.exists()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (with_features({"name": "agee", "kind": "double"}), "feature agee is no field"),
        (with_features({"name": "income", "kind": "long"}), "feature income was trained as long"),
        (with_features({"name": "age", "kind": "int", "length": 3}), "feature age was trained as array of 3 int"),
    ],
    ids=["missing", "retyped", "vector"],
)
def test_features_that_do_not_fit(tmp_path: Path, mark: Path, harm: Callable[[Path], object], says: str) -> None:
    """41: a feature that the schema does not feed is named and ends the worker, exit code 3."""
    harm(tmp_path / "loans")
    error = error_of(tmp_path)
    assert isinstance(error, ConfigurationError)
    assert (error.exit_code, says in error.message) == (ExitCode.CONFIGURATION, True), error.message
    assert not mark.exists()


def test_the_trap_works(tmp_path: Path, mark: Path) -> None:
    """What is intact is unpickled: the tests above can fail."""
    error_of(tmp_path)
    assert mark.exists()
