"""A registry on a real socket, for each test its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.registry import RegistryServer, registry_server


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    with registry_server() as server:
        yield server
