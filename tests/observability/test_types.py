"""The dashboards by Grafana's own types."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.architecture.test_observability import BOARDS
from tests.observability.conftest import Program

pytestmark = [pytest.mark.observability, pytest.mark.timeout(600)]
PACKAGES = ("@grafana/schema@13.2.3", "typescript@5")
# String enumerations are open to their values, as they are in JSON. What Prometheus adds to an annotation is declared by
# its plugin, not there. Everything else is as Grafana declares it.
TYPES = """\
import type { AnnotationQuery, Dashboard, DataQuery } from "@grafana/schema";

type Plain<T> = T extends string ? `${T}`
  : T extends readonly (infer Item)[] ? Plain<Item>[]
  : T extends object ? { [Key in keyof T]: Plain<T[Key]> } : T;
type Mark = Omit<AnnotationQuery, "target"> & {
  target: DataQuery & { expr: string; interval?: string };
  titleFormat: string; tagKeys: string; useValueForTime?: boolean;
};
export type Board = Plain<Omit<Dashboard, "annotations"> & { annotations: { list: Mark[] } }>;
"""


@pytest.fixture(scope="module")
def checked(at_length: None, program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the types in it."""
    folder = tmp_path_factory.mktemp("types")
    command = [program("npm"), "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "board.ts").write_text(TYPES, "utf-8")
    return folder


def complaints(folder: Path, name: str, board: object) -> str:
    # JSON has no number for what holds from minus infinity on.
    text = json.dumps(board).replace('"value": null', '"value": -Infinity')
    source = folder / f"{name}.ts"
    source.write_text(f'import type {{ Board }} from "./board";\nexport const board: Board = {text};\n', "utf-8")
    options = ("--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext")
    done = subprocess.run(
        [str(folder / "node_modules/.bin/tsc"), *options, source.name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", BOARDS)
def test_dashboards_have_the_types_of_grafana(checked: Path, name: str) -> None:
    """TypeScript accepts each dashboard as one of @grafana/schema."""
    assert complaints(checked, name, BOARDS[name]) == ""


def test_types_refuse_what_is_no_dashboard(checked: Path) -> None:
    """A field that there is not, and one of another type, are refused."""
    assert "sections" in complaints(checked, "unknown", {**BOARDS["overview"], "sections": []})
    assert "'number' is not assignable to type 'string'" in complaints(
        checked, "wrong", {**BOARDS["overview"], "refresh": 10}
    )
