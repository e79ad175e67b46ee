"""What is deployed agrees with the program: versions, settings, ports, probes and deadlines."""

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.source import ROOT, modules
from worker import __version__
from worker.broker.jars import KAFKA_VERSION
from worker.settings import Settings, load_settings
from worker.settings.reference import configuration_page
from worker.shipped import shipped

IMAGE = f"prediction-worker:{__version__}"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
BASE = ROOT / "k8s/base"
IN_IMAGE = "/opt/shipped/"
VARIABLES = frozenset(re.findall(r"`(WORKER_[A-Z_]+)`<?", configuration_page())) | {"WORKER_CONFIG"}


def manifest(kind: str) -> dict[str, Any]:
    """The one manifest of its kind among the base's files."""
    found = [
        m for path in BASE.glob("*.yaml") for m in yaml.safe_load_all(path.read_text("utf-8")) if m["kind"] == kind
    ]
    assert len(found) == 1, kind
    return dict(found[0])


@pytest.fixture
def pod() -> dict[str, Any]:
    return dict(manifest("Deployment")["spec"]["template"]["spec"])


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    return dict(only)


@pytest.fixture
def deployed(container: dict[str, Any]) -> Settings:
    """The settings as a pod has them: the file of the config map, and the environment."""
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert set(environment) <= VARIABLES
    return load_settings(BASE / "worker.toml", environment)


def path_of_probe(container: dict[str, Any], probe: str) -> str:
    get = container[f"{probe}Probe"]["httpGet"]
    assert get["port"] in {port["name"] for port in container["ports"]}
    return str(get["path"])


def served_paths() -> set[str]:
    """Every path-like text in the telemetry server."""
    (module,) = (m for m in modules() if m.name == "worker.telemetry.http")
    constants = (n.value for n in ast.walk(module.tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return {text for text in constants if re.fullmatch(r"/[a-z]+", text)}


def in_image(path: Path) -> bool:
    """Whether a file that a setting names comes with the image."""
    return str(path).startswith(IN_IMAGE) and shipped(str(path).removeprefix(IN_IMAGE)).is_file()


def test_pods_have_valid_settings(deployed: Settings) -> None:
    """The config map and the environment of a pod load, listen beyond the pod, and name a schema of the image."""
    assert deployed.telemetry.host == "0.0.0.0"
    assert in_image(deployed.event.schema_file)


def test_pods_are_told_where_their_settings_are(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """The settings file named on the command line is the one that kustomize puts into the mounted config map."""
    command, option, path = container["args"]
    assert (command, option) == ("run", "--config")
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert Path(path).parent == Path(mounts["settings"])
    (generated,) = manifest("Kustomization")["configMapGenerator"]
    assert Path(path).name in generated["files"]
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "settings")
    assert volume["configMap"]["name"] == generated["name"]


def test_pods_find_their_bundle(container: dict[str, Any], deployed: Settings) -> None:
    """The bundle's folder lies on the mounted volume, which the worker can't write."""
    (models,) = (mount for mount in container["volumeMounts"] if mount["name"] == "models")
    assert deployed.model.bundle.is_relative_to(models["mountPath"])
    assert models["readOnly"]


def test_probes_ask_what_is_served(container: dict[str, Any], deployed: Settings) -> None:
    """Probes and scraping ask for paths of the telemetry server, at the port of the settings."""
    probes = {probe: path_of_probe(container, probe) for probe in ("startup", "liveness", "readiness")}
    assert probes == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    scraped = manifest("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert {*probes.values(), scraped["prometheus.io/path"]} == served_paths()
    assert [port["containerPort"] for port in container["ports"]] == [deployed.telemetry.port]
    assert scraped["prometheus.io/port"] == str(deployed.telemetry.port)


def test_pods_have_time_to_stop(pod: dict[str, Any], deployed: Settings) -> None:
    """Kubernetes and Compose wait for longer than the worker, or a supervisor of several, takes to stop."""
    slowest = deployed.delivery.grace_seconds + 5
    assert pod["terminationGracePeriodSeconds"] > slowest
    assert float(COMPOSE["services"]["worker"]["stop_grace_period"].removesuffix("s")) > slowest


def test_pods_are_confined(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """Pods fit the restricted security standard, have a read-only root and hold no token."""
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert not manifest("ServiceAccount")["automountServiceAccountToken"]
    security = container["securityContext"]
    assert not security["allowPrivilegeEscalation"]
    assert security["readOnlyRootFilesystem"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    writable = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    assert {m["mountPath"] for m in container["volumeMounts"] if m["name"] in writable} == {"/tmp"}


def test_the_group_scales_slowly() -> None:
    """The autoscaler means our Deployment, owns its replicas, and takes pods away one at a time."""
    scaler, deployment = manifest("HorizontalPodAutoscaler")["spec"], manifest("Deployment")
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 10)
    down = scaler["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] > scaler["behavior"]["scaleUp"]["stabilizationWindowSeconds"]
    assert [policy["value"] for policy in down["policies"]] == [1]
    assert manifest("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_every_manifest_is_applied() -> None:
    """The kustomization names every other file of the base, and only files that are there."""
    kustomization = manifest("Kustomization")
    named = {*kustomization["resources"], *kustomization["configMapGenerator"][0]["files"], "kustomization.yaml"}
    assert named == {path.name for path in BASE.iterdir()}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_builds_the_base() -> None:
    """kubectl builds the base, and selectors find the pods."""
    command = ["kubectl", "kustomize", str(BASE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    built = {m["kind"]: m for m in yaml.safe_load_all(done.stdout)}
    labels = built["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels
    assert built["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert built["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    (settings, *_) = built["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert settings["configMap"]["name"] == built["ConfigMap"]["metadata"]["name"]


def test_compose_has_valid_settings() -> None:
    """The environment of the worker and of the topics' maker loads; both mean the broker, schema and bundle of Compose."""
    services = COMPOSE["services"]
    environment = services["worker"]["environment"]
    assert set(environment) <= VARIABLES
    assert services["topics"]["environment"] == environment
    settings = load_settings(None, environment)
    listeners = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INSIDE://{settings.kafka.bootstrap}" in listeners
    assert in_image(settings.event.schema_file)
    assert settings.telemetry.host == "0.0.0.0"
    replay = services["replay"]["command"]
    assert replay[replay.index("--bootstrap") + 1] == settings.kafka.bootstrap
    assert replay[replay.index("--topic") + 1] == settings.topics.input
    assert services["bundle"]["command"] == ["--to", str(settings.model.bundle)]


def test_compose_publishes_on_this_machine_only() -> None:
    """No port of Compose is open to the network, and the broker is where documents say it is."""
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert "OUTSIDE://127.0.0.1:9092" in COMPOSE["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert "127.0.0.1:9092:9092" in ports


def test_compose_waits_for_what_it_needs() -> None:
    """Workers start once the topics are made and the bundle is packed; each service waited for exists."""
    services = COMPOSE["services"]
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "test" in services[name]["healthcheck"]
    assert set(services["worker"]["depends_on"]) == {"topics", "bundle"}
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


def test_compose_is_observed(container: dict[str, Any]) -> None:
    """Prometheus scrapes every worker and the monitor at the port that they listen on, and everybody finds their files."""
    services = COMPOSE["services"]
    (scrape,) = observed("prometheus.yml")["scrape_configs"]
    (names,) = scrape["dns_sd_configs"]
    assert scrape["job_name"] == services["worker"]["environment"]["WORKER_KAFKA__GROUP"]
    roles = [name for name, s in services.items() if s["image"] == IMAGE and s.get("restart") != "no"]
    assert names["names"] == roles
    assert [names["port"]] == [port["containerPort"] for port in container["ports"]]
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


def test_versions_agree(container: dict[str, Any]) -> None:
    """One version of the worker, one of Kafka, and a Python that the project supports, wherever they are named."""
    assert container["image"] == IMAGE
    images = {service["image"] for service in COMPOSE["services"].values()}
    assert {image for image in images if image.startswith("prediction-worker")} == {IMAGE}
    assert {image for image in images if image.startswith("apache/")} == {f"apache/kafka:{KAFKA_VERSION}"}
    assert [image for image in images if not re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", image)] == []
    assert f'image.version="{__version__}"' in DOCKERFILE
    (python,) = re.findall(r"^ARG PYTHON_VERSION=([\d.]+)$", DOCKERFILE, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]


def test_the_image_is_small_and_unprivileged(pod: dict[str, Any]) -> None:
    """The last stage installs nothing, runs as the numeric user of the pods, and starts the program itself."""
    *_, last = DOCKERFILE.split("\nFROM ")
    assert not re.search(r"\bpip\b|\bapt", last)
    user = pod["securityContext"]
    assert f"\nUSER {user['runAsUser']}:{user['runAsGroup']}\n" in last
    assert '\nENTRYPOINT ["prediction-worker"]\nCMD ["run"]\n' in last
    assert "\nSTOPSIGNAL SIGTERM\n" in last
    assert "/healthz" in last


def test_the_image_gets_what_its_build_copies() -> None:
    """Every file that the Dockerfile copies is there, .dockerignore lets it through, and what is shipped is the wheel's."""
    copied = [n for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE) for n in line.split()]
    let_through = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert [name for name in copied if not (ROOT / name).exists() or f"!{name}" not in let_through] == []
    # Not isolated, Python would find the sources in the build folder, which the image does not have.
    assert "python -I -c 'from worker.shipped" in DOCKERFILE
