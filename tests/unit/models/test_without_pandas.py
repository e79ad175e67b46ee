"""A worker that serves a matrix does not load pandas; one that serves data frames does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.unit.models import trained
from tests.unit.models.trained import TRAIN, frame, outcome, packed
from worker.models.without_pandas import without_pandas

# Serves the bundle, then says whether pandas was loaded; and whether it could be, afterwards.
SERVE = """
import sys
from pathlib import Path
from worker.models import BundlePredictor, open_bundle
predictor = BundlePredictor(open_bundle(Path(sys.argv[1])))
predictor.check_golden()
assert predictor.is_sound()
loaded = "pandas" in sys.modules
import pandas
print(loaded)
"""


def loads_pandas(bundle: Path) -> bool:
    """In a process of its own, since this one has pandas."""
    done = subprocess.run([sys.executable, "-c", SERVE, str(bundle)], capture_output=True, text=True, check=True)
    return done.stdout == "True\n"


def test_matrix(tmp_path: Path) -> None:
    """Of a pipeline whose every step is known, neither import nor golden rows load pandas."""
    steps = (SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=500))
    packed(tmp_path / "m", make_pipeline(*steps).fit(TRAIN, outcome(TRAIN)))
    assert not loads_pandas(tmp_path / "m")


def test_data_frame(tmp_path: Path) -> None:
    """A model of data frames finds pandas, and predicts what it did when it was packed."""
    packed(tmp_path / "m", trained.by_name(), X_test=frame(300, seed=1), features=None)
    assert loads_pandas(tmp_path / "m")


class Framing(LogisticRegression):  # type: ignore[misc]  # scikit-learn is untyped
    """Makes a data frame of the matrix by itself."""

    def predict_proba(self, rows: object) -> object:
        return super().predict_proba(__import__("pandas").DataFrame(rows).to_numpy())


def test_a_step_that_wants_pandas(tmp_path: Path) -> None:
    """A model with a part of its own may import pandas whenever it likes, whatever it is handed."""
    packed(tmp_path / "m", Framing(max_iter=500).fit(TRAIN, outcome(TRAIN)))
    assert loads_pandas(tmp_path / "m")


def test_pandas_that_is_there_stays() -> None:
    """Where pandas is loaded already, it is left alone."""
    with without_pandas():
        assert sys.modules["pandas"] is pd
