"""Our own outputs read back, whether they name their schema by its fingerprint or by the id that a registry has for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from worker.avro.any_record import KnownSchemas, Unreadable
from worker.avro.framing import CONFLUENT_BYTES, CONFLUENT_MARKER, Schema, UnknownSchema
from worker.avro.schema import SchemaRefused
from worker.registry.http import RegistryHttp
from worker.registry.schemas import RegistrySchemas
from worker.settings import Registry


class OutputReader:
    """Of schemas that come with the program; ``now`` in seconds. What it was told of an id it keeps."""

    def __init__(self, texts: Iterable[str], registry: Registry, now: Callable[[], float]) -> None:
        """Raises ConfigurationError for certificates and secrets that can't be read."""
        self._known = KnownSchemas(texts)
        self._by_id = RegistrySchemas(_nobody, RegistryHttp(registry).get, now) if registry.url else None

    def read(self, value: bytes | None) -> dict[str, Any]:
        """Fields by dotted name.

        Raises Unreadable, also for what somebody else wrote, and SchemaUnavailable where the registry does not answer.
        """
        if value is None or self._by_id is None or len(value) < CONFLUENT_BYTES or value[:1] != CONFLUENT_MARKER:
            return self._known.read(value or b"")
        try:
            named = self._by_id(int.from_bytes(value[1:CONFLUENT_BYTES], "big", signed=True))
        except (UnknownSchema, SchemaRefused) as why:
            raise Unreadable(str(why)) from None
        schema = self._known.by(named.fingerprint)
        if schema is None:
            raise Unreadable("no known schema is named")
        return schema.read(value[CONFLUENT_BYTES:])


def _nobody(_: int | bytes) -> Schema:
    raise UnknownSchema("only ids are asked for")
