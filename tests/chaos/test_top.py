"""``top`` outlives the broker that it looks at."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.integration.test_top import Screen, settings_text
from worker.broker.apache import ApacheKafka
from worker.broker.topics import create_topics


def test_a_broker_that_goes_away(tmp_path: Path, chaos_long: bool) -> None:
    """A broker that is away is said to be, and once it is back the picture is one of that moment again."""
    if not chaos_long:
        pytest.skip("a broker of its own, and half a minute: with --chaos-long")
    with ApacheKafka() as kafka:
        create_topics(kafka.bootstrap, {"loans": 2})
        (tmp_path / "worker.toml").write_text(settings_text(kafka.bootstrap, "loans"), "utf-8")
        with contextlib.closing(Screen(tmp_path / "worker.toml")) as screen:
            screen.shows("lag 0", never="looking at group")
            kafka.kill()
            screen.seen = ""
            screen.shows("lag 0", "looking at group loans-worker")
            kafka.start()
            screen.seen = ""
            screen.shows("lag 0", never="looking at group")
            assert screen.ends() == 0
