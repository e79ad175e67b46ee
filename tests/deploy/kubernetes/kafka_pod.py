"""A Kafka in a pod beside the workers: ``kafka:9092`` plain, ``kafka:9093`` with mutual TLS, and from this machine."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from tests.deploy.kubernetes.bed import wait_for
from tests.deploy.kubernetes.certificates import Authority
from tests.deploy.kubernetes.cluster import Cluster
from tests.deploy.kubernetes.images import KAFKA
from worker.broker.properties import SMALL

NAMESPACE = "kafka"
OUTSIDE_PORT = 19092
SETTINGS = {
    **SMALL,
    # A machine that is busy with other things is no reason to take the broker for dead.
    "broker.session.timeout.ms": "30000",
    "broker.heartbeat.interval.ms": "2000",
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.quorum.voters": "1@localhost:29093",
    "controller.listener.names": "CONTROLLER",
    "listeners": f"INSIDE://:9092,TLS://:9093,OUTSIDE://:{OUTSIDE_PORT},CONTROLLER://localhost:29093",
    "advertised.listeners": f"INSIDE://kafka:9092,TLS://kafka:9093,OUTSIDE://$(POD_ADDRESS):{OUTSIDE_PORT}",
    "listener.security.protocol.map": "INSIDE:PLAINTEXT,TLS:SSL,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "INSIDE",
    "listener.name.tls.ssl.client.auth": "required",
    "listener.name.tls.ssl.keystore.type": "PEM",
    "listener.name.tls.ssl.keystore.location": "/certificates/kafka.pem",
    "listener.name.tls.ssl.truststore.type": "PEM",
    "listener.name.tls.ssl.truststore.location": "/certificates/ca.crt",
}


@dataclass(frozen=True, slots=True)
class KafkaPod:
    """``address`` is what ``kafka`` has to mean in other pods."""

    address: str
    authority: Authority

    @property
    def outside(self) -> str:
        return f"{self.address}:{OUTSIDE_PORT}"


def start_kafka(cluster: Cluster) -> KafkaPod:
    """In a namespace of its own, under the "restricted" standard as well."""
    authority = Authority(cluster.folder / "kafka-pki")
    if (found := _address(cluster)) and authority.path("worker.crt").exists():
        return KafkaPod(found, authority)  # of a cluster that was there before
    authority.found()
    authority.sign("kafka", "/CN=kafka", "DNS:kafka")
    authority.sign("worker", "/CN=worker", "DNS:worker")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "certificates", "namespace": NAMESPACE},
        "stringData": {
            "kafka.pem": authority.read("kafka.key") + authority.read("kafka.crt"),
            "ca.crt": authority.read("ca.crt"),
        },
    }
    cluster.apply(yaml.safe_dump_all([restricted(NAMESPACE), secret]))
    # A namespace gets its service account a moment later; a pod without one is refused.
    cluster.kubectl("wait", "--namespace", NAMESPACE, "--for=create", "serviceaccount/default", "--timeout=30s")
    cluster.apply(yaml.safe_dump(_pod()))
    cluster.kubectl(
        "wait", "--namespace", NAMESPACE, "--for=condition=Ready", "pod/kafka", "--timeout=120s", seconds=130
    )
    wait_for("Kafka has an address", lambda: bool(_address(cluster)), 10)
    return KafkaPod(_address(cluster), authority)


def restricted(name: str) -> dict[str, object]:
    """A namespace that takes no pod below the "restricted" standard."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _address(cluster: Cluster) -> str:
    """Empty while there is none."""
    pods = cluster.get("pods", "--namespace", NAMESPACE)["items"]
    return next((pod["status"].get("podIP", "") for pod in pods), "")


def _pod() -> dict[str, object]:
    own_address = {"name": "POD_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    settings = [{"name": f"KAFKA_{key.upper().replace('.', '_')}", "value": value} for key, value in SETTINGS.items()]
    container = {
        "name": "kafka",
        "image": KAFKA,
        "env": [own_address, *settings],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "readinessProbe": {"tcpSocket": {"port": 9092}, "periodSeconds": 1, "failureThreshold": 120},
        "volumeMounts": [{"name": "certificates", "mountPath": "/certificates", "readOnly": True}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "kafka", "namespace": NAMESPACE},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # Kafka sends transaction markers to itself by its inside name.
            "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["kafka"]}],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "certificates", "secret": {"secretName": "certificates"}}],
        },
    }
