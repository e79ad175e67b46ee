"""One question to a registry: bounded in time and size, over TLS, with credentials."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.registry import Fault, RegistryServer, registry_server, server_context
from worker.broker.ports import free
from worker.errors import ConfigurationError, SchemaUnavailable
from worker.registry.http import MAX_ANSWER_BYTES, RegistryHttp
from worker.settings import Registry

SECRET = "canary-Rt61-registry"


def http(registry: RegistryServer, **settings: object) -> RegistryHttp:
    return RegistryHttp(Registry.model_validate({"url": registry.url, **settings}))


def test_an_answer(registry: RegistryServer) -> None:
    """Status, body and the registry's own error code come back."""
    number = registry.register('"string"')
    answer = http(registry).get(f"/schemas/ids/{number}")
    assert (answer.status, answer.body, answer.error_code) == (200, {"schema": '"string"'}, 0)
    assert http(registry).get("/schemas/ids/99").error_code == 40403


def test_below_a_path(registry: RegistryServer) -> None:
    """The path of the URL stands before that of the question, as Apicurio wants it."""
    http(registry, url=f"{registry.url}/apis/ccompat/v7/").get("/schemas/types")
    assert list(registry.asked) == ["/apis/ccompat/v7/schemas/types"]


@pytest.mark.parametrize("fault", ["silent", "dripping", "dripping headers"])
def test_an_answer_has_a_deadline(registry: RegistryServer, fault: Fault) -> None:
    """A registry that does not answer, or goes on answering for ever, is given up in time, whatever trickles in."""
    registry.fault = fault
    with pytest.raises(SchemaUnavailable, match="no answer in time"):
        http(registry, timeout_seconds=0.3).get("/schemas/ids/1")


def test_an_answer_has_a_largest_size(registry: RegistryServer) -> None:
    """More than the largest schema takes is not read."""
    registry.fault = "oversized"
    with pytest.raises(SchemaUnavailable, match=f"more than {MAX_ANSWER_BYTES} bytes"):
        http(registry).get("/schemas/ids/1")


def test_hung_up(registry: RegistryServer) -> None:
    """A connection that ends without an answer is no answer."""
    registry.fault = "hangs up"
    with pytest.raises(SchemaUnavailable):
        http(registry).get("/schemas/ids/1")


def test_nobody_there() -> None:
    """An address where nobody listens is named."""
    url = f"http://127.0.0.1:{free(1)[0]}"
    with pytest.raises(SchemaUnavailable, match=f"{url}: Connection refused"):
        RegistryHttp(Registry(url=url)).get("/schemas/ids/1")


def test_basic_and_bearer(registry: RegistryServer, tmp_path: Path) -> None:
    """Credentials from files are sent as the two schemes want them; without them the answer is 401."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    secret = f"file:{tmp_path / 'secret'}"
    registry.authorization = f"Basic {b64encode(f'ann:{SECRET}'.encode()).decode()}"
    assert http(registry, username="ann", password=secret).get("/schemas/types").status == 200
    assert http(registry).get("/schemas/types").status == 401
    registry.authorization = f"Bearer {SECRET}"
    assert http(registry, token=secret).get("/schemas/types").status == 200


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def test_tls(authority: Authority) -> None:
    """A certificate of a trusted authority is taken, any other refused, with the reason."""
    server = authority.issue("registry")
    with registry_server(server_context(str(server.certificate), str(server.key))) as registry:
        assert http(registry, ca=authority.ca).get("/schemas/types").status == 200
        with pytest.raises(SchemaUnavailable, match="its certificate is not trusted"):
            http(registry).get("/schemas/types")


def test_deadline_over_tls(authority: Authority) -> None:
    """The deadline holds behind TLS, too."""
    server = authority.issue("registry")
    with registry_server(server_context(str(server.certificate), str(server.key))) as registry:
        registry.fault = "dripping"
        with pytest.raises(SchemaUnavailable, match="no answer in time"):
            http(registry, ca=authority.ca, timeout_seconds=0.5).get("/schemas/types")


def test_mutual_tls(authority: Authority) -> None:
    """Our own certificate is shown where a registry wants to see one, and without it there is no answer."""
    server, ours = authority.issue("registry"), authority.issue("worker")
    context = server_context(str(server.certificate), str(server.key), trusted=str(authority.ca))
    with registry_server(context) as registry:
        asking = http(registry, ca=authority.ca, certificate=ours.certificate, key=ours.key)
        assert asking.get("/schemas/types").status == 200
        assert http(registry, ca=authority.ca, certificate=ours.both).get("/schemas/types").status == 200
        with pytest.raises(SchemaUnavailable):
            http(registry, ca=authority.ca).get("/schemas/types")


@pytest.mark.parametrize("name", ["ca", "certificate"])
def test_certificates_that_are_none(tmp_path: Path, name: str) -> None:
    """A file that is missing or no PEM is our configuration's fault, found before anything is asked."""
    (tmp_path / "no.pem").write_text("no certificate")
    for path in (tmp_path / "no.pem", tmp_path / "nowhere.pem"):
        with pytest.raises(ConfigurationError, match="certificates can't be used"):
            RegistryHttp(Registry.model_validate({"url": "https://127.0.0.1:1", name: path}))
