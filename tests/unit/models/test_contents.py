from __future__ import annotations

import io
import os
import pickle
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.models.trained import Trap, packed, rewrite
from worker.errors import ExitCode, ModelError
from worker.models import open_bundle
from worker.models.contents import read_contents
from worker.models.manifest import MANIFEST, QUALITY, sha256


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    packed(tmp_path / "loans")
    return tmp_path / "loans"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Appears when the trap in ``trapped`` is unpickled."""
    return tmp_path / "unpickled"


@pytest.fixture
def trapped(bundle: Path, mark: Path) -> Path:
    """A bundle with right digests whose model is a trap."""
    rewrite(bundle, model_bytes=pickle.dumps(Trap(mark)))
    return bundle


def test_the_trap_works(trapped: Path, mark: Path) -> None:
    """Opening a bundle in which nothing is wrong does unpickle: the tests below can fail."""
    open_bundle(trapped)
    assert mark.exists()


def test_pinned_and_intact_bundle_opens_without_warnings(bundle: Path) -> None:
    """A pinned bundle of the same library versions gives no reason to warn."""
    digest = sha256((bundle / MANIFEST).read_bytes())
    opened = open_bundle(bundle, digest=digest)
    assert opened.warnings == ()
    assert opened.digest == digest


def test_unpinned_is_warned_of(bundle: Path) -> None:
    """An unpinned bundle opens, and its warning holds the digest to pin."""
    opened = open_bundle(bundle)
    assert len(opened.warnings) == 1
    assert opened.digest in opened.warnings[0]


def refused(bundle: Path, mark: Path, *, digest: str | None = None) -> ModelError:
    with pytest.raises(ModelError) as caught:
        open_bundle(bundle, digest=digest)
    assert not mark.exists(), "the model was unpickled"
    assert caught.value.exit_code == ExitCode.MODEL
    return caught.value


def test_another_manifest_than_the_pinned_one(trapped: Path, mark: Path) -> None:
    """A manifest whose digest is not the pinned one is refused before anything is unpickled."""
    error = refused(trapped, mark, digest="0" * 64)
    assert "not the pinned one" in error.message
    assert error.hint


@pytest.mark.parametrize("name", ["model.joblib", "golden.avro"])
@pytest.mark.parametrize("position", [0, -1])
def test_flipped_bit(trapped: Path, mark: Path, name: str, position: int) -> None:
    """One flipped bit in any file is refused before anything is unpickled."""
    content = bytearray((trapped / name).read_bytes())
    content[position] ^= 1
    (trapped / name).write_bytes(content)
    assert f"{name} in bundle" in refused(trapped, mark).message


@pytest.mark.parametrize("kept", [0, 10])
def test_truncated(trapped: Path, mark: Path, kept: int) -> None:
    """A truncated model file is refused before anything is unpickled."""
    model = trapped / "model.joblib"
    model.write_bytes(model.read_bytes()[:kept])
    assert f"of {kept} bytes" in refused(trapped, mark).message


@pytest.mark.parametrize("name", ["model.joblib", "golden.avro", MANIFEST])
def test_missing(trapped: Path, mark: Path, name: str) -> None:
    """A bundle without one of its files is refused."""
    (trapped / name).unlink()
    assert f"has no {name}" in refused(trapped, mark).message


def test_no_bundle(tmp_path: Path, mark: Path) -> None:
    """A path where nothing is says how to make a bundle."""
    error = refused(tmp_path / "nowhere", mark)
    assert "model pack" in str(error.hint)


def test_another_scikit_learn(trapped: Path, mark: Path) -> None:
    """Another major.minor of scikit-learn is refused before anything is unpickled."""
    libraries = read_contents(trapped).manifest.libraries.model_dump(by_alias=True)
    rewrite(trapped, libraries={**libraries, "scikit-learn": "1.0.2"})
    error = refused(trapped, mark)
    assert "scikit-learn 1.0.2" in error.message
    assert "1.0.*" in str(error.hint)


def test_other_patch_and_other_majors_are_warned_of(bundle: Path) -> None:
    """Another patch release of scikit-learn, or major of numpy, joblib or scipy, is a warning each."""
    libraries = read_contents(bundle).manifest.libraries.model_dump(by_alias=True)
    minor = ".".join(libraries["scikit-learn"].split(".")[:2])
    old = {"scikit-learn": f"{minor}.99", "numpy": "0.9", "joblib": "0.1", "scipy": "0.1", "python": "3.2.0"}
    digest = rewrite(bundle, libraries=old)
    assert len(open_bundle(bundle, digest=digest).warnings) == len(old)


@pytest.mark.parametrize("name", ["model.joblib", "golden.avro", MANIFEST])
def test_link_out_of_the_bundle(trapped: Path, mark: Path, tmp_path: Path, name: str) -> None:
    """A link that leaves the bundle's folder is refused, even to the right bytes."""
    shutil.move(trapped / name, tmp_path / name)
    (trapped / name).symlink_to(tmp_path / name)
    assert "leaves the bundle" in refused(trapped, mark).message


def test_loop_of_links_and_pipe(trapped: Path, mark: Path) -> None:
    """What is no file is refused, and not waited for."""
    model = trapped / "model.joblib"
    model.unlink()
    os.mkfifo(model)
    assert "no regular file" in refused(trapped, mark).message
    model.unlink()
    model.symlink_to("model.joblib")
    refused(trapped, mark)


def test_kubernetes_mount(bundle: Path, tmp_path: Path) -> None:
    """A volume as Kubernetes mounts it, every file through ``..data``, opens; also where the mount itself is a link."""
    mount = tmp_path / "mount"
    mount.mkdir()
    bundle.rename(mount / "..2026_01_01")
    (mount / "..data").symlink_to("..2026_01_01")
    for name in ("model.joblib", "golden.avro", QUALITY, MANIFEST):
        (mount / name).symlink_to(f"..data/{name}")
    (tmp_path / "link").symlink_to(mount)
    assert open_bundle(tmp_path / "link").manifest.name == "loans"


def test_files_that_the_manifest_does_not_name(bundle: Path) -> None:
    """Other files in the folder are left alone."""
    (bundle / "README").write_text("by the way")
    assert "README" not in open_bundle(bundle).files


def test_further_files_are_verified_and_handed_on(tmp_path: Path) -> None:
    """A bundle may carry more files; they are verified like the others."""
    packed(tmp_path / "loans", further_files={"notes.json": b"{}"})
    files = dict(open_bundle(tmp_path / "loans").files)
    assert files.pop(QUALITY)
    assert files == {"notes.json": b"{}"}


def test_size_limit(bundle: Path) -> None:
    """A bundle larger than the limit is refused without being read whole."""
    with pytest.raises(ModelError, match="larger than"):
        read_contents(bundle, max_bytes=100)


@pytest.mark.parametrize("folder", ["", "loans/", "./"])
def test_tar(bundle: Path, tmp_path: Path, folder: str) -> None:
    """A tar of the bundle, its files at the top or in one folder, is the same bundle."""
    archive = tmp_path / "loans.tar"
    with tarfile.open(archive, "w") as tar:
        for file in bundle.iterdir():
            tar.add(file, arcname=folder + file.name)
    assert open_bundle(archive).digest == open_bundle(bundle).digest


def test_tar_with_links_is_refused(trapped: Path, mark: Path, tmp_path: Path) -> None:
    """A link in a tar is no file of the bundle."""
    archive = tmp_path / "loans.tar"
    with tarfile.open(archive, "w") as tar:
        for file in trapped.iterdir():
            if file.name != "model.joblib":
                tar.add(file, arcname=file.name)
        link = tarfile.TarInfo("model.joblib")
        link.type, link.linkname = tarfile.SYMTYPE, str(trapped / "model.joblib")
        tar.addfile(link)
    assert "no regular file" in refused(archive, mark).message


def test_damaged_tar(bundle: Path, mark: Path, tmp_path: Path) -> None:
    """A truncated tar, or something else by that name, is refused."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(bundle, arcname=".")
    for content in (out.getvalue()[:3000], b"", b"PK\x03\x04 no tar"):
        (tmp_path / "loans.tar").write_bytes(content)
        refused(tmp_path / "loans.tar", mark)


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 2},
        {"unknown": 1},
        {"classes": ["0"]},
        {"positive_class": "7"},
        {"task": "regression"},
        {"threshold": None},
        {"features": []},
        {"model_file": "../model.joblib"},
        {"files": {"../model.joblib": "0" * 64}},
        {"version": "one"},
    ],
    ids=str,
)
def test_manifest_that_does_not_hold_together(trapped: Path, mark: Path, change: dict[str, Any]) -> None:
    """A manifest of another format, or that contradicts itself, is refused before anything is unpickled."""
    with pytest.raises(ModelError, match="manifest"):
        rewrite(trapped, **change)
    refused(trapped, mark)


@pytest.mark.parametrize("content", [b"no pickle", b"", pickle.dumps(len)[:-3]])
def test_model_that_can_not_be_unpickled(bundle: Path, content: bytes) -> None:
    """Bytes that are no pickle, though their digest is right, are the model's fault."""
    rewrite(bundle, model_bytes=content)
    with pytest.raises(ModelError, match="can't be unpickled"):
        open_bundle(bundle)


def test_module_that_is_not_installed(bundle: Path) -> None:
    """A model of an absent library says which."""
    rewrite(bundle, model_bytes=b"cabsent_library\nModel\n.")
    with pytest.raises(ModelError, match="absent_library"):
        open_bundle(bundle)
