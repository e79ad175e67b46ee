"""Features meet fields: by name, at start-up, with every difference named at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from worker.avro.schema import Kind, RecordSchema
from worker.errors import ConfigurationError
from worker.models.manifest import Feature, Manifest

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
"""Which fields may feed a feature: those whose every value the feature could have had in training."""


def bind(manifest: Manifest, schema: RecordSchema) -> tuple[str, ...]:
    """Every reason why records of this schema can't feed this model; empty when they can."""
    return tuple(_problems(manifest.features, schema))


def features_from(schema: RecordSchema, names: Sequence[str]) -> tuple[Feature, ...]:
    """The named fields as features, in this order. Raises ConfigurationError naming every one that can't be."""
    problems: list[str] = []
    features: list[Feature] = []
    for name in names:
        field = schema.field(name)
        if field is None:
            problems.append(_missing(name, schema))
        elif field.kind not in FEEDS:
            problems.append(f"field {name} is {field.kind}, which can't be a feature")
        else:
            features.append(Feature(name=name, kind=field.kind))
    if problems:
        raise ConfigurationError(problems, hint="correct the names of the features, or the schema")
    return tuple(features)


def _problems(features: Sequence[Feature], schema: RecordSchema) -> Iterator[str]:
    for feature in features:
        field = schema.field(feature.name)
        if field is None:
            yield _missing(feature.name, schema)
        elif field.kind not in FEEDS[feature.kind]:
            yield f"feature {feature.name} was trained as {feature.kind}, schema {schema.name} has {field.kind}"


def _missing(name: str, schema: RecordSchema) -> str:
    close = difflib.get_close_matches(name, [field.name for field in schema.fields], n=3)
    suggestion = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"feature {name} is no field of schema {schema.name}{suggestion}"
