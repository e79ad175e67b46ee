"""What ``kubectl kustomize`` makes of our manifests, where there is no kubectl: the few of its words that they use.

It refuses any other word, and the tests compare it with kubectl where that is installed.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

Resource = dict[str, Any]
WORDS = frozenset({"apiVersion", "kind", "resources", "components", "configMapGenerator", "patches"})
# How kustomize spells a digest without vowels, and without 0, 1 and 3.
SPELLING = str.maketrans("013ae", "ghkmt")


def rendered(folder: Path, *components: Path) -> list[Resource]:
    """All resources of a kustomization, and of components put on top of it."""
    resources = _accumulated(folder, [])
    for component in components:
        resources = _accumulated(component, resources)
    return _with_hashes(resources)


def _accumulated(folder: Path, resources: Sequence[Resource]) -> list[Resource]:
    kustomization: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    assert set(kustomization) <= WORDS, f"{folder} uses words of kustomize that are not known here"
    found = list(resources)
    for name in kustomization.get("resources", ()):
        path = (folder / name).resolve()
        found += _accumulated(path, []) if path.is_dir() else yaml.safe_load_all(path.read_text("utf-8"))
    for name in kustomization.get("components", ()):
        found = _accumulated((folder / name).resolve(), found)
    found += [_config_map(folder, generator) for generator in kustomization.get("configMapGenerator", ())]
    for patch in kustomization.get("patches", ()):
        found = [_patched(resource, patch) for resource in found]
    return found


def _config_map(folder: Path, generator: Mapping[str, Any]) -> Resource:
    assert set(generator) == {"name", "files"}
    data = {name: (folder / name).read_text("utf-8") for name in generator["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}


def _patched(resource: Resource, patch: Mapping[str, Any]) -> Resource:
    target = dict(patch["target"])
    key, _, value = target.pop("labelSelector", "").partition("=")
    fits = not key or resource["metadata"].get("labels", {}).get(key) == value
    for word, pattern in target.items():
        fits = fits and bool(
            re.fullmatch(pattern, {"kind": resource["kind"], "name": resource["metadata"]["name"]}[word])
        )
    if not fits:
        return resource
    changed: Resource = jsonpatch.apply_patch(resource, yaml.safe_load(patch["patch"]))
    same_kind = changed["kind"] == resource["kind"]
    assert same_kind or patch.get("options", {}).get("allowKindChange"), "kustomize would keep the kind"
    return changed


def _with_hashes(resources: Sequence[Resource]) -> list[Resource]:
    """Config maps named by their content, and the pods that mount them."""
    found = copy.deepcopy(list(resources))
    names = {}
    for resource in found:
        if resource["kind"] == "ConfigMap":
            name = resource["metadata"]["name"]
            names[name] = resource["metadata"]["name"] = f"{name}-{_digest(resource['data'])}"
    for resource in found:
        pod = resource.get("spec", {}).get("template", {}).get("spec", {})
        for volume in pod.get("volumes", ()):
            if (source := volume.get("configMap")) is not None:
                source["name"] = names.get(source["name"], source["name"])
    return found


def _digest(data: Mapping[str, str]) -> str:
    """The name is left empty, as kustomize does."""
    hashed = {"data": data, "kind": "ConfigMap", "name": ""}
    text = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":  # as Go writes JSON
        text = text.replace(character, f"\\u{ord(character):04x}")
    return hashlib.sha256(text.encode()).hexdigest()[:10].translate(SPELLING)
