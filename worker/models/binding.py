"""Features meet fields: by name, at start-up, with every difference named at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from worker.avro.schema import Field, Kind, RecordSchema
from worker.errors import ConfigurationError
from worker.models.manifest import Feature, Manifest
from worker.models.vectors import grouped

_NUMBERS = frozenset({Kind.BOOLEAN, Kind.INT, Kind.LONG, Kind.FLOAT, Kind.DOUBLE})
FEEDS: Mapping[Kind, frozenset[Kind]] = {
    Kind.BOOLEAN: frozenset({Kind.BOOLEAN}),
    Kind.INT: frozenset({Kind.BOOLEAN, Kind.INT}),
    Kind.LONG: frozenset({Kind.BOOLEAN, Kind.INT, Kind.LONG}),
    Kind.FLOAT: _NUMBERS,
    Kind.DOUBLE: _NUMBERS,
    Kind.STRING: frozenset({Kind.STRING, Kind.ENUM}),
    Kind.ENUM: frozenset({Kind.ENUM}),
}
"""Which fields may feed a feature: those whose every value the feature could have had in training.

The same of a vector's items.
"""


def bind(manifest: Manifest, schema: RecordSchema) -> tuple[str, ...]:
    """Every reason why records of this schema can't feed this model; empty when they can."""
    return tuple(_problems(manifest.features, schema))


def features_from(schema: RecordSchema, names: Sequence[str]) -> tuple[Feature, ...]:
    """The named fields as features, in this order; an array by its name, or by ``name[0]``, ``name[1]`` and so on.

    Raises ConfigurationError naming every one that can't be.
    """
    problems: list[str] = []
    features: list[Feature] = []
    for name, length in grouped(names):
        field = schema.field(name)
        if field is None:
            problems.append(_missing(name, schema))
            continue
        made = _vector(field, length) if field.kind is Kind.ARRAY or length is not None else _scalar(field)
        if isinstance(made, str):
            problems.append(made)
        else:
            features.append(made)
    if problems:
        raise ConfigurationError(problems, hint="correct the names of the features, or the schema")
    return tuple(features)


def _scalar(field: Field) -> Feature | str:
    if field.kind not in FEEDS:
        return f"field {field.name} is {field.kind}, which can't be a feature"
    return Feature(name=field.name, kind=field.kind)


def _vector(field: Field, length: int | None) -> Feature | str:
    if field.items is None:
        return f"field {field.name} is {field.kind}, no array"
    fewest, most = field.constraints.min_items, field.constraints.max_items
    length = fewest if length is None and fewest == most else length
    if not length:
        return (
            f"field {field.name} is an array of no fixed length: give it minItems and maxItems that are equal, "
            f"or name its columns {field.name}[0], {field.name}[1], …"
        )
    feature = Feature(name=field.name, kind=field.items, length=length)
    return _other_length(feature, field) or feature


def _problems(features: Sequence[Feature], schema: RecordSchema) -> Iterator[str]:
    for feature in features:
        field = schema.field(feature.name)
        if field is None:
            yield _missing(feature.name, schema)
        elif not _feeds(field, feature):
            yield f"feature {feature.name} was trained as {feature.type}, schema {schema.name} has {_type(field)}"
        elif (problem := _other_length(feature, field)) is not None:
            yield problem


def _feeds(field: Field, feature: Feature) -> bool:
    is_alike = (field.items is None) == (feature.length is None)
    return is_alike and (field.items or field.kind) in FEEDS[feature.kind]


def _other_length(feature: Feature, field: Field) -> str | None:
    """Why no record that keeps the field's bounds has the feature's length."""
    length, rules = feature.length, field.constraints
    if length is None:
        return None
    fewest = "" if rules.min_items is None or rules.min_items <= length else f"minItems {rules.min_items}"
    most = "" if rules.max_items is None or rules.max_items >= length else f"maxItems {rules.max_items}"
    return f"feature {feature.name} has {length} items, its field has {fewest or most}" if fewest or most else None


def _type(field: Field) -> str:
    return str(field.kind) if field.items is None else f"array of {field.items}"


def _missing(name: str, schema: RecordSchema) -> str:
    close = difflib.get_close_matches(name, [field.name for field in schema.fields], n=3)
    suggestion = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"feature {name} is no field of schema {schema.name}{suggestion}"
