"""Settings, and a manifest that agrees with them."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from worker.settings import Settings, load_settings

_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: loans}
spec:
  template:
    spec:
      terminationGracePeriodSeconds: 40
      containers:
        - name: worker
          image: registry.example/prediction-worker:1
          args: [run, --config, /etc/worker.toml]
          env: [{name: WORKER_TELEMETRY__HOST, value: 0.0.0.0}]
          ports: [{name: telemetry, containerPort: 9464}]
          livenessProbe: {httpGet: {path: /healthz, port: telemetry}, timeoutSeconds: 3}
          readinessProbe: {httpGet: {path: /readyz, port: telemetry}}
          securityContext: {readOnlyRootFilesystem: true}
          volumeMounts: [{name: tmp, mountPath: /tmp}]
          resources: {requests: {cpu: 500m, memory: 512Mi}, limits: {memory: 1Gi}}
"""
_AUTOSCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: loans}
spec:
  scaleTargetRef: {kind: Deployment, name: loans}
  minReplicas: 2
  maxReplicas: 6
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}
"""
_SCALED = """
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: loans}
spec:
  scaleTargetRef: {name: loans}
  minReplicaCount: 1
  maxReplicaCount: 6
  triggers:
    - type: kafka
      metadata: {bootstrapServers: "broker:9092", topic: loans, consumerGroup: loans-worker, lagThreshold: "1000"}
"""


def settings(**environment: str) -> Settings:
    known = {
        "WORKER_KAFKA__BOOTSTRAP": "broker:9092",
        "WORKER_KAFKA__GROUP": "loans-worker",
        "WORKER_TOPICS__INPUT": "loans",
        "WORKER_EVENT__SCHEMA": "loan.avsc",
        "WORKER_MODEL__BUNDLE": "bundle",
        "WORKER_TELEMETRY__HOST": "0.0.0.0",
    }
    return load_settings(None, known | environment)


def deployment() -> dict[str, Any]:
    return dict(yaml.safe_load(_DEPLOYMENT))


def autoscaler() -> dict[str, Any]:
    return dict(yaml.safe_load(_AUTOSCALER))


def scaled_object() -> dict[str, Any]:
    return dict(yaml.safe_load(_SCALED))


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a dotted path (numbers are places in lists); None takes the entry out."""
    copied = copy.deepcopy(document)
    *way, last = path.split(".")
    place: Any = copied
    for step in way:
        place = place[int(step) if isinstance(place, list) else step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return copied
