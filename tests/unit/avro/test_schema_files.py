"""``ids.toml``: which file holds the schema of an id or a GUID."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.unit.avro.samples import field, record_schema, schema_of
from worker.avro.framing import UnknownSchema
from worker.errors import ConfigurationError
from worker.registry.files import SchemaFiles

READER = schema_of(field("x", "int"))
GUID = "89791762-2336-4186-9674-299b90a802e2"


def files(folder: Path, text: str) -> SchemaFiles:
    (folder / "one.avsc").write_text(record_schema(field("x", "long")))
    (folder / "two.avsc").write_text(record_schema(field("x", "float")))
    (folder / "ids.toml").write_text(text)
    return SchemaFiles.read(READER, folder / "ids.toml")


def test_ids_and_guids(tmp_path: Path) -> None:
    """A schema is found by its id, its GUID and its fingerprint; the reader's own by its fingerprint."""
    lookup = files(tmp_path, f'[ids]\n7 = "one.avsc"\n[guids]\n{GUID} = "two.avsc"\n')
    assert '"long"' in lookup(7).text
    two = lookup(uuid.UUID(GUID).bytes)
    assert '"float"' in two.text
    assert lookup(two.fingerprint) == two
    assert lookup(READER.fingerprint) is READER


def test_without_a_file() -> None:
    """Only the reader's fingerprint is known then."""
    assert SchemaFiles.read(READER, None)(READER.fingerprint) is READER


@pytest.mark.parametrize(
    ("key", "says"),
    [(8, "id 8"), (-1, "id -1"), (b"\0" * 8, "fingerprint 00"), (uuid.UUID(GUID).bytes, f"GUID {GUID}")],
)
def test_unknown(tmp_path: Path, key: int | bytes, says: str) -> None:
    """What is not known is named in the form in which people know it."""
    with pytest.raises(UnknownSchema, match=says):
        files(tmp_path, '[ids]\n7 = "one.avsc"\n')(key)


def test_every_problem_at_once(tmp_path: Path) -> None:
    """All that is wrong in the file is said, a line each."""
    text = (
        '[ids]\nx = "one.avsc"\n-1 = "one.avsc"\n2147483648 = "one.avsc"\n5 = 5\n6 = "none.avsc"\n'
        f'[guids]\n7 = "one.avsc"\n{GUID} = "one.avsc"\n[id]\n7 = "one.avsc"\n'
    )
    with pytest.raises(ConfigurationError) as caught:
        files(tmp_path, text)
    problems = [problem.replace(str(tmp_path), "") for problem in caught.value.problems]
    assert problems == [
        "/ids.toml: there is no table id",
        "/ids.toml: x is no schema id",
        "/ids.toml: -1 is no schema id",
        "/ids.toml: 2147483648 is no schema id",
        "/ids.toml: 5 does not name a file",
        "there is no schema file /none.avsc",
        "/ids.toml: 7 is no GUID",
    ]


@pytest.mark.parametrize(("text", "says"), [("ids = 5", "are tables"), ("[ids", "can't be read"), ("\0", "can't be")])
def test_no_such_form(tmp_path: Path, text: str, says: str) -> None:
    """What is no TOML of this form is a configuration error."""
    with pytest.raises(ConfigurationError, match=says):
        files(tmp_path, text)
