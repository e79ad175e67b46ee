"""Writer schema against reader schema, resolved once: a tree of steps in the order in which the bytes were written.

By name and alias, with defaults, promotions and enum defaults, as Avro's specification has it. Names of records, enums
and fixed are compared without their namespace. Every field of the reader is a *slot*; a step reads one writer's value
into a slot, or reads and drops it: what the reader does not want is checked as strictly as what it wants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.avro.bounds import SchemaRefused
from worker.avro.nodes import MISSING, Array, Enum, Fixed, Map, Member, Node, Primitive, Record, Scalar, Union, plain
from worker.avro.slots import Slot, constant, slot_of


@dataclass(frozen=True, slots=True)
class Read:
    """One scalar, into ``slot`` or dropped. ``symbols[i]`` is the reader's index of the writer's symbol i, or -1."""

    wire: Scalar
    field: str
    slot: Slot | None
    symbols: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadNull:
    field: str
    slot: Slot | None


@dataclass(frozen=True, slots=True)
class Choice:
    """A union: the index says which branch follows."""

    field: str
    branches: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """An array (or a map, whose keys come before each value), into a vector slot or dropped."""

    field: str
    item: Step
    is_map: bool
    slot: Slot | None = None


@dataclass(frozen=True, slots=True)
class Inline:
    """A record: its fields one after the other."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A branch that the reader does not take: a record that carries it is refused."""

    field: str
    why: str


Step = Read | ReadNull | Choice | Items | Inline | Mismatch


def flat(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps in their order, records within the record dissolved into theirs."""
    for step in steps:
        if isinstance(step, Inline):
            yield from flat(step.steps)
        else:
            yield step


@dataclass(frozen=True, slots=True)
class Program:
    """How the writer's bytes become the reader's slots. ``constants`` holds slots that no byte fills: defaults."""

    root: Inline
    slots: tuple[Slot, ...]
    constants: Mapping[int, Any]


class WrongRecordType(SchemaRefused):
    """The writer writes another record: resolution would make plausible nonsense of it."""


def resolve(writer: Record, reader: Record) -> Program:
    """Raises WrongRecordType, or SchemaRefused when the reader can read nothing that this writer writes."""
    if not _same_name(writer, reader):
        raise WrongRecordType(f"written as {writer.name}, expected {reader.name}")
    resolver = _Resolver()
    resolver.declare(reader, "")
    root = resolver.record(writer, reader, "")
    return Program(root, tuple(resolver.slots.values()), resolver.constants)


@dataclass(slots=True)
class _Resolver:
    slots: dict[str, Slot] = field(default_factory=dict)
    constants: dict[int, Any] = field(default_factory=dict)

    def declare(self, record: Record, prefix: str) -> None:
        """Number the reader's leaves, in the order of its schema."""
        for member in record.members:
            path = prefix + member.name
            if isinstance(member.type, Record):
                self.declare(member.type, f"{path}.")
            else:
                self.slots[path] = slot_of(len(self.slots), path, member.type)

    def record(self, writer: Record, reader: Record, prefix: str) -> Inline:
        steps: list[Step] = []
        wanted = _matches(writer.members, reader.members)
        for member in writer.members:
            target = wanted.get(member.name)
            if target is None:
                steps.append(skip(member.type, prefix + member.name))
                continue
            step = self.step(member.type, target.type, prefix + target.name)
            if isinstance(step, Mismatch):
                raise SchemaRefused(f"field {step.field}: {step.why}")
            steps.append(step)
        taken = {id(target) for target in wanted.values()}
        for target in reader.members:
            if id(target) not in taken:
                self.default(target.type, target.default, prefix + target.name)
        return Inline(tuple(steps))

    def default(self, reader: Node, value: Any, path: str) -> None:
        """Fill the slots of a reader's field that the writer lacks."""
        if value is MISSING:
            raise SchemaRefused(f"field {path}: the writer lacks it and it has no default")
        if not isinstance(reader, Record):
            slot = self.slots[path]
            self.constants[slot.index] = constant(slot, value)
            return
        if not isinstance(value, dict):
            raise SchemaRefused(f"field {path}: its default does not fit its type")
        for member in reader.members:
            self.default(member.type, value.get(member.name, member.default), f"{path}.{member.name}")

    def step(self, writer: Node, reader: Node, path: str) -> Step:
        if isinstance(writer, Union):
            branches = tuple(self.step(branch, reader, path) for branch in writer.branches)
            mismatches = [branch for branch in branches if isinstance(branch, Mismatch)]
            return mismatches[0] if len(mismatches) == len(branches) else Choice(path, branches)
        if isinstance(reader, Union):
            return self._into_union(writer, reader, path)
        if isinstance(reader, Record) and isinstance(writer, Record) and _same_name(writer, reader):
            return self.record(writer, reader, f"{path}.")
        if isinstance(reader, Array) and isinstance(writer, Array):
            item = self._scalar(writer.items, reader.items, path)
            return item if isinstance(item, Mismatch) else Items(path, item, is_map=False, slot=self.slots[path])
        return self._scalar(writer, reader, path)

    def _into_union(self, writer: Node, reader: Union, path: str) -> Step:
        """The reader's nullable types: null, or the one other type."""
        null = Primitive("null")
        if writer == null and null in reader.branches:
            return ReadNull(path, self.slots[path])
        return self.step(writer, next(branch for branch in reader.branches if branch != null), path)

    def _scalar(self, writer: Node, reader: Node, path: str) -> Step:
        mismatch = Mismatch(path, f"{_word(writer)} where the reader has {_word(reader)}")
        if (slot := self.slots.get(path)) is None:
            return mismatch
        if isinstance(writer, Union):
            branches = tuple(self._scalar(branch, reader, path) for branch in writer.branches)
            return mismatch if all(isinstance(b, Mismatch) for b in branches) else Choice(path, branches)
        if isinstance(writer, Enum) and isinstance(reader, Enum) and _same_name(writer, reader):
            return Read(writer, path, slot, _symbols(writer, reader))
        if isinstance(writer, Fixed) and isinstance(reader, Fixed):
            fits = writer.size == reader.size and _same_name(writer, reader) and _same_logical(writer, reader)
            return Read(writer, path, slot) if fits else mismatch
        if isinstance(writer, Primitive) and isinstance(reader, Primitive) and writer.kind != "null":
            fits = reader.kind in _PROMOTIONS[writer.kind] and _same_logical(writer, reader)
            return Read(writer, path, slot) if fits else mismatch
        return mismatch


_PROMOTIONS: Mapping[str, frozenset[str]] = {
    "boolean": frozenset({"boolean"}),
    "int": frozenset({"int", "long", "float", "double"}),
    "long": frozenset({"long", "float", "double"}),
    "float": frozenset({"float", "double"}),
    "double": frozenset({"double"}),
    "string": frozenset({"string", "bytes"}),
    "bytes": frozenset({"string", "bytes"}),
}


def skip(node: Node, path: str) -> Step:
    """Steps that read a value of the writer and drop it."""
    if isinstance(node, Union):
        return Choice(path, tuple(skip(branch, path) for branch in node.branches))
    if isinstance(node, Record):
        return Inline(tuple(skip(member.type, f"{path}.{member.name}") for member in node.members))
    if isinstance(node, Array):
        return Items(path, skip(node.items, path), is_map=False)
    if isinstance(node, Map):
        return Items(path, skip(node.values, path), is_map=True)
    return ReadNull(path, None) if node == Primitive("null") else Read(node, path, None)


def _matches(writer: Iterable[Member], reader: Iterable[Member]) -> dict[str, Member]:
    """Which writer's field feeds which of the reader's: by its name first, then by its aliases in their order."""
    names = {member.name for member in writer}
    found: dict[str, Member] = {}
    claimed = {member.name for member in reader if member.name in names}
    for member in reader:
        candidates = [member.name] if member.name in names else [a for a in member.aliases if a in names - claimed]
        if candidates:
            found[candidates[0]] = member
            claimed.add(candidates[0])
    return found


def _same_name(writer: Record | Enum | Fixed, reader: Record | Enum | Fixed) -> bool:
    return plain(writer.name) in {plain(name) for name in (reader.name, *reader.aliases)}


def _same_logical(writer: Primitive | Fixed, reader: Primitive | Fixed) -> bool:
    """Two logical types of one field must be the same: nobody can tell microseconds from milliseconds by the bytes."""
    return writer.logical is None or reader.logical is None or writer.logical == reader.logical


def _symbols(writer: Enum, reader: Enum) -> tuple[int, ...]:
    index = {symbol: i for i, symbol in enumerate(reader.symbols)}
    otherwise = -1 if reader.default is None else index[reader.default]
    return tuple(index.get(symbol, otherwise) for symbol in writer.symbols)


def _word(node: Node) -> str:
    if isinstance(node, Primitive):
        return f"{node.kind} ({node.logical.name})" if node.logical else node.kind
    name = getattr(node, "name", "")
    return f"{type(node).__name__.lower()} {name}".strip()
