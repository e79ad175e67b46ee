"""Manifests against settings, partitions and needs: every contradiction, each with the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worker.doctor import Finding
from worker.doctor.findings import error, ok, warning
from worker.planning.joining import JoinerMemory, check_joiner, check_joiner_memory
from worker.planning.manifests import JOIN, RUN, Manifests, Scaler, Workload
from worker.planning.sizing import MIB, Memory
from worker.planning.timeouts import SUPERVISOR_SECONDS
from worker.settings import Settings

_DEFAULT_TERMINATION_SECONDS = 30
_CALM_SECONDS = 120
_PATHS = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def check_manifests(
    manifests: Manifests,
    settings: Sequence[Settings],
    *,
    partitions: int | None,
    memory: Memory | None,
    joiner: JoinerMemory | None = None,
) -> Iterator[Finding]:
    """``settings``: of each workload, in its order. ``partitions``: of the input, and so of the labels; ``memory``: what one
    process of a worker needs, ``joiner``: of a joiner; None: not known, not checked.
    """
    if not manifests.workloads:
        yield error(
            "manifest", "no container runs `prediction-worker run`", "name a Deployment or StatefulSet that does"
        )
    each = list(zip(manifests.workloads, settings, strict=True))
    workers = next((own for workload, own in each if workload.role == RUN), None)
    for workload, own in each:
        scalers = [scaler for scaler in manifests.scalers if scaler.target == workload.name]
        found = [
            *_replicas(workload, scalers, partitions),
            *_scaling(workload, scalers, own),
            *_disruption(workload, scalers, manifests),
            *_stopping(workload, own),
            *_probes(workload, own),
            *_files(workload),
        ]
        if workload.role == JOIN:
            found += [*check_joiner(workload, own, workers)]
            found += [] if joiner is None else check_joiner_memory(workload, _least(workload, scalers), joiner)
        else:
            found += _resources(workload, memory)
        yield from found or [ok("manifest", f"{workload.kind} {workload.name} agrees with settings and needs")]


def _replicas(workload: Workload, scalers: list[Scaler], partitions: int | None) -> Iterator[Finding]:
    name, each, replicas = workload.name, workload.processes, workload.spec.get("replicas")
    bounds = [(f"{scaler.kind} {scaler.name}", scaler.most) for scaler in scalers]
    if replicas is not None:
        bounds.append((f"{workload.kind} {name}", int(replicas)))
    for what, pods in bounds:
        if partitions is not None and pods * each > partitions:
            beside = f" of {each} processes" if each > 1 else ""
            yield error(
                "replicas",
                f"{what}: {pods} pods{beside}, and {partitions} partitions: {pods * each - partitions} processes would stand idle",
                f"at most {partitions // each} pods, or more partitions",
            )
    if scalers and replicas is not None:
        yield warning(
            "replicas", f"{name} has replicas and a scaler: each apply sets it back to {replicas}", "leave replicas out"
        )
    if partitions is None:
        yield warning(
            "replicas",
            f"how many partitions there are is not known, so {name}'s replicas were not compared",
            "say --partitions",
        )


def _scaling(workload: Workload, scalers: list[Scaler], settings: Settings) -> Iterator[Finding]:
    if len(scalers) > 1:
        names = " and ".join(f"{scaler.kind} {scaler.name}" for scaler in scalers)
        yield error(
            "scaling", f"{names} both scale {workload.name}", "leave one; a ScaledObject makes its own autoscaler"
        )
    for scaler in scalers:
        if scaler.least > scaler.most:
            yield error("scaling", f"{scaler.name}: the least is {scaler.least}, the most {scaler.most}", "swap them")
        yield from _calm(scaler)
        by_cpu = any(_of_cpu(metric) for metric in scaler.spec.get("metrics") or ())
        if by_cpu and workload.resource("requests", "cpu") is None:
            yield error(
                "scaling",
                f"{scaler.name} scales by a share of the CPU request, and there is none",
                "set resources.requests.cpu",
            )
        for trigger in scaler.spec.get("triggers") or ():
            yield from _trigger(scaler, trigger, settings, workload.role)


def _calm(scaler: Scaler) -> Iterator[Finding]:
    behavior: Mapping[str, Any] = scaler.spec.get("behavior") or (
        ((scaler.spec.get("advanced") or {}).get("horizontalPodAutoscalerConfig") or {}).get("behavior") or {}
    )
    seconds = (behavior.get("scaleDown") or {}).get("stabilizationWindowSeconds", 300)
    if seconds < _CALM_SECONDS:
        yield warning(
            "scaling",
            f"{scaler.name} takes pods away after {seconds} quiet seconds: each is a rebalance",
            f"set scaleDown.stabilizationWindowSeconds to {_CALM_SECONDS} or more",
        )


def _of_cpu(metric: Mapping[str, Any]) -> bool:
    resource = metric.get("resource") or {}
    return resource.get("name") == "cpu" and (resource.get("target") or {}).get("type") == "Utilization"


def _trigger(scaler: Scaler, trigger: Mapping[str, Any], settings: Settings, role: str) -> Iterator[Finding]:
    if trigger.get("type") not in ("kafka", "apache-kafka"):
        return
    said = trigger.get("metadata") or {}
    wanted = {"topic": settings.topics.input, "consumerGroup": settings.kafka.group}
    if role == JOIN:
        wanted = {"topic": settings.topics.labels, "consumerGroup": settings.kafka.joiner_group}
    whose = "the joiner's" if role == JOIN else "the worker's"
    own_names = {"apache-kafka": {"consumerGroup": "group"}}.get(trigger["type"], {})
    for key, value in wanted.items():
        name = own_names.get(key, key)
        if name in said and said[name] != value:
            yield error(
                "scaling",
                f"{scaler.name} looks at {name} {said[name]!r}, {whose} is {value!r}",
                f"set {name} to {value}",
            )
    if str(said.get("allowIdleConsumers", "false")).lower() == "true":
        yield warning("scaling", f"{scaler.name} allows more pods than partitions", "leave allowIdleConsumers out")


def _least(workload: Workload, scalers: list[Scaler]) -> int:
    """How many pods there may be, at least."""
    return max(1, min((scaler.least for scaler in scalers), default=int(workload.spec.get("replicas") or 1)))


def _disruption(workload: Workload, scalers: list[Scaler], manifests: Manifests) -> Iterator[Finding]:
    least = _least(workload, scalers)
    for budget in manifests.disruption:
        wanted: Mapping[str, str] = (budget.get("selector") or {}).get("matchLabels") or {}
        if not wanted.items() <= workload.labels.items():
            continue  # of other pods
        available, unavailable = budget.get("minAvailable"), budget.get("maxUnavailable")
        kept = isinstance(available, int) and available >= least
        if kept or available == "100%" or unavailable in (0, "0%"):
            yield error(
                "disruption",
                f"the disruption budget keeps every pod of {workload.name}, so that no node can be drained",
                "set maxUnavailable: 1",
            )


def _stopping(workload: Workload, settings: Settings) -> Iterator[Finding]:
    given = float(workload.pod.get("terminationGracePeriodSeconds", _DEFAULT_TERMINATION_SECONDS))
    beside = workload.processes > 1 or settings.drift.monitor or settings.labels.joiner
    needed = settings.delivery.grace_seconds + (SUPERVISOR_SECONDS if beside and workload.role == RUN else 0.0)
    if given <= needed:
        yield error(
            "stopping",
            f"{workload.name} is killed after {given:g} s, while a stop may take {needed:g} s (delivery.grace_seconds)",
            f"set terminationGracePeriodSeconds to {needed + 5:g} or more",
        )


def _probes(workload: Workload, settings: Settings) -> Iterator[Finding]:
    telemetry, name = settings.telemetry, workload.name
    named = {port.get("name"): port.get("containerPort") for port in workload.container.get("ports") or ()}
    probed = False
    for probe, path in _PATHS.items():
        get = (workload.container.get(probe) or {}).get("httpGet")
        if get is None:
            if probe != "startupProbe":
                yield warning("probes", f"{name} has no {probe} by HTTP", f"let it get {path}")
            continue
        probed = True
        if get.get("path") != path:
            yield error(
                "probes", f"{name}: {probe} gets {get.get('path')}, which says something else", f"let it get {path}"
            )
        port = named.get(get.get("port"), get.get("port"))
        if port != telemetry.port:
            yield error(
                "probes", f"{name}: {probe} asks port {port}, telemetry.port is {telemetry.port}", "let them agree"
            )
    if probed and telemetry.host in ("127.0.0.1", "localhost", "::1"):
        yield error(
            "probes",
            f"{name} listens on {telemetry.host}, where no probe reaches it",
            "set WORKER_TELEMETRY__HOST to 0.0.0.0",
        )
    yield from _liveness(workload, settings)


def _liveness(workload: Workload, settings: Settings) -> Iterator[Finding]:
    probe = workload.container.get("livenessProbe") or {}
    patience = float(probe.get("periodSeconds", 10)) * float(probe.get("failureThreshold", 3))
    if probe and "httpGet" not in probe and patience <= settings.delivery.watchdog_seconds:
        yield error(
            "probes",
            f"{workload.name}: liveness gives up after {patience:g} s, before the watchdog acts ({settings.delivery.watchdog_seconds:g} s)",
            "raise periodSeconds or failureThreshold",
        )
    if probe and float(probe.get("timeoutSeconds", 1)) < 2:
        yield warning(
            "probes",
            f"{workload.name}: a liveness probe has one second, which a node under load may not answer in",
            "set timeoutSeconds to 3",
        )


def _resources(workload: Workload, memory: Memory | None) -> Iterator[Finding]:
    limit, request = workload.resource("limits", "memory"), workload.resource("requests", "memory")
    if limit is None:
        yield warning("memory", f"{workload.name} has no memory limit", "set resources.limits.memory")
    if memory is None:
        return
    need, want = memory.need * workload.processes, memory.limit * workload.processes
    if limit is not None and limit < need:
        yield error(
            "memory",
            f"{workload.name} may have {limit / MIB:,.0f} MiB, and needs about {need / MIB:,.0f}",
            f"set resources.limits.memory to {want / MIB:.0f}Mi",
        )
    if request is not None and request < need:
        yield warning(
            "memory",
            f"{workload.name} requests {request / MIB:,.0f} MiB, and needs about {need / MIB:,.0f}",
            f"set resources.requests.memory to {need / MIB:.0f}Mi",
        )


def _files(workload: Workload) -> Iterator[Finding]:
    """The lock of a transactional id's slot is a file."""
    read_only = (workload.container.get("securityContext") or {}).get("readOnlyRootFilesystem", False)
    mounted = {mount.get("mountPath") for mount in workload.container.get("volumeMounts") or ()}
    place = workload.environment.get("TMPDIR", "/tmp")  # noqa: S108 - in the container
    if read_only and place not in mounted:
        yield error(
            "files",
            f"{workload.name}: the root is read-only, and nothing is mounted at {place}",
            f"mount an emptyDir at {place}",
        )
