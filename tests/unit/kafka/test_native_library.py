"""The client's handle is looked at before it is used."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from worker.errors import ConfigurationError
from worker.kafka.native.library import Library, handle_of

NOWHERE: dict[str, Any] = {"bootstrap.servers": "", "log_level": 0}


def test_handle_of_a_client() -> None:
    """It is the client that librdkafka calls by the same name."""
    library = Library()
    consumer, producer = Consumer({**NOWHERE, "group.id": "g", "client.id": "one"}), Producer(NOWHERE)
    assert library.name(handle_of(library, consumer)).startswith(b"one#consumer-")
    assert b"#producer-" in library.name(handle_of(library, producer))
    consumer.close()


class _OtherwiseBuilt:
    """An object with something else where a client has its handle."""

    __slots__ = ("first",)

    def __init__(self, first: object) -> None:
        self.first = first


@pytest.mark.parametrize("first", [b"no client at all", None, 7])
def test_a_client_that_is_built_otherwise(first: object) -> None:
    """It is refused with the way out, and the process lives."""
    client: Any = _OtherwiseBuilt(first)
    with pytest.raises(ConfigurationError, match="can't be used") as error:
        handle_of(Library(), client)
    assert error.value.hint
