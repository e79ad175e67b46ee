"""A bundle's bytes, verified: nothing in here unpickles anything.

Each file is read once, and what is handed on are the very bytes whose sha256 was compared; so a file that is replaced
while it is read is either the old one, the new one with a matching manifest, or refused.
"""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from worker.errors import ModelError
from worker.models.manifest import MANIFEST, Manifest, parse_manifest, sha256

MAX_MANIFEST_BYTES = 4 * 2**20
MAX_BUNDLE_BYTES = 4 * 2**30
_REPACK = "copy the bundle again from where it was packed, whole"


@dataclass(frozen=True, slots=True)
class Contents:
    """Verified bytes of a bundle's files by name; ``digest`` is the sha256 of the manifest."""

    manifest: Manifest
    digest: str
    files: Mapping[str, bytes]
    warnings: tuple[str, ...]


def read_contents(path: Path, *, digest: str | None = None, max_bytes: int = MAX_BUNDLE_BYTES) -> Contents:
    """Read a bundle, a folder or a ``.tar``; files that the manifest does not name are left alone.

    ``digest`` is the pinned sha256 of the manifest. Raises ModelError.
    """
    try:
        if path.is_dir():
            return _verified(_Folder(path), digest, max_bytes)
        if path.is_file():
            with tarfile.open(path, "r:") as archive:
                return _verified(_Archive(path, archive), digest, max_bytes)
    except tarfile.TarError as error:
        raise ModelError(f"{path} is no bundle: not an uncompressed tar ({error})", hint=_REPACK) from None
    except OSError as error:
        raise ModelError(f"bundle {path} can't be read: {error.strerror or error}") from None
    raise ModelError(f"there is no bundle {path}", hint="make one with `prediction-worker model pack`")


class _Place(Protocol):
    """Where a bundle's files are."""

    path: Path

    def read(self, name: str, max_bytes: int) -> bytes:
        """Raises ModelError for a file that is absent, larger, or no regular file of the bundle."""
        ...


def _verified(place: _Place, pinned: str | None, max_bytes: int) -> Contents:
    text = place.read(MANIFEST, MAX_MANIFEST_BYTES)
    digest = sha256(text)
    if pinned is not None and digest != pinned:
        raise ModelError(
            f"bundle {place.path} is not the pinned one: its manifest has sha256 {digest}, model.digest is {pinned}",
            hint="deploy the pinned bundle, or pin the new digest if the change is meant",
        )
    manifest = parse_manifest(text, str(place.path))
    files = dict(_checked(place, manifest, max_bytes))
    unpinned = () if pinned is not None else (f"the bundle is not pinned: set model.digest to {digest}",)
    return Contents(manifest, digest, files, unpinned)


def _checked(place: _Place, manifest: Manifest, max_bytes: int) -> Iterable[tuple[str, bytes]]:
    left = max_bytes
    for name, expected in manifest.files.items():
        content = place.read(name, left)
        left -= len(content)
        if (actual := sha256(content)) != expected:
            raise ModelError(
                f"{name} in bundle {place.path} is damaged or exchanged: "
                f"sha256 {actual} of {len(content)} bytes, the manifest says {expected}",
                hint=_REPACK,
            )
        yield name, content


class _Folder:
    """A folder. Links within it are followed (Kubernetes mounts every file through ``..data``), none leads out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = path.resolve(strict=True)

    def read(self, name: str, max_bytes: int) -> bytes:
        try:
            target = (self._root / name).resolve(strict=True)
        except FileNotFoundError:
            raise _missing(name, self.path) from None
        except RuntimeError:  # what Python up to 3.12 raises for a loop of links
            raise ModelError(f"{name} in bundle {self.path} is a loop of links", hint=_REPACK) from None
        if not target.is_relative_to(self._root):
            raise ModelError(
                f"{name} in bundle {self.path} is a link that leaves the bundle",
                hint="copy the file itself into the bundle",
            )
        if not stat.S_ISREG(target.stat().st_mode):
            raise ModelError(f"{name} in bundle {self.path} is no regular file", hint=_REPACK)
        with target.open("rb") as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise _too_large(name, self.path, max_bytes)
        return content


class _Archive:
    """An uncompressed tar, with the files at its top or within one folder; links in it are refused."""

    def __init__(self, path: Path, archive: tarfile.TarFile) -> None:
        self.path = path
        self._archive = archive
        self._members: dict[str, tarfile.TarInfo] = {}
        for member in archive:
            name = member.name.removeprefix("./")
            if name in self._members and not member.isdir():
                raise ModelError(f"bundle {path} holds {name} twice", hint=_REPACK)
            self._members[name] = member
        self._folder = self._find_folder()

    def _find_folder(self) -> str:
        if MANIFEST in self._members:
            return ""
        found = [name for name in self._members if name.count("/") == 1 and name.endswith(f"/{MANIFEST}")]
        return found[0].removesuffix(MANIFEST) if len(found) == 1 else ""

    def read(self, name: str, max_bytes: int) -> bytes:
        member = self._members.get(self._folder + name)
        if member is None:
            raise _missing(name, self.path)
        file = self._archive.extractfile(member) if member.isreg() else None
        if file is None:
            raise ModelError(f"{name} in bundle {self.path} is no regular file", hint=_REPACK)
        if member.size > max_bytes:
            raise _too_large(name, self.path, max_bytes)
        return file.read()


def _missing(name: str, path: Path) -> ModelError:
    hint = "a bundle is made by `prediction-worker model pack`" if name == MANIFEST else _REPACK
    return ModelError(f"bundle {path} has no {name}", hint=hint)


def _too_large(name: str, path: Path, max_bytes: int) -> ModelError:
    return ModelError(f"{name} in bundle {path} is larger than the {max_bytes} bytes that are left for it")
