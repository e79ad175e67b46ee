"""Secrets and protection in the settings: kept apart, never shown, never sent in the clear."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from worker.errors import ConfigurationError
from worker.settings import STARS, load_settings, shown

CANARY = "canary-Sx90-settings"
BASE = {
    "WORKER_KAFKA__BOOTSTRAP": "127.0.0.1:1",
    "WORKER_KAFKA__GROUP": "g",
    "WORKER_TOPICS__INPUT": "in",
    "WORKER_EVENT__SCHEMA": "e.avsc",
    "WORKER_MODEL__BUNDLE": "b",
}


def problems(path: Path | None, environment: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, {**BASE, **environment})
    return "; ".join(caught.value.problems)


def toml(folder: Path, section: str, name: str, value: str) -> Path:
    path = folder / "worker.toml"
    path.write_text(f"[{section}]\n{json.dumps(name)} = {json.dumps(value)}\n")
    return path


@pytest.mark.parametrize(
    ("section", "name"),
    [
        *(
            ("kafka.options", name)
            for name in ("sasl.password", "ssl.key.password", "ssl.key.pem", "producer.sasl.password")
        ),
        ("kafka.options", "sasl.oauthbearer.client.secret"),
        ("kafka.options", "sasl.oauthbearer.assertion.private.key.passphrase"),
        *(("registry", name) for name in ("password", "token")),
    ],
)
def test_kept_apart(tmp_path: Path, section: str, name: str) -> None:
    """A secret in the settings file itself is refused by name, without its value; a reference to one is taken."""
    url = {"WORKER_REGISTRY__URL": "https://r"} | ({"WORKER_REGISTRY__USERNAME": "u"} if name == "password" else {})
    text = problems(toml(tmp_path, section, name, CANARY), url)
    assert f"{section}.{name} is written out" in text
    assert CANARY not in text
    for reference in ("env:NAME", "file:/run/secret"):
        settings = load_settings(toml(tmp_path, section, name, reference), {**BASE, **url})
        assert reference in json.dumps(shown(settings))


@pytest.mark.parametrize(
    "name",
    ["sasl.oauthbearer.token.endpoint.url", "ssl.key.location", "ssl.certificate.location", "sasl.oauthbearer.config"],
)
def test_no_secrets(tmp_path: Path, name: str) -> None:
    """What only stands near a secret may be written out."""
    load_settings(toml(tmp_path, "kafka.options", name, "value"), BASE)


def test_from_the_environment() -> None:
    """Secrets may come from the environment as they are, and are starred where settings are shown."""
    environment = {
        "WORKER_KAFKA__OPTIONS": json.dumps({"sasl.password": CANARY}),
        "WORKER_REGISTRY__URL": "https://r",
        "WORKER_REGISTRY__TOKEN": CANARY,
    }
    settings = load_settings(None, {**BASE, **environment})
    values: dict[str, Any] = shown(settings)
    assert values["kafka"]["options"]["sasl.password"] == values["registry"]["token"] == STARS
    assert settings.registry.authorization() == f"Bearer {CANARY}"
    assert settings.kafka.resolved_options()["sasl.password"] == CANARY


@pytest.mark.parametrize(
    "mechanism", [{"sasl.mechanism": "PLAIN"}, {"sasl.mechanisms": "plain"}, {"producer.sasl.mechanism": "PLAIN"}]
)
def test_plain_only_over_tls(mechanism: dict[str, str]) -> None:
    """SASL/PLAIN without TLS is refused, with what to use instead; SCRAM, or TLS, is taken."""

    def options(**changes: str) -> dict[str, str]:
        given = {"security.protocol": "SASL_PLAINTEXT", **mechanism}
        given |= {name.replace("_", "."): value for name, value in changes.items()}
        return {"WORKER_KAFKA__OPTIONS": json.dumps(given)}

    text = problems(None, options())
    assert "does not encrypt it: use SASL_SSL, or SCRAM-SHA-512" in text
    load_settings(None, {**BASE, **options(security_protocol="SASL_SSL")})


def test_scram_without_tls() -> None:
    """SCRAM does not send the password, and is taken either way."""
    options = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512"}
    load_settings(None, {**BASE, "WORKER_KAFKA__OPTIONS": json.dumps(options)})


@pytest.mark.parametrize(
    ("registry", "says"),
    [
        ({"URL": "registry:8081"}, "not an address"),
        ({"URL": "ftp://registry"}, "not an address"),
        ({"URL": f"https://ann:{CANARY}@registry"}, "holds credentials"),
        ({"URL": "https://r", "USERNAME": "ann"}, "go together"),
        ({"URL": "https://r", "USERNAME": "ann", "PASSWORD": "env:P", "TOKEN": "env:T"}, "not both"),
        ({"URL": "http://r", "TOKEN": "env:T"}, "unencrypted"),
        ({"TOKEN": "env:T"}, "there is no url"),
        ({"OUTPUTS": "register"}, "there is no url"),
    ],
)
def test_registry(registry: dict[str, str], says: str) -> None:
    """A registry's address and credentials fit together, or the settings are refused."""
    text = problems(None, {f"WORKER_REGISTRY__{name}": value for name, value in registry.items()})
    assert says in text
    assert CANARY not in text


def test_one_source_of_ids() -> None:
    """Ids mean what the registry says or what a file says, not now the one and now the other."""
    environment = {"WORKER_REGISTRY__URL": "https://r", "WORKER_EVENT__SCHEMA_IDS": "ids.toml"}
    assert "registry.url goes with neither" in problems(None, environment)


@pytest.mark.parametrize(
    ("reference", "says"), [("env:NOWHERE_TO_BE_FOUND", "is not set"), ("file:/nowhere", "No such file")]
)
def test_secrets_that_are_not_there(reference: str, says: str) -> None:
    """A secret that can't be read is named by its setting and its place."""
    settings = load_settings(None, {**BASE, "WORKER_REGISTRY__URL": "https://r", "WORKER_REGISTRY__TOKEN": reference})
    with pytest.raises(ConfigurationError, match=rf"registry\.token names .*{says}"):
        settings.registry.authorization()
