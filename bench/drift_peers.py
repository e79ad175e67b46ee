"""``python -m bench.drift_peers``: Evidently, NannyML and river on the streams of ``bench.drift``, with their defaults.

Needs an environment of its own with ``numpy scipy pandas<3`` and what ``--peers`` names; the worker's needs none of them.
The same training period, windows and closing of episodes as there. river's detectors see record after record of the
numeric features, beginning with the last windows of the training period; a window in which one fires has drifted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
import warnings
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import pandas as pd

from bench.drift_judges import Applied, Opened, Rule
from bench.drift_streams import (
    BLOCKS,
    FEATURES,
    KINDS,
    NUMERIC,
    SHIFT_FROM,
    SHIFTED,
    SHIFTS,
    WINDOW_RECORDS,
    Kind,
    Stream,
)
from worker.columns import NumberColumn

WARM_WINDOWS, CHUNK = 5, 20
NUMERIC_NAMES = [f"feature_{i}" for i in range(NUMERIC)]


class Peer(Protocol):
    def fit(self, reference: pd.DataFrame) -> None: ...

    def drifted(self, windows: pd.DataFrame) -> Iterator[set[str]]:
        """Of each of the windows, the features that have."""
        ...


class Evidently:
    def __init__(self) -> None:
        self._library = importlib.import_module("evidently")
        self._preset = importlib.import_module("evidently.presets").DataDriftPreset()

    def fit(self, reference: pd.DataFrame) -> None:
        self._reference = self._library.Dataset.from_pandas(reference)
        self._report = self._library.Report([self._preset])

    def drifted(self, windows: pd.DataFrame) -> Iterator[set[str]]:
        for _, window in _each(windows):
            run = self._report.run(self._library.Dataset.from_pandas(window), self._reference)
            found = set()
            for metric in run.dict()["metrics"]:
                if "column" in metric.get("config", {}):
                    method, limit = metric["config"]["method"], metric["config"]["threshold"]
                    value = float(metric["value"])
                    if value < limit if "p_value" in method else value >= limit:
                        found.add(metric["config"]["column"])
            yield found


class NannyML:
    def __init__(self) -> None:
        self._library = importlib.import_module("nannyml")

    def fit(self, reference: pd.DataFrame) -> None:
        self._names = list(reference.columns)
        self._calculator = self._library.UnivariateDriftCalculator(column_names=self._names, chunk_size=WINDOW_RECORDS)
        self._calculator.fit(reference)

    def drifted(self, windows: pd.DataFrame) -> Iterator[set[str]]:
        found = self._calculator.calculate(windows).filter(period="analysis").to_df()
        for i in range(len(found)):
            yield {name for name in self._names if bool(found[name]["jensen_shannon"]["alert"].iloc[i])}


class River:
    """One detector a numeric feature."""

    def __init__(self, name: str, **options: Any) -> None:
        detector = getattr(importlib.import_module("river.drift"), name)
        self._detectors = {feature: detector(**options) for feature in NUMERIC_NAMES}

    def fit(self, reference: pd.DataFrame) -> None:
        for _ in self.drifted(reference.iloc[-WARM_WINDOWS * WINDOW_RECORDS :]):
            pass

    def drifted(self, windows: pd.DataFrame) -> Iterator[set[str]]:
        for _, window in _each(windows):
            yield {name for name, detector in self._detectors.items() if _fires(detector, window[name])}


def _fires(detector: Any, values: pd.Series[float]) -> bool:
    fired = False
    for value in values.dropna().tolist():
        detector.update(value)
        fired |= detector.drift_detected
    return fired


def _each(windows: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    for first in range(0, len(windows), WINDOW_RECORDS):
        yield first // WINDOW_RECORDS, windows.iloc[first : first + WINDOW_RECORDS]


PEERS: dict[str, Any] = {
    "Evidently": Evidently,
    "NannyML": NannyML,
    "river ADWIN": lambda: River("ADWIN"),
    "river KSWIN": lambda: River("KSWIN", seed=1),
}


def frame(stream: Stream, windows: int, shift: float = 0.0) -> pd.DataFrame:
    columns, _ = stream.windows(windows, shift)
    held: dict[str, Any] = {}
    for name, column in columns.by_name.items():
        if isinstance(column, NumberColumn):
            held[name] = pd.Series(np.where(False if column.null is None else column.null, np.nan, column.values))
        else:
            held[name] = pd.Categorical(column.objects())
    return pd.DataFrame(held)


def episodes(peer: Peer, stream: Stream, windows: int, shift_from: int = 0, shift: float = 0.0) -> Opened:
    """Of one stream; a shift begins with window ``shift_from``."""
    peer.fit(frame(stream, BLOCKS))
    applied, window = Applied(Rule("peer", "psi", 0.5)), 0
    while window < windows:
        shifted = window >= shift_from
        count = min(CHUNK, (windows if shifted else shift_from) - window)
        for found in peer.drifted(frame(stream, count, shift if shifted else 0.0)):
            for name in [f"feature_{i}" for i in range(FEATURES)]:
                applied.take(window, name, float(name in found))
            window += 1
    return applied.opened


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.drift_peers", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--windows", type=int, default=200, help="without drift, a stream")
    parser.add_argument("--before", type=int, default=SHIFT_FROM, help="windows before a shift")
    parser.add_argument("--watched", type=int, default=60, help="windows after a shift; 0: no shifts")
    parser.add_argument("--seed", type=int, default=1_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ |= {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}
    for name in options.peers:
        for kind in KINDS:
            print(f"{name}, {kind.title}: {_told(name, kind, options)}", flush=True)


def _told(name: str, kind: Kind, options: argparse.Namespace) -> str:
    begun = time.perf_counter()
    found = episodes(PEERS[name](), Stream(kind, options.seed, WINDOW_RECORDS), options.windows)
    told = [f"{1_000 * len(found) / options.windows:,.0f} episodes in 1,000 windows"]
    for shift in SHIFTS if options.watched else ():
        stream = Stream(kind, options.seed, WINDOW_RECORDS)
        opened = episodes(PEERS[name](), stream, options.before + options.watched, options.before, shift)
        delays = [at - options.before + 1 for at, feature in opened if feature == SHIFTED and at >= options.before]
        told.append(f"shift {shift}: {min(delays, default='never')}")
    return f"{'; '.join(told)} ({time.perf_counter() - begun:.0f} s)"


if __name__ == "__main__":
    main()
