"""What is changed in an unpickled model before it serves: one thread, and no names to compare on every call."""

from __future__ import annotations

import threading
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

_LEAVES = (str, bytes, int, float, complex, np.ndarray, np.generic, type, types.ModuleType, type(None))


def parts_of(model: Any) -> Iterator[Any]:
    """Every object that a model is made of, itself first.

    ``get_params(deep=True)`` sees only what was passed in; the estimators fitted inside an ensemble or a calibrator
    are found through attributes.
    """
    pending, seen = [model], set[int]()
    while pending:
        part = pending.pop()
        if isinstance(part, _LEAVES) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            pending.extend(part.values())
        elif isinstance(part, (list, tuple, set)):
            pending.extend(part)
        elif not callable(part) or not isinstance(part, (types.FunctionType, types.BuiltinFunctionType)):
            pending.extend(getattr(part, "__dict__", {}).values())


def use_one_job(model: Any) -> None:
    """Set ``n_jobs`` to 1 throughout: a worker scales by processes, and summing in threads costs the same bits.

    (Measured: a random forest regressor with ``n_jobs=-1`` differs from itself on a fifth of the rows.)
    """
    for part in parts_of(model):
        if "n_jobs" in getattr(part, "__dict__", {}):
            part.n_jobs = 1


def forget_column_names(model: Any) -> None:
    """Let a model that was fitted on a data frame take a matrix without a warning on every call.

    The manifest binds columns by name instead, once.
    """
    for part in parts_of(model):
        getattr(part, "__dict__", {}).pop("feature_names_in_", None)


class OneThread:
    """Limits BLAS and OpenMP to one thread, once for each thread that predicts.

    OpenMP keeps its limit per calling thread, and setting it anew around every call costs 30 µs to 3 ms; the unlimited
    way costs more (measured: gradient boosting 462 ms against 14 for 5,000 rows, on two busy cores).
    """

    def __init__(self) -> None:
        self._local = threading.local()

    def hold(self) -> None:
        if not getattr(self._local, "held", False):
            self.renew()

    def renew(self) -> None:
        """Again, for the libraries that were loaded since."""
        threadpool_limits(limits=1)
        self._local.held = True
