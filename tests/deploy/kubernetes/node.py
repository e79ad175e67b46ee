"""One node: containerd, a kubelet, and a bridge for the pods, which can be reached from this machine and from nowhere else."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.deploy.kubernetes.bed import CNI, BedError, Daemon, output, wait_for
from tests.deploy.kubernetes.control_plane import LOOPBACK, ControlPlane
from tests.deploy.kubernetes.go_programs import KUBERNETES

ADDRESS = "10.99.0.1"  # on an interface that leads nowhere
INTERFACE, BRIDGE = "bed0", "bedpods0"
PAUSE_IMAGE = "docker.io/library/pause:1"
NETWORK = f"""
{{"cniVersion": "0.4.0", "name": "bed", "plugins": [{{
  "type": "bridge", "bridge": "{BRIDGE}", "isGateway": true, "ipMasq": false,
  "ipam": {{"type": "host-local", "ranges": [[{{"subnet": "10.88.0.0/16"}}]], "routes": [{{"dst": "10.0.0.0/8"}}]}}}}]}}
"""
CONTAINERD = """
version = 2
root = "{folder}/containerd-root"
state = "{state}/containerd"
[grpc]
  address = "{state}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{pause}"
  stream_server_address = "{loopback}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""
KUBELET = """
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {address}
healthzBindAddress: {loopback}
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: false}}
  x509: {{clientCAFile: {pki}/ca.crt}}
authorization: {{mode: AlwaysAllow}}
cgroupDriver: cgroupfs
failSwapOn: false
failCgroupV1: false
containerRuntimeEndpoint: unix://{state}/containerd.sock
# Never: what is removed for a full disk can't be pulled again.
imageGCHighThresholdPercent: 100
evictionHard: {{memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}}
podLogsDir: {folder}/pod-logs
"""


class Node:
    """Runs from construction until ``stop``. ``state`` is where sockets are: their paths must be short."""

    def __init__(self, folder: Path, plane: ControlPlane, images: Path) -> None:
        self.folder, self.plane = folder, plane
        self._state = Path("/run/prediction-worker-bed")
        self._clear()
        shutil.rmtree(folder / "kubelet", ignore_errors=True)
        (folder / "cni").mkdir(parents=True, exist_ok=True)
        self._state.mkdir(parents=True)
        self._interface()
        self._containerd = self._start_containerd()
        self._import(images)
        self._kubelet = self._start_kubelet()

    def _import(self, images: Path) -> None:
        """Unless these are the ones that containerd has kept."""
        digests, kept = images.with_suffix(".digests").read_text("utf-8"), self.folder / "containerd-root/digests"
        if not kept.exists() or kept.read_text("utf-8") != digests:
            self._ctr("images", "import", str(images))
            kept.write_text(digests, "utf-8")

    def _interface(self) -> None:
        output("ip", "link", "add", INTERFACE, "type", "bridge")
        output("ip", "address", "add", f"{ADDRESS}/32", "dev", INTERFACE)
        output("ip", "link", "set", INTERFACE, "up")

    def _start_containerd(self) -> Daemon:
        (self.folder / "cni/10-bed.conflist").write_text(NETWORK, "utf-8")
        config = self.folder / "containerd.toml"
        text = CONTAINERD.format(folder=self.folder, state=self._state, pause=PAUSE_IMAGE, loopback=LOOPBACK, cni=CNI)
        config.write_text(text, "utf-8")
        daemon = Daemon("containerd", ["containerd", "-c", config], self.folder)

        def answers() -> bool:
            if not daemon.running:
                raise BedError("containerd has ended: " + daemon.last_words())
            with contextlib.suppress(BedError):
                return bool(self._ctr("version"))
            return False

        wait_for("containerd answers", answers, 30)
        return daemon

    def _start_kubelet(self) -> Daemon:
        config = self.folder / "kubelet.yaml"
        pki = self.plane.authority.folder
        text = KUBELET.format(address=ADDRESS, loopback=LOOPBACK, pki=pki, state=self._state, folder=self.folder)
        config.write_text(text, "utf-8")
        command: list[str | Path] = [
            KUBERNETES.program("kubelet"), f"--config={config}", f"--kubeconfig={self.plane.admin}",
            f"--root-dir={self.folder}/kubelet", "--hostname-override=node", f"--node-ip={ADDRESS}",
        ]  # fmt: skip
        daemon = Daemon("kubelet", command, self.folder)

        def ready() -> bool:
            if not daemon.running:
                raise BedError("the kubelet has ended: " + daemon.last_words())
            asked = ["get", "node", "node", "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}"]
            command = [str(KUBERNETES.program("kubectl")), f"--kubeconfig={self.plane.admin}", *asked]
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout == "True"

        wait_for("the node is ready", ready, 60)
        return daemon

    def stop(self) -> None:
        """Pods that still run are killed with it."""
        self._kubelet.end()
        self._containerd.end()
        self._clear()

    def _ctr(self, *words: str) -> str:
        socket = self._state / "containerd.sock"
        return output("ctr", "-a", socket, "-n", "k8s.io", *words, seconds=300)

    def _clear(self) -> None:
        """What runs on this bed's containerd, also of a bed that was killed: containers, their shims, mounts, interfaces."""
        shims = [process for process in _processes() if str(self._state) in _command_line(process)]
        contained = [process for process in _processes() if _parent(process) in shims]
        for process in [*contained, *shims]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for mount in _mounts_below(self._state, self.folder):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        for interface in (INTERFACE, BRIDGE):
            subprocess.run(["ip", "link", "delete", interface], check=False, capture_output=True)
        shutil.rmtree(self._state, ignore_errors=True)


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command_line(process: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _parent(process: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
    return 0


def _mounts_below(*folders: Path) -> list[str]:
    """The deepest first."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    return [mount for mount in reversed(mounts) if any(mount.startswith(f"{folder}/") for folder in folders)]
