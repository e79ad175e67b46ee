"""Writes what the Python client can't: records whose header names are no text, as producers in other languages may."""

from __future__ import annotations

import ctypes
from pathlib import Path

import confluent_kafka

_TOPIC, _VALUE, _FLAGS, _HEADERS = 1, 4, 7, 10  # rd_kafka_vtype_t
_COPY = 2
_PRODUCER = 0
_SECONDS = 10


class _Bytes(ctypes.Structure):
    _fields_ = (("pointer", ctypes.c_char_p), ("size", ctypes.c_size_t))


class _Content(ctypes.Union):
    _fields_ = (
        *(("text", ctypes.c_char_p), ("number", ctypes.c_int), ("bytes", _Bytes)),
        *(("headers", ctypes.c_void_p), ("room", ctypes.c_char * 64)),
    )


class _Argument(ctypes.Structure):
    """rd_kafka_vu_t."""

    _fields_ = (("kind", ctypes.c_int), ("content", _Content))


def write(bootstrap: str, topic: str, value: bytes, names: list[bytes]) -> None:
    """One record with a header of each name, acknowledged on return."""
    library = _library()
    error = ctypes.create_string_buffer(512)
    config = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set(config, b"bootstrap.servers", bootstrap.encode(), error, len(error))
    producer = library.rd_kafka_new(_PRODUCER, config, error, len(error))
    assert producer, error.value
    headers = library.rd_kafka_headers_new(len(names))
    for name in names:
        library.rd_kafka_header_add(headers, name, len(name), b"v", 1)
    arguments = (_Argument * 4)()
    arguments[0].kind, arguments[0].content.text = _TOPIC, topic.encode()
    arguments[1].kind, arguments[1].content.bytes = _VALUE, _Bytes(value, len(value))
    arguments[2].kind, arguments[2].content.number = _FLAGS, _COPY
    arguments[3].kind, arguments[3].content.headers = _HEADERS, headers
    assert not library.rd_kafka_produceva(producer, arguments, len(arguments))
    assert library.rd_kafka_flush(producer, _SECONDS * 1_000) == 0
    library.rd_kafka_destroy(producer)


def _library() -> ctypes.CDLL:
    """librdkafka as it comes with the client."""
    (path,) = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*")
    library = ctypes.CDLL(str(path))
    pointer, text, size, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, ()),
        ("rd_kafka_conf_set", number, (pointer, text, text, text, size)),
        ("rd_kafka_new", pointer, (number, pointer, text, size)),
        ("rd_kafka_headers_new", pointer, (size,)),
        ("rd_kafka_header_add", number, (pointer, text, ctypes.c_ssize_t, text, ctypes.c_ssize_t)),
        ("rd_kafka_produceva", pointer, (pointer, pointer, size)),
        ("rd_kafka_flush", number, (pointer, number)),
        ("rd_kafka_destroy", None, (pointer,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
