"""From verified bytes to a model in memory: the one place where a bundle is unpickled.

Unpickling runs code of whoever made the file. So everything that can be refused is refused before it: digests, the
pinned manifest, library versions, features that do not fit.
"""

from __future__ import annotations

import importlib
import io
import pickle
import platform
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib

from worker.errors import ModelError
from worker.models.contents import Contents, read_contents
from worker.models.golden import Golden, read_golden
from worker.models.manifest import GOLDEN, Format, Libraries, Manifest
from worker.models.without_pandas import without_pandas


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle with its model unpickled.

    ``files`` holds the bytes of what else the manifest names; ``warnings`` is what an operator should know, though it
    stops nothing.
    """

    manifest: Manifest
    digest: str
    model: Any
    golden: Golden
    files: Mapping[str, bytes]
    warnings: tuple[str, ...]


def open_bundle(path: Path, *, digest: str | None = None, check: Callable[[Manifest], None] | None = None) -> Bundle:
    """Read, verify and unpickle a bundle; ``digest`` is the pinned sha256 of its manifest.

    ``check`` may raise on a manifest that is of no use here; nothing is unpickled then. Raises ModelError.
    """
    contents = read_contents(path, digest=digest)
    versions = check_versions(contents.manifest.libraries, installed_libraries())
    if check is not None:
        check(contents.manifest)
    return unpickled(contents, versions)


def unpickled(contents: Contents, further_warnings: tuple[str, ...] = ()) -> Bundle:
    """The bundle of verified contents whose versions were checked. Raises ModelError."""
    manifest = contents.manifest
    golden = read_golden(contents.files[GOLDEN], manifest)
    model, unpickling = load_model(contents.files[manifest.model_file], manifest.format)
    _check_classes(model, manifest)
    return Bundle(
        manifest=manifest,
        digest=contents.digest,
        model=model,
        golden=golden,
        files={name: content for name, content in contents.files.items() if name not in (manifest.model_file, GOLDEN)},
        warnings=(*contents.warnings, *further_warnings, *unpickling),
    )


def load_model(content: bytes, format: Format) -> tuple[Any, tuple[str, ...]]:  # noqa: A002 - the manifest's word
    """Unpickle trusted bytes; returns the model and what was warned of meanwhile. Raises ModelError."""
    with without_pandas():
        importlib.import_module("sklearn.base")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = joblib.load(io.BytesIO(content)) if format == "joblib" else pickle.loads(content)  # noqa: S301 - its digest was compared
        except ImportError as error:
            raise ModelError(
                f"the model needs a module that is not installed: {error}",
                hint="install what the training environment had, at the same versions",
            ) from error
        except Exception as error:
            raise ModelError(
                f"the model can't be unpickled: {type(error).__name__}: {error}",
                hint="pack it again in an environment with the worker's library versions",
            ) from error
    return model, tuple(dict.fromkeys(f"unpickling: {warning.message}" for warning in caught))


def installed_libraries() -> Libraries:
    return Libraries.model_validate(
        {"python": platform.python_version()}
        | {name: metadata.version(name) for name in ("numpy", "scikit-learn", "joblib", "scipy")}
    )


def check_versions(packed: Libraries, installed: Libraries) -> tuple[str, ...]:
    """What differs without being refused.

    scikit-learn promises nothing between versions, and in practice keeps its pickles readable within a major.minor; so
    another one is refused. Raises ModelError.
    """
    if _release(packed.scikit_learn, 2) != _release(installed.scikit_learn, 2):
        raise ModelError(
            f"the model was packed with scikit-learn {packed.scikit_learn}, here is {installed.scikit_learn}",
            hint=f"install scikit-learn {'.'.join(_release(packed.scikit_learn, 2))}.*, or train and pack again",
        )
    return tuple(_differences(packed, installed))


def _differences(packed: Libraries, installed: Libraries) -> Iterator[str]:
    # How many leading numbers of the version must agree for silence.
    for name, numbers in (("scikit-learn", 3), ("python", 2), ("numpy", 1), ("joblib", 1), ("scipy", 1)):
        field = name.replace("-", "_")
        before, now = getattr(packed, field), getattr(installed, field)
        if _release(before, numbers) != _release(now, numbers):
            yield f"the model was packed with {name} {before}, here is {now}"


def _release(version: str, numbers: int) -> tuple[str, ...]:
    return tuple(version.split(".")[:numbers])


def _check_classes(model: Any, manifest: Manifest) -> None:
    actual = getattr(model, "classes_", None)
    if manifest.classes and actual is not None and tuple(map(str, actual)) != manifest.classes:
        raise ModelError(
            f"the model's classes {list(map(str, actual))} are not the manifest's {list(manifest.classes)}",
            hint="the manifest was edited by hand; pack the model again",
        )
