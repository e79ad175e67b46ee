"""The tree as the architecture tests read it: modules with their imports, and documents."""

import ast
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Module:
    """``name`` is dotted; ``room`` is the part below ``worker``: a package, or a module of the top level."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        return room_of(self.name)

    @property
    def lines(self) -> int:
        return len(self.path.read_text("utf-8").splitlines())

    def imports(self) -> Iterator[str]:
        """Full names of what is imported anywhere in the module, also where a function does it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                if (
                    origin == "worker"
                ):  # `from worker import bootstrap` names a module, `from worker import __version__` not
                    yield from (f"worker.{alias.name}".removesuffix(".__version__") for alias in node.names)
                else:
                    yield origin

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        return ".".join([*above, *([node.module] if node.module else [])])


def room_of(name: str) -> str:
    """``worker.kafka.source`` and ``worker.kafka`` are in the room ``kafka``; the package itself in ``""``."""
    return name.partition(".")[2].partition(".")[0]


@functools.cache
def modules(folder: str = "worker") -> tuple[Module, ...]:
    """All Python modules below a folder of the checkout, in order of their paths."""
    paths = sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)
    return tuple(Module(_name(path), path, ast.parse(path.read_text("utf-8"), str(path))) for path in paths)


def documents() -> list[Path]:
    """All Markdown files that people read."""
    found = [
        *ROOT.glob("*.md"),
        *(p for top in ("docs", "k8s", "examples", "bench", "observability") for p in (ROOT / top).rglob("*.md")),
    ]
    return sorted(found)


def text_files() -> Iterator[Path]:
    """Every text file of the project."""
    suffixes = {".py", ".md", ".toml", ".yaml", ".yml", ".avsc", ".txt", ".jars", ""}
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name == ".ci" or not name.startswith((".", "__"))]
        found = [Path(folder, name) for name in names if name != ".git" and not name.startswith(".cov")]
        yield from (path for path in found if path.suffix in suffixes)


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
