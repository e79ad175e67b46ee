"""Under which id a registry has the schema of an output, and what is said at the start where it does not."""

from __future__ import annotations

import pytest

from tests.support.registry import Fault, RegistryServer
from worker.errors import ConfigurationError, TransportError
from worker.registry.outputs import check_registry, output_prefix
from worker.settings import Registry

SCHEMA = '{"type": "record", "name": "Prediction", "fields": []}'


def settings(registry: RegistryServer, outputs: str) -> Registry:
    timeout_seconds = 0.2 if registry.fault == "silent" else 30
    return Registry.model_validate({"url": registry.url, "outputs": outputs, "timeout_seconds": timeout_seconds})


def test_single_object(registry: RegistryServer) -> None:
    """Without being told to, predictions don't depend on the registry."""
    assert output_prefix(settings(registry, "single-object"), "p", "prediction", SCHEMA) is None
    assert not registry.asked


def test_registered(registry: RegistryServer) -> None:
    """Registered under the topic's subject, once; from then on it can be looked up."""
    registry.register('"string"')
    assert output_prefix(settings(registry, "register"), "a/b", "prediction", SCHEMA) == b"\x00\x00\x00\x00\x02"
    assert registry.subjects == {"a%2Fb-value": {SCHEMA: 2}}
    assert output_prefix(settings(registry, "look-up"), "a/b", "prediction", SCHEMA) == b"\x00\x00\x00\x00\x02"


def test_not_registered(registry: RegistryServer) -> None:
    """What is not there is named with its subject, and how to get it there."""
    with pytest.raises(ConfigurationError, match=r"does not have schemas/prediction\.avsc as p-value") as caught:
        output_prefix(settings(registry, "look-up"), "p", "prediction", SCHEMA)
    assert "registry.outputs = 'register'" in str(caught.value.hint)


@pytest.mark.parametrize("status", [409, 422])
def test_incompatible(registry: RegistryServer, status: int) -> None:
    """A registry that refuses the schema is not asked again."""
    registry.fault = status
    with pytest.raises(ConfigurationError, match=r"refuses schemas/prediction\.avsc as p-value"):
        output_prefix(settings(registry, "register"), "p", "prediction", SCHEMA)


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        (401, ConfigurationError, "refuses our credentials"),
        (403, ConfigurationError, "refuses our credentials"),
        ("nowhere", ConfigurationError, "is the path in registry.url right"),
        ("silent", TransportError, "no answer in time"),
        (503, TransportError, "answers HTTP 503"),
    ],
)
def test_at_the_start(registry: RegistryServer, fault: Fault | int, error: type[Exception], says: str) -> None:
    """What has to be set right ends the start for good, what passes by itself for a restart."""
    check_registry(settings(registry, "look-up"))
    registry.fault = fault
    for ask in (check_registry, lambda given: output_prefix(given, "p", "prediction", SCHEMA)):
        with pytest.raises(error, match=says) as caught:
            ask(settings(registry, "look-up"))
        assert type(caught.value) is error
