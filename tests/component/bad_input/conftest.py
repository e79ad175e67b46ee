from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.component.bad_input.bed import SIZES, Bed, Schema, Size

MakeBed = Callable[..., Bed]


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> Size:
    """Of the batch: read record by record, or by columns."""
    chosen: Size = request.param
    return chosen


@pytest.fixture
def bed(tmp_path: Path) -> MakeBed:
    def make(reader: Schema, **more: Any) -> Bed:
        return Bed(tmp_path, reader, **more)

    return make
