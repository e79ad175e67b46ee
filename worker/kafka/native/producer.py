"""A producer that tells only of the records that it could not deliver.

The client's own producer reports each record by a call into Python; an at-least-once sink that has no use for good news
has librdkafka's own, which reports failures as events (``delivery.report.only.error``).
"""

from __future__ import annotations

import ctypes
import logging
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError

from worker.errors import ConfigurationError
from worker.kafka.native.library import Library
from worker.kafka.native.outbox import Outbox
from worker.records import OutgoingBatch

_PRODUCER = 0  # rd_kafka_type_t
_FAILED, _ERROR = 0x1, 0x8  # RD_KAFKA_EVENT_DR, RD_KAFKA_EVENT_ERROR
_LOG_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
_LEVELS = (*(logging.CRITICAL,) * 3, logging.ERROR, logging.WARNING, logging.INFO, logging.INFO, logging.DEBUG)
_TEXT_BYTES = 512
_LOOK_MS = 100


class NativeProducer:
    """``config`` is the client's, with a logger under ``logger``. Raises ConfigurationError for an unknown option."""

    def __init__(self, library: Library, config: Mapping[str, Any]) -> None:
        self._library = library
        self._log_callback = _LOG_CALLBACK(_Log(config["logger"]))
        self._handle = self._opened({**config, "delivery.report.only.error": True})
        self._events = library.queue_get_main(self._handle)
        self._outbox = Outbox(library, self._handle)

    def put(self, batch: OutgoingBatch) -> None:
        """Raises BufferError when not all of it was taken."""
        assert self._handle, "closed"
        self._outbox.put(batch)

    @property
    def is_idle(self) -> bool:
        """Whether all is acknowledged, and every failure has been told; closed, it is."""
        return not (self._handle and self._library.outq_len(self._handle))

    def flush(self, seconds: float) -> KafkaError | None:
        """Until all is acknowledged. What went wrong: a record was not delivered, or the time is up."""
        if self.is_idle:
            return None
        deadline = time.monotonic() + seconds
        while True:
            # A record that failed counts as being in flight until its event has been looked at.
            late = self._library.flush(self._handle, _LOOK_MS)
            failure = self.failure()
            if failure is not None or not late:
                return failure
            if time.monotonic() >= deadline:
                return self._library.error(late)

    def close(self) -> None:
        """End without waiting for what is in flight."""
        if self._handle:
            self._outbox.close()
            self._library.queue_destroy(self._events)
            self._library.destroy(self._handle)
            self._handle = 0

    def failure(self) -> KafkaError | None:
        """What is known by now: the first record that was not delivered, or a fatal error; other errors pass by themselves."""
        found = None
        library = self._library
        while event := library.queue_poll(self._events, 0):
            if library.event_type(event) == _FAILED:
                while message := library.event_message_next(event):
                    code = ctypes.c_int32.from_address(message).value
                    found = found or (library.error(code) if code else None)
            elif library.event_type(event) == _ERROR and library.event_error_is_fatal(event):
                found = found or library.error(library.event_error(event), library.event_error_string(event))
            library.event_destroy(event)
        return found

    def _opened(self, config: Mapping[str, Any]) -> int:
        library, error = self._library, ctypes.create_string_buffer(_TEXT_BYTES)
        settings = library.conf_new()
        library.conf_set_log_cb(settings, ctypes.cast(self._log_callback, ctypes.c_void_p))
        library.conf_set_events(settings, _FAILED | _ERROR)
        for name, value in config.items():
            if name == "logger":
                continue
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if library.conf_set(settings, name.encode(), text.encode(), ctypes.addressof(error), _TEXT_BYTES):
                library.conf_destroy(settings)
                raise _refused(error.value)
        # Tokens are renewed while nobody polls: by librdkafka's own thread.
        library.conf_enable_sasl_queue(settings, 1)
        handle = library.new(_PRODUCER, settings, ctypes.addressof(error), _TEXT_BYTES)
        if not handle:
            library.conf_destroy(settings)
            raise _refused(error.value)
        if failed := library.sasl_background_callbacks_enable(handle):
            library.error_destroy(failed)  # where there is no SASL, there is nothing to renew
        return int(handle)


class _Log:
    """librdkafka's log lines, by syslog's levels."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def __call__(self, _handle: int, level: int, facility: bytes, text: bytes) -> None:
        said = (part.decode("utf-8", "replace") for part in (facility, text))
        self._logger.log(_LEVELS[min(level, len(_LEVELS) - 1)], "%s %s", *said)


def _refused(text: bytes) -> ConfigurationError:
    return ConfigurationError(
        f"kafka.options: {text.decode('utf-8', 'replace')}", hint="see librdkafka's CONFIGURATION.md"
    )
