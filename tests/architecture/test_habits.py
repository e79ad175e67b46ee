"""Habits that keep tests honest and the project portable."""

import ast
import re

import pytest

from tests.architecture.source import ROOT, Module, modules, text_files

# How those wait for a broker or a process: for a condition, never for a time alone.
WAITING = "tests.support.waiting"
TIMED = ("tests.integration", "tests.chaos", "tests.observability", "tests.deploy", WAITING)
MACHINE_PATH = re.compile(r"/(?:work|root|home/\w+|Users/\w+)/")
LEFT_OVER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
# Tests that start processes and brokers of their own have something to wait for.
OUTSIDE = [module for module in modules("tests") if not module.name.startswith(TIMED)]


@pytest.mark.parametrize("module", OUTSIDE, ids=lambda module: module.name)
def test_no_mocks_and_no_sleeps(module: Module) -> None:
    """Outside integration and chaos, no test imports a mocking library or sleeps."""
    assert [name for name in module.imports() if "mock" in name.split(".")] == []
    calls = [node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    names = [f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in calls]
    assert "sleep" not in names
    assert WAITING not in module.imports()


@pytest.mark.parametrize("module", modules("tests"), ids=lambda module: module.name)
def test_every_test_states_its_promise(module: Module) -> None:
    """Each test has a docstring, the promise that it holds."""
    tests = [n for n in ast.walk(module.tree) if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
    assert [test.name for test in tests if not ast.get_docstring(test)] == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    """No file names a path that exists on one machine only, and none says that something is left to do."""
    found = {}
    for path in text_files():
        text = path.read_text("utf-8")
        if marks := [*MACHINE_PATH.findall(text), *LEFT_OVER.findall(text)]:
            found[str(path.relative_to(ROOT))] = marks
    assert found == {}
