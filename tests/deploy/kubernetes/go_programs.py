"""Kubernetes and what scales on it, built from their published Go modules: once, into the cache."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.kubernetes.bed import CACHE, output

BUILD_SECONDS = 3_600.0
VERSION_VARIABLES = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class GoPrograms:
    """Main packages of one module, by the name that each program gets."""

    module: str
    version: str
    packages: Mapping[str, str]

    @property
    def folder(self) -> Path:
        return CACHE / "go" / f"{self.module.replace('/', '_')}-{self.version}"

    def program(self, name: str) -> Path:
        """Built if it is not there yet (minutes)."""
        path = self.folder / "bin" / name
        if not path.exists():
            self._build(name, path)
        return path

    def source(self) -> Path:
        """The module's own files."""
        return Path(json.loads(output("go", "mod", "download", "-json", f"{self.module}@{self.version}"))["Dir"])

    def _build(self, name: str, path: Path) -> None:
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "go.sum").exists():
            (folder / "go.mod").write_text(self._go_mod(), "utf-8")
            output("go", "mod", "tidy", folder=folder, seconds=BUILD_SECONDS)
        aside = folder / f"{name}.{os.getpid()}"
        build = ["go", "build", "-trimpath", "-ldflags", self._linking(), "-o", str(aside), self.packages[name]]
        output("nice", "-n", "10", *build, folder=folder, environment={"CGO_ENABLED": "0"}, seconds=BUILD_SECONDS)
        path.parent.mkdir(exist_ok=True)
        aside.replace(path)

    def _go_mod(self) -> str:
        """A module that needs this one, with this one's own replacements.

        Kubernetes' point into its repository, which is not in the module: the same modules' published versions.
        """
        found = json.loads(output("go", "mod", "download", "-json", f"{self.module}@{self.version}"))
        theirs: dict[str, Any] = json.loads(output("go", "mod", "edit", "-json", found["GoMod"]))
        needed = {self.module: self.version}
        for require in theirs["Require"]:
            if any(package.startswith(require["Path"]) for package in self.packages.values()):
                needed[require["Path"]] = require["Version"]
        lines = ["module bed", f"go {theirs['Go']}"]
        lines += [f"tool {package}" for package in self.packages.values()]
        lines += [f"require {module} {version}" for module, version in needed.items()]
        for replace in theirs.get("Replace") or ():
            old, new = replace["Old"], replace["New"]
            if new["Path"].startswith("."):
                new = {"Path": old["Path"], "Version": "v0." + self.version.removeprefix("v1.")}
            lines.append(f"replace {' '.join(old.values())} => {new['Path']} {new['Version']}")
        return "\n".join([*lines, ""])

    def _linking(self) -> str:
        major, minor, *_ = self.version.removeprefix("v").split(".")
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
        return "-s -w " + " ".join(f"-X {VERSION_VARIABLES}.{key}={value}" for key, value in values.items())


KUBERNETES = GoPrograms(
    "k8s.io/kubernetes",
    "v1.36.3",
    {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
    }
    | {"etcd": "go.etcd.io/etcd/server/v3"},
)
KEDA = GoPrograms(
    "github.com/kedacore/keda/v2",
    "v2.21.0",
    {
        "keda-operator": "github.com/kedacore/keda/v2/cmd/operator",
        "keda-adapter": "github.com/kedacore/keda/v2/cmd/adapter",
    },
)
METRICS_SERVER = GoPrograms(
    "sigs.k8s.io/metrics-server", "v0.8.0", {"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"}
)
PROMETHEUS_ADAPTER = GoPrograms(
    "sigs.k8s.io/prometheus-adapter",
    "v0.12.0",
    {"prometheus-adapter": "sigs.k8s.io/prometheus-adapter/cmd/adapter"},
)
ALL = (KUBERNETES, KEDA, METRICS_SERVER, PROMETHEUS_ADAPTER)
