"""librdkafka as the client has loaded it: the functions that work on whole batches, and the client's own handle.

All of them are in librdkafka's public header (``rdkafka.h``). What is not public is where a client object of
confluent-kafka keeps its ``rd_kafka_t``: behind the object's header, in every 2.x release. It is looked at before it
is used, and a client that is built otherwise is refused.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Producer, cimpl, libversion

from worker.errors import ConfigurationError

_POINTER, _TEXT, _SIZE, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int
_SIGNATURES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "version": (_INT, ()),
    "name": (_TEXT, (_POINTER,)),
    "err2str": (_TEXT, (_INT,)),
    "last_error": (_INT, ()),
    # queues
    "queue_get_consumer": (_POINTER, (_POINTER,)),
    "queue_get_main": (_POINTER, (_POINTER,)),
    "queue_get_partition": (_POINTER, (_POINTER, _TEXT, ctypes.c_int32)),
    "queue_new": (_POINTER, (_POINTER,)),
    "queue_destroy": (None, (_POINTER,)),
    "queue_forward": (None, (_POINTER, _POINTER)),
    "queue_length": (_SIZE, (_POINTER,)),
    "queue_io_event_enable": (None, (_POINTER, _INT, _TEXT, _SIZE)),
    "queue_poll": (_POINTER, (_POINTER, _INT)),
    "consume_batch_queue": (ctypes.c_ssize_t, (_POINTER, _INT, _POINTER, _SIZE)),
    # consumed records
    "message_destroy": (None, (_POINTER,)),
    "message_errstr": (_TEXT, (_POINTER,)),
    "message_timestamp": (ctypes.c_int64, (_POINTER, _POINTER)),
    "message_headers": (_INT, (_POINTER, _POINTER)),
    "header_get_all": (_INT, (_POINTER, _SIZE, _POINTER, _POINTER, _POINTER)),
    # committing
    "commit_queue": (_INT, (_POINTER, _POINTER, _POINTER, _POINTER, _POINTER)),
    "event_topic_partition_list": (_POINTER, (_POINTER,)),
    # producing
    "topic_new": (_POINTER, (_POINTER, _TEXT, _POINTER)),
    "topic_destroy": (None, (_POINTER,)),
    "produce_batch": (_INT, (_POINTER, ctypes.c_int32, _INT, _POINTER, _INT)),
    "produce": (_INT, (_POINTER, ctypes.c_int32, _INT, _TEXT, _SIZE, _TEXT, _SIZE, _POINTER)),
    "produceva": (_POINTER, (_POINTER, _POINTER, _SIZE)),
    "flush": (_INT, (_POINTER, _INT)),
    "outq_len": (_INT, (_POINTER,)),
    "error_string": (_TEXT, (_POINTER,)),
    "error_destroy": (None, (_POINTER,)),
    # a producer of our own
    "conf_new": (_POINTER, ()),
    "conf_destroy": (None, (_POINTER,)),
    "conf_set": (_INT, (_POINTER, _TEXT, _TEXT, _POINTER, _SIZE)),
    "conf_set_events": (None, (_POINTER, _INT)),
    "conf_set_log_cb": (None, (_POINTER, _POINTER)),
    "conf_enable_sasl_queue": (None, (_POINTER, _INT)),
    "sasl_background_callbacks_enable": (_POINTER, (_POINTER,)),
    "new": (_POINTER, (_INT, _POINTER, _POINTER, _SIZE)),
    "destroy": (None, (_POINTER,)),
    "event_type": (_INT, (_POINTER,)),
    "event_message_next": (_POINTER, (_POINTER,)),
    "event_error": (_INT, (_POINTER,)),
    "event_error_string": (_TEXT, (_POINTER,)),
    "event_error_is_fatal": (_INT, (_POINTER,)),
    "event_destroy": (None, (_POINTER,)),
}
# These may wait, for a lock or for the network: others may run meanwhile. The rest is over sooner than a switch.
_WAITING: Final = {"consume_batch_queue", "produce_batch", "produceva", "flush", "queue_poll", "new", "destroy"}
_HANDLE_BYTES = 4_096


class Library:
    """Each function without its ``rd_kafka_``; pointers are plain integers, and null is None."""

    def __init__(self) -> None:
        path = str(cimpl.__file__)
        waiting, short = ctypes.CDLL(path), ctypes.PyDLL(path)
        for name, (result, arguments) in _SIGNATURES.items():
            try:
                function = getattr(waiting if name in _WAITING else short, f"rd_kafka_{name}")
            except AttributeError:
                raise _unsupported(f"its librdkafka has no rd_kafka_{name}") from None
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        if self.version() != libversion()[1]:
            raise _unsupported("it has two librdkafkas")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"librdkafka's {name} has no signature here")

    def error(self, code: int, text: bytes | None = None) -> KafkaError:
        return KafkaError(code, (text or self.err2str(code) or b"").decode("utf-8", "replace"))


def handle_of(library: Library, client: Consumer | Producer) -> int:
    """The client's ``rd_kafka_t``, good for as long as the client is. Raises ConfigurationError."""
    handle: int = ctypes.c_void_p.from_address(id(client) + object.__basicsize__).value or 0
    _check(handle)
    if b"#" not in library.name(handle):
        raise _unsupported("its clients are built otherwise")
    return handle


def _check(handle: int) -> None:
    """Read through the kernel, which refuses an address that is none: a wrong guess must not end the process."""
    found = b""
    with suppress(FileNotFoundError):  # there is no /proc on macOS
        memory = os.open("/proc/self/mem", os.O_RDONLY)
        try:
            found = os.pread(memory, _HANDLE_BYTES, handle)
        except (OSError, OverflowError):
            raise _unsupported("its clients are built otherwise") from None
        finally:
            os.close(memory)
        if b"#consumer-" not in found and b"#producer-" not in found:
            raise _unsupported("its clients are built otherwise")


def _unsupported(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"this confluent-kafka can't be used: {why}", hint="install confluent-kafka 2.16 from PyPI"
    )
