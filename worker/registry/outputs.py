"""The ids under which a registry has the schemas of our outputs, and whether there is a registry at all."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote

from worker.avro.framing import CONFLUENT_MARKER
from worker.errors import ConfigurationError, SchemaUnavailable, TransportError
from worker.registry.http import Answer, RegistryHttp
from worker.registry.schemas import NOT_FOUND, said
from worker.settings import Registry

_REFUSED = frozenset({HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})


def check_registry(settings: Registry) -> None:
    """One question that every registry answers. Raises ConfigurationError and TransportError."""
    http = RegistryHttp(settings)
    answer = _first(lambda: http.get("/schemas/types"))
    if answer.status != HTTPStatus.OK:
        raise _useless(settings, answer)


def output_prefix(settings: Registry, topic: str, name: str, schema_text: str) -> bytes | None:
    """The bytes that a topic's values begin with, which are by the schema ``name``; None: the single-object encoding's own.

    The subject is the topic's, ``<topic>-value``. Raises ConfigurationError and TransportError.
    """
    if settings.outputs == "single-object":
        return None
    http, subject = RegistryHttp(settings), f"{topic}-value"
    path = f"/subjects/{quote(subject, safe='')}" + ("/versions" if settings.outputs == "register" else "")
    answer = _first(lambda: http.post(path, {"schema": schema_text, "schemaType": "AVRO"}))
    schema_id = answer.body.get("id")
    if answer.status == HTTPStatus.OK and isinstance(schema_id, int) and 0 <= schema_id < 2**31:
        return CONFLUENT_MARKER + schema_id.to_bytes(4, "big")
    if answer.error_code in NOT_FOUND:
        raise ConfigurationError(
            f"the registry does not have schemas/{name}.avsc as {subject}",
            hint="register it there, or let the worker do it: registry.outputs = 'register'",
        )
    if answer.status in _REFUSED:
        raise ConfigurationError(
            f"the registry refuses schemas/{name}.avsc as {subject} (HTTP {answer.status})",
            hint="it is not compatible with what is registered there; name another topic under [topics]",
        )
    raise _useless(settings, answer)


def _first(ask: Callable[[], Answer]) -> Answer:
    """At the start nothing is held: whoever starts us tries again."""
    try:
        return ask()
    except SchemaUnavailable as error:
        raise TransportError(error.message, hint="check registry.url") from None


def _useless(settings: Registry, answer: Answer) -> ConfigurationError | TransportError:
    text = f"the schema registry at {settings.url} {said(answer)}"
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ConfigurationError(text, hint="check registry.username and registry.password, or registry.token")
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransportError(text)
    return ConfigurationError(text, hint="check registry.url; Apicurio's ends in /apis/ccompat/v7")
