"""What every schema must keep within, and the one error for those that don't."""

from __future__ import annotations

MAX_TEXT_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_FIELDS = 2_000


class SchemaRefused(ValueError):  # noqa: N818 - a verdict
    """The schema can't be used; the text says which field and why."""
