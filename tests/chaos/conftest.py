"""What the chaos tests share: one model bundle, and campaigns that clean up after themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.campaign import Campaign, open_campaign
from tests.chaos.stream import pack_model
from tests.support.brokers import KafkaUnderTest

OpenCampaign = Callable[..., Campaign]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "chaos"
    pack_model(folder)
    return folder


@pytest.fixture
def campaign(kafka: KafkaUnderTest, bundle: Path, tmp_path: Path) -> Iterator[OpenCampaign]:
    """Opens campaigns, each in a folder of its own; all end with the test."""
    with contextlib.ExitStack() as stack:

        def opened(**options: Any) -> Campaign:
            folder = tmp_path / f"campaign-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return stack.enter_context(open_campaign(kafka.bootstrap, folder, bundle, **options))

        yield opened
