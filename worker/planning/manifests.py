"""Kubernetes manifests, and what of them matters here. Needs PyYAML (the extra ``plan``)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.errors import ConfigurationError

WORKLOADS = ("Deployment", "StatefulSet")
PROGRAM = "prediction-worker"
RUN, JOIN = ROLES = ("run", "join")
_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet, and the container in it that runs ``prediction-worker run`` or ``join``: its role."""

    role: str
    kind: str
    name: str
    spec: Fields
    pod: Fields
    container: Fields

    @property
    def arguments(self) -> list[str]:
        """All words of the command line, a shell's included."""
        words = [str(word) for part in ("command", "args") for word in self.container.get(part) or ()]
        return [piece for word in words for piece in (shlex.split(word) if " " in word else [word])]

    @property
    def processes(self) -> int:
        """Of one pod."""
        words = self.arguments
        for i, word in enumerate(words):
            name, _, value = word.partition("=")
            if name == "--processes":
                text = value or (words[i + 1] if i + 1 < len(words) else "")
                return int(text) if text.isdigit() else 1
        return 1

    @property
    def labels(self) -> Fields:
        """Of its pods."""
        found: Fields = (self.spec["template"].get("metadata") or {}).get("labels") or {}
        return found

    @property
    def environment(self) -> dict[str, str]:
        """Variables whose values stand in the manifest."""
        return {str(one["name"]): str(one["value"]) for one in self.container.get("env") or () if "value" in one}

    def resource(self, kind: str, name: str) -> float | None:
        """Of ``requests`` or ``limits``: bytes of memory, or cores."""
        found = ((self.container.get("resources") or {}).get(kind) or {}).get(name)
        return None if found is None else quantity(str(found))


@dataclass(frozen=True, slots=True)
class Scaler:
    """A HorizontalPodAutoscaler or KEDA's ScaledObject."""

    kind: str
    name: str
    target: str
    least: int
    most: int
    spec: Fields


@dataclass(frozen=True, slots=True)
class Manifests:
    """``workloads``: workers before joiners. ``settings``: the text of the TOML file, where a ConfigMap (or the file that one is
    made of) holds it.
    """

    workloads: Sequence[Workload] = ()
    scalers: Sequence[Scaler] = ()
    disruption: Sequence[Fields] = ()
    settings: str | None = None
    others: Sequence[str] = field(default_factory=tuple)


def read_manifests(source: Path | str) -> Manifests:
    """From a file, a folder with ``*.yaml`` (a kustomization, unbuilt), or a text. Raises ConfigurationError."""
    if isinstance(source, str):
        return _sorted_out(_documents(source, "the manifest"), None)
    try:
        if source.is_dir():
            found = [
                d for path in sorted(source.glob("*.yaml")) for d in _documents(path.read_text("utf-8"), str(path))
            ]
            return _sorted_out(found, source)
        return _sorted_out(_documents(source.read_text("utf-8"), str(source)), source.parent)
    except OSError as problem:
        raise ConfigurationError(f"{source} can't be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{source} is no text in UTF-8") from None


def quantity(text: str) -> float:
    """Kubernetes' numbers: ``512Mi``, ``1Gi``, ``500m``, ``2``. Raises ConfigurationError."""
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return _float(text.removesuffix(unit), text) * factor
    return _float(text[:-1], text) / 1_000 if text.endswith("m") else _float(text, text)


def _float(number: str, text: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise ConfigurationError(f"{text!r} is no quantity", hint="such as 512Mi or 500m") from None


def _documents(text: str, where: str) -> Iterator[Fields]:
    try:
        import yaml  # noqa: PLC0415 - an extra: only who checks manifests needs it
    except ImportError:
        raise ConfigurationError(
            "PyYAML is needed to read manifests", hint="pip install 'prediction-worker[plan]'"
        ) from None
    try:
        for found in yaml.safe_load_all(text):
            if found is None:
                continue
            if not isinstance(found, dict) or "kind" not in found:
                raise ConfigurationError(f"{where} is no Kubernetes manifest: a document in it has no kind")
            yield from found["items"] if found["kind"] == "List" else [found]
    except yaml.YAMLError as problem:
        line = getattr(getattr(problem, "problem_mark", None), "line", None)
        place = "" if line is None else f" (line {line + 1})"
        raise ConfigurationError(f"{where} is not valid YAML{place}") from None


def _sorted_out(documents: Iterator[Fields] | Sequence[Fields], folder: Path | None) -> Manifests:
    every = list(documents)
    try:
        return Manifests(
            workloads=sorted(
                (w for d in every if d["kind"] in WORKLOADS for w in _workloads(d)), key=lambda w: ROLES.index(w.role)
            ),
            scalers=[_scaler(d) for d in every if d["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")],
            disruption=[d["spec"] for d in every if d["kind"] == "PodDisruptionBudget"],
            settings=_settings(every, folder),
            others=[str(d["kind"]) for d in every],
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise ConfigurationError(f"a manifest lacks what its kind must have: {problem}") from None


def _workloads(document: Fields) -> Iterator[Workload]:
    spec = document["spec"]
    pod = spec["template"]["spec"]
    for container in pod["containers"]:
        for role in ROLES:
            found = Workload(role, document["kind"], document["metadata"]["name"], spec, pod, container)
            if role in found.arguments and (PROGRAM in str(container.get("image")) or PROGRAM in found.arguments):
                yield found
                break


def _scaler(document: Fields) -> Scaler:
    spec, keda = document["spec"], document["kind"] == "ScaledObject"
    return Scaler(
        kind=document["kind"],
        name=document["metadata"]["name"],
        target=spec["scaleTargetRef"]["name"],
        least=int(spec.get("minReplicaCount", 0) if keda else spec.get("minReplicas", 1)),
        most=int(spec.get("maxReplicaCount", 100) if keda else spec["maxReplicas"]),
        spec=spec,
    )


def _settings(documents: Sequence[Fields], folder: Path | None) -> str | None:
    for document in documents:
        if document["kind"] == "ConfigMap":
            texts = [text for name, text in (document.get("data") or {}).items() if name.endswith(".toml")]
            if texts:
                return str(texts[0])
        for generator in document.get("configMapGenerator") or () if document["kind"] == "Kustomization" else ():
            for name in generator.get("files") or ():
                if folder is not None and str(name).endswith(".toml"):
                    return (folder / str(name).split("=")[-1]).read_text("utf-8")  # NAME=FILE, or the file alone
    return None
