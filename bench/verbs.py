"""What can be measured, by name."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Protocol

from bench import bad, curves, latency, soak, throughput
from bench.grounds import Grounds
from bench.screen import Sheet


class Verb(Protocol):
    """A module of this package; ``results`` is what JSON can hold."""

    def add_options(self, parser: argparse.ArgumentParser) -> None: ...

    def measure(self, grounds: Grounds, options: argparse.Namespace) -> dict[str, Any]: ...

    def sheets(self, results: dict[str, Any]) -> list[Sheet]: ...

    def charts(self, results: dict[str, Any]) -> dict[str, str]:
        """SVG text by file name."""
        ...


VERBS: Mapping[str, Verb] = {"throughput": throughput, "latency": latency, "curves": curves, "soak": soak, "bad": bad}
