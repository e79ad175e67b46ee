"""Image and Compose agree with the program: versions, settings, ports and deadlines; Kubernetes has tests of its own."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from tests.architecture.source import ROOT
from tests.integration.registry.apicurio import VERSION as APICURIO
from worker import __version__
from worker.broker.jars import KAFKA_VERSION
from worker.settings import load_settings
from worker.settings.reference import configuration_page
from worker.shipped import shipped

IMAGE = f"prediction-worker:{__version__}"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
ROLES = [name for name, s in COMPOSE["services"].items() if s["image"] == IMAGE and s.get("restart") != "no"]
IN_IMAGE = "/opt/shipped/"
VARIABLES = frozenset(re.findall(r"`(WORKER_[A-Z_]+)`<?", configuration_page())) | {"WORKER_CONFIG"}


def in_image(path: Path) -> bool:
    """Whether a file that a setting names comes with the image."""
    return str(path).startswith(IN_IMAGE) and shipped(str(path).removeprefix(IN_IMAGE)).is_file()


def test_compose_waits_for_a_stop() -> None:
    """Compose waits for longer than a worker, or a supervisor of several, a monitor and a joiner take to stop."""
    for role in ROLES:
        settings = load_settings(None, COMPOSE["services"][role]["environment"])
        slowest = settings.delivery.grace_seconds + 5
        assert float(COMPOSE["services"][role]["stop_grace_period"].removesuffix("s")) > slowest


def test_compose_has_valid_settings() -> None:
    """The environment of the worker loads, and means broker, schema, bundle and replay of Compose; all others have it, too."""
    services = COMPOSE["services"]
    environment = services["worker"]["environment"]
    assert set(environment) <= VARIABLES
    assert [services[name]["environment"] for name in ("topics", "monitor")] == [environment] * 2
    assert all(environment.keys() <= services[role]["environment"].keys() for role in ROLES)
    settings = load_settings(None, environment)
    listeners = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INSIDE://{settings.kafka.bootstrap}" in listeners
    assert in_image(settings.event.schema_file)
    assert settings.telemetry.host == "0.0.0.0"
    replay = services["replay"]["command"]
    assert replay[replay.index("--bootstrap") + 1] == settings.kafka.bootstrap
    assert replay[replay.index("--topic") + 1] == settings.topics.input
    assert replay[replay.index("--labels-topic") + 1] == settings.topics.labels
    assert settings.labels.enabled
    assert services["bundle"]["command"] == ["--to", str(settings.model.bundle)]


def test_compose_publishes_on_this_machine_only() -> None:
    """No port of Compose is open to the network, and the broker is where documents say it is."""
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert "OUTSIDE://127.0.0.1:9092" in COMPOSE["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert "127.0.0.1:9092:9092" in ports


def test_compose_waits_for_what_it_needs() -> None:
    """All roles start once the topics are made and the bundle is packed; each service waited for exists."""
    services = COMPOSE["services"]
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "test" in services[name]["healthcheck"]
    needed = {role: set(services[role]["depends_on"]) for role in ROLES}
    assert needed.pop("worker-registry") == {"topics", "bundle", "registry"}
    assert all(names == {"topics", "bundle"} for names in needed.values())
    assert services["worker"]["deploy"]["replicas"] == 2
    mounted = {v.partition(":")[0] for service in services.values() for v in service.get("volumes", ())}
    files = {name for name in mounted if name.startswith("./")}
    assert mounted - files == set(COMPOSE["volumes"])
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_compose_is_confined() -> None:
    """Every container has no capability, gains no privilege, is nobody's root, is bounded, and says whether it is well."""
    for name, service in COMPOSE["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        limits = service["deploy"]["resources"]["limits"]
        assert limits["cpus"], name
        assert limits["memory"], name
        assert service["image"] == IMAGE or not service["user"].startswith("0"), name
        assert service["image"].startswith("apache") or service.get("read_only") or name == "registry", name
        lasts = service.get("restart") != "no"
        assert not lasts or service["image"] == IMAGE or "test" in service["healthcheck"], name


def test_compose_speaks_tls() -> None:
    """The worker of the profile has the others' settings, but for the listener with TLS and the certificate by which it knows it."""
    services = COMPOSE["services"]
    environment, plain = services["worker-tls"]["environment"], services["worker"]["environment"]
    different = {name for name in environment if environment[name] != plain.get(name)}
    assert different == {"WORKER_KAFKA__BOOTSTRAP", "WORKER_KAFKA__OPTIONS"}
    settings = load_settings(None, environment)
    kafka = services["kafka"]["environment"]
    assert f"TLS://{settings.kafka.bootstrap}" in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert "TLS:SSL" in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    authority = Path(str(settings.kafka.options["ssl.ca.location"]))
    assert f"certificates:{authority.parent}:ro" in services["worker-tls"]["volumes"]
    (written,) = re.findall(r"-file (\S+)$", services["certificates"]["command"][0], re.MULTILINE)
    assert Path(written).name == authority.name
    assert f"certificates:{Path(written).parent}" in services["certificates"]["volumes"]
    # Whoever trusts the broker does not get its key.
    assert not any(volume.startswith("keys:") for volume in services["worker-tls"]["volumes"])


def test_compose_has_a_registry() -> None:
    """The worker of the profile has the others' settings, but for the registry; the joiner, which reads all predictions, can ask it."""
    services = COMPOSE["services"]
    registering, joiner, plain = (services[name]["environment"] for name in ("worker-registry", "joiner", "worker"))
    assert joiner == plain | {"WORKER_REGISTRY__URL": registering["WORKER_REGISTRY__URL"]}
    assert registering == joiner | {"WORKER_REGISTRY__OUTPUTS": "register"}
    url = load_settings(None, registering).registry.url
    registry = services["registry"]
    port = registry["environment"]["QUARKUS_HTTP_PORT"]
    assert url.startswith(f"http://registry:{port}/")
    assert f"127.0.0.1:{port}:{port}" in registry["ports"]
    assert registry["healthcheck"]["test"][-1].startswith(url.replace("//registry:", "//127.0.0.1:"))
    assert services["worker-registry"]["profiles"] == registry["profiles"]


def test_compose_is_observed() -> None:
    """Prometheus scrapes every worker, the monitor and the joiner at the port that they listen on, and everybody finds their files."""
    services = COMPOSE["services"]
    (scrape,) = observed("prometheus.yml")["scrape_configs"]
    (names,) = scrape["dns_sd_configs"]
    assert scrape["job_name"] == services["worker"]["environment"]["WORKER_KAFKA__GROUP"]
    assert names["names"] == ROLES
    assert names["port"] == load_settings(None, services["worker"]["environment"]).telemetry.port
    (alerts,) = observed("prometheus.yml")["alerting"]["alertmanagers"]
    assert [config["targets"] for config in alerts["static_configs"]] == [["alertmanager:9093"]]
    (source,) = observed("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = observed("grafana/provisioning/dashboards/prediction-worker.yml")["providers"]
    dashboards = provider["options"]["path"]
    assert f"./observability/dashboards:{dashboards}:ro" in services["grafana"]["volumes"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "observability/dashboards" / Path(home).relative_to(dashboards)).is_file()


def observed(path: str) -> Any:
    return yaml.safe_load((ROOT / "observability" / path).read_text("utf-8"))


def test_versions_agree() -> None:
    """One version of the worker, one of Kafka and the registry, and a Python that the project supports, wherever they are named."""
    images = {service["image"] for service in COMPOSE["services"].values()}
    assert {image for image in images if image.startswith("prediction-worker")} == {IMAGE}
    assert {image for image in images if image.startswith("apache/")} == {f"apache/kafka:{KAFKA_VERSION}"}
    assert {image for image in images if image.startswith("apicurio/")} == {f"apicurio/apicurio-registry:{APICURIO}"}
    assert [image for image in images if not re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", image)] == []
    assert f'image.version="{__version__}"' in DOCKERFILE
    (python,) = re.findall(r"^ARG PYTHON_VERSION=([\d.]+)$", DOCKERFILE, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]


def test_the_image_is_small_and_unprivileged() -> None:
    """The last stage installs nothing, runs as a numeric user who is not root, and starts the program itself."""
    *_, last = DOCKERFILE.split("\nFROM ")
    assert not re.search(r"\bpip\b|\bapt", last)
    (user,) = re.findall(r"\nUSER (\d+):\d+\n", last)
    assert int(user) > 0
    assert '\nENTRYPOINT ["prediction-worker"]\nCMD ["run"]\n' in last
    assert "\nSTOPSIGNAL SIGTERM\n" in last
    assert "/healthz" in last


def test_the_image_has_the_extras_of_its_commands() -> None:
    """Unless its build is told otherwise, the image can trace and check manifests: both extras exist, and are installed."""
    (extras,) = re.findall(r"^ARG EXTRAS=(\S*)$", DOCKERFILE, re.MULTILINE)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras.split(",") == ["otel", "plan"]
    assert set(extras.split(",")) <= set(known)
    # The argument is of the stage that installs, and comes before it does.
    _, building, _ = DOCKERFILE.split("\nFROM ")
    assert building.index("ARG EXTRAS") < building.index('"$(echo /wheels/*.whl)${EXTRAS:+[$EXTRAS]}"')


def test_the_image_gets_what_its_build_copies() -> None:
    """Every file that the Dockerfile copies is there, .dockerignore lets it through, and what is shipped is the wheel's."""
    copied = [n for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE) for n in line.split()]
    let_through = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert [name for name in copied if not (ROOT / name).exists() or f"!{name}" not in let_through] == []
    # Not isolated, Python would find the sources in the build folder, which the image does not have.
    assert "python -I -c 'from worker.shipped" in DOCKERFILE
