"""Writer schemas from a registry: each asked for once, and a registry that fails is left alone for a while.

- An id means one schema for ever, so what was found is kept; what the registry does not know is asked for again after
  a minute, since it may be registered by then.
- That a schema is unknown is the record's fault: a dead letter. That it can't be asked for is not (``SchemaUnavailable``):
  the batch is read again later. To tell the two apart, only the registry's own "schema not found" counts as such; any
  proxy, or a path that is wrong, can answer 404.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from worker.avro.framing import GUID_BYTES, Schema, SchemaLookup, UnknownSchema
from worker.avro.gate import WriterSchema, gate_writer
from worker.avro.schema import SchemaRefused
from worker.errors import SchemaUnavailable
from worker.registry.http import Answer

MOST_SCHEMAS = 256
MOST_UNKNOWN = 10_000
UNKNOWN_SECONDS = 60.0
FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 0.5, 30.0
# "Subject", "version" and "schema not found".
NOT_FOUND = frozenset({40401, 40402, 40403})
Key = TypeVar("Key")
Value = TypeVar("Value")


class Breaker:
    """Lets questions through until one fails; then none for a while, twice as long each time. ``now`` in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures = 0
        self._closed_at = 0.0
        self._why = ""

    def __call__(self, ask: Callable[[], Answer]) -> Answer:
        """Raises SchemaUnavailable, with the seconds until the next question may be asked."""
        if self._failures and (left := self._closed_at - self._now()) > 0:
            raise SchemaUnavailable(self._why, retry_seconds=left)
        try:
            answer = ask()
        except SchemaUnavailable as error:
            wait = min(FIRST_BACKOFF_SECONDS * 2**self._failures, MOST_BACKOFF_SECONDS)
            # Beyond this the wait is the longest one anyway.
            self._failures = min(self._failures + 1, 16)
            self._closed_at, self._why = self._now() + wait, f"{error.message}; asked again after {wait:g} s"
            raise SchemaUnavailable(self._why, retry_seconds=wait) from None
        self._failures = 0
        return answer


class RegistrySchemas:
    """Looks writer schemas up: ids and GUIDs in the registry, fingerprints in files. ``get`` asks for a path."""

    def __init__(self, files: SchemaLookup, get: Callable[[str], Answer], now: Callable[[], float]) -> None:
        self._files = files
        self._get = get
        self._now = now
        self._breaker = Breaker(now)
        self._known: OrderedDict[int | bytes, WriterSchema | SchemaRefused] = OrderedDict()
        self._unknown: OrderedDict[int | bytes, float] = OrderedDict()  # until when

    def __call__(self, key: int | bytes) -> Schema:
        """Raises UnknownSchema, SchemaRefused and SchemaUnavailable."""
        if isinstance(key, bytes) and len(key) != GUID_BYTES:
            return self._files(key)
        found = self._known.get(key)
        if found is None:
            found = self._asked(key)
            _keep(self._known, key, found, MOST_SCHEMAS)
        else:
            self._known.move_to_end(key)
        if isinstance(found, SchemaRefused):
            raise SchemaRefused(str(found))
        return found

    def _asked(self, key: int | bytes) -> WriterSchema | SchemaRefused:
        name = f"id {key}" if isinstance(key, int) else f"GUID {uuid.UUID(bytes=key)}"
        unknown = UnknownSchema(f"the registry knows no schema by {name}")
        if (isinstance(key, int) and key < 0) or self._unknown.get(key, float("-inf")) > self._now():
            raise unknown
        path = f"/schemas/ids/{key}" if isinstance(key, int) else f"/schemas/guids/{uuid.UUID(bytes=key)}"
        answer = self._breaker(lambda: self._answer(path))
        if answer.status == HTTPStatus.NOT_FOUND:
            _keep(self._unknown, key, self._now() + UNKNOWN_SECONDS, MOST_UNKNOWN)
            raise unknown
        return _gated(answer)

    def _answer(self, path: str) -> Answer:
        """A schema, or that there is none."""
        answer = self._get(path)
        if answer.status == HTTPStatus.OK and isinstance(answer.body.get("schema"), str):
            return answer
        if answer.status == HTTPStatus.NOT_FOUND and answer.error_code in NOT_FOUND:
            return answer
        raise SchemaUnavailable(f"the schema registry {said(answer)}")


def said(answer: Answer) -> str:
    """What an answer that is of no use was, for an error's text; nothing of its own text is in it."""
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"refuses our credentials (HTTP {answer.status})"
    if answer.status == HTTPStatus.OK:
        return "answers with something else than a registry does (is registry.url right?)"
    if answer.status == HTTPStatus.NOT_FOUND:
        return "does not know the question (HTTP 404; is the path in registry.url right?)"
    return f"answers HTTP {answer.status}"


def _gated(answer: Answer) -> WriterSchema | SchemaRefused:
    kind = answer.body.get("schemaType", "AVRO")
    if kind != "AVRO":
        return SchemaRefused("the registry has it as another kind of schema than Avro")
    if answer.body.get("references"):
        return SchemaRefused("the schema refers to others, which is not supported; register it with them written out")
    try:
        return gate_writer(str(answer.body["schema"]))
    except SchemaRefused as error:
        return error


def _keep(kept: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    kept[key] = value
    if len(kept) > most:
        kept.popitem(last=False)
