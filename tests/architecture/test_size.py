"""One concept a file, in functions that fit on a screen."""

import ast

import pytest

from tests.architecture.source import ROOT, Module, modules

MAX_MODULE_LINES = 300
MAX_BODY_LINES = 60

every_module = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)


@every_module
def test_modules_are_small(module: Module) -> None:
    """No module is longer than 300 lines."""
    assert module.lines <= MAX_MODULE_LINES


@every_module
def test_functions_are_short(module: Module) -> None:
    """No function's body is longer than 60 lines, its signature and docstring aside."""
    functions = (node for node in ast.walk(module.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    assert {function.name: lines for function in functions if (lines := body_lines(function)) > MAX_BODY_LINES} == {}


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_module_hides_behind_a_package() -> None:
    """A module and a package never have the same name; Python would silently take the package."""
    assert [path for path in (ROOT / "worker").rglob("*.py") if path.with_suffix("").is_dir()] == []
