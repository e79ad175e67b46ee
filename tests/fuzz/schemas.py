"""Random writer schemas, and reader schemas that resolve against them, as raw JSON."""

from __future__ import annotations

from random import Random
from typing import Any

NUMBERS = ("int", "long", "float", "double")
LOGICAL = (
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "string", "logicalType": "uuid"},
    {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3},
    {"type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 25},
)
PROMOTED = {
    "int": ("int", "long", "float", "double"),
    "long": ("long", "float", "double"),
    "float": ("float", "double"),
    "double": ("double",),
    "string": ("string", "bytes"),
    "bytes": ("bytes", "string"),
    "boolean": ("boolean",),
}


class SchemaMaker:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._names = 0

    def writer(self) -> dict[str, Any]:
        return self._record("Event", self._random.randint(1, 8), depth=0)

    def reader(self, writer: dict[str, Any]) -> dict[str, Any]:
        """Of what can be columns: some of it, promoted, renamed, reordered, and something new."""
        fields = self._read_fields(writer)
        if self._random.random() < 0.4:
            fields.append({"name": "added", "type": ["null", "double"], "default": None})
        if self._random.random() < 0.3:
            fields.append({"name": "new_text", "type": "string", "default": "é"})
        self._random.shuffle(fields)
        return {**writer, "fields": fields}

    def _name(self, word: str) -> str:
        self._names += 1
        return f"{word}{self._names}"

    def _record(self, name: str, count: int, depth: int) -> dict[str, Any]:
        fields = [{"name": f"f{i}", "type": self._type(depth + 1)} for i in range(count)]
        return {"type": "record", "name": name, "fields": fields}

    def _type(self, depth: int) -> Any:
        pick = self._random.random()
        if pick < 0.62:
            return self._scalar()
        if pick < 0.82:
            pair = ["null", self._scalar()]
            return pair if self._random.random() < 0.7 else pair[::-1]
        if depth > 3:
            return "double"
        if pick < 0.88:
            return self._union(depth)
        if pick < 0.94:
            return self._container(depth)
        return self._record(self._name("R"), self._random.randint(1, 3), depth)

    def _union(self, depth: int) -> list[Any]:
        branches: list[Any] = [*self._random.sample(["null", "boolean", *NUMBERS, "string", "bytes"], 3)]
        if self._random.random() < 0.5:
            branches.append(self._container(depth + 1))
        if self._random.random() < 0.5:
            branches.append(self._record(self._name("R"), self._random.randint(1, 2), depth + 1))
        return branches

    def _container(self, depth: int) -> dict[str, Any]:
        if self._random.random() < 0.5:
            return {"type": "array", "items": self._random.choice(NUMBERS)}
        item = self._type(depth + 1)
        item = "int" if isinstance(item, dict) and item.get("size") == 0 else item
        if self._random.random() < 0.5:
            return {"type": "array", "items": item}
        return {"type": "map", "values": item}

    def _scalar(self) -> Any:
        pick = self._random.random()
        if pick < 0.7:
            return self._random.choice(("boolean", *NUMBERS, "double", "string", "string", "bytes"))
        if pick < 0.8:
            count = self._random.randint(1, 4)
            return {"type": "enum", "name": self._name("E"), "symbols": ["A", "BB", "CCC", "Dé"][:count]}
        if pick < 0.86:
            return {"type": "fixed", "name": self._name("F"), "size": self._random.choice((1, 4, 16, 70))}
        if pick < 0.9:
            decimal = {"logicalType": "decimal", "precision": 6, "scale": 2}
            return {"type": "fixed", "name": self._name("F"), "size": self._random.choice((3, 8, 10)), **decimal}
        return dict(self._random.choice(LOGICAL))

    def _read_fields(self, record: dict[str, Any]) -> list[dict[str, Any]]:
        fields: list[dict[str, Any]] = []
        for field in record["fields"]:
            wanted = self._read_type(field["type"]) if self._random.random() < 0.85 else None
            if wanted is None:
                continue
            if self._random.random() < 0.15:
                fields.append({"name": f"{field['name']}_renamed", "aliases": [field["name"]], "type": wanted})
            else:
                fields.append({"name": field["name"], "type": wanted})
        return fields

    def _read_type(self, declared: Any) -> Any:
        """A type that can be a column and takes (some of) what this one writes; None: it can't."""
        if isinstance(declared, list):
            return self._read_union(declared)
        if isinstance(declared, dict) and declared["type"] == "record":
            inner = self._read_fields(declared)
            return {**declared, "fields": inner} if inner else None
        if isinstance(declared, dict) and declared["type"] == "array":
            items = declared["items"]
            return {"type": "array", "items": self._promoted(items)} if items in NUMBERS else None
        if isinstance(declared, dict) and declared["type"] == "map":
            return None
        scalar = self._promoted(declared)
        return ["null", scalar] if self._random.random() < 0.15 else scalar

    def _read_union(self, branches: list[Any]) -> Any:
        others = [branch for branch in branches if branch != "null"]
        kept = self._random.choice(others)
        if isinstance(kept, dict) and kept["type"] in ("record", "map"):
            return self._read_type(kept)
        is_array = isinstance(kept, dict) and kept["type"] == "array"
        inner = self._read_type(kept) if is_array else self._promoted(kept)
        return inner if inner is None or self._random.random() < 0.3 else ["null", inner]

    def _promoted(self, scalar: Any) -> Any:
        if isinstance(scalar, str):
            return self._random.choice(PROMOTED[scalar])
        if scalar["type"] == "enum" and self._random.random() < 0.4:
            symbols = [*scalar["symbols"][1:], "Z"]
            return {**scalar, "symbols": symbols} | ({"default": "Z"} if self._random.random() < 0.5 else {})
        return scalar
