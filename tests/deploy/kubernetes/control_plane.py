"""etcd, API server, controller manager and scheduler, on the loopback interface."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.deploy.kubernetes.bed import BedError, Daemon, output, wait_for
from tests.deploy.kubernetes.certificates import Authority
from tests.deploy.kubernetes.go_programs import KUBERNETES
from worker.broker import ports

LOOPBACK = "127.0.0.1"
SERVICES = "10.0.0.0/24"


class ControlPlane:
    """Runs from construction until ``stop``. ``admin`` is the kubeconfig of one who may everything."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        self.admin = folder / "admin.conf"
        self._daemons: list[Daemon] = []
        self._ports = dict(zip(("api", "etcd", "peer", "manager", "scheduler"), ports.free(5), strict=True))
        self._certify()
        self._etcd()
        self._api_server()
        self._controllers()

    def _certify(self) -> None:
        self.authority = Authority(self.folder / "pki").found()
        output("openssl", "genrsa", "-out", "sa.key", "2048", folder=self.authority.folder)
        output("openssl", "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub", folder=self.authority.folder)
        sign = self.authority.sign
        sign("api", "/CN=kube-apiserver", f"IP:{LOOPBACK},IP:10.0.0.1,DNS:localhost,DNS:kubernetes.default.svc")
        sign("admin", "/O=system:masters/CN=admin", "DNS:admin")
        sign("manager", "/CN=system:kube-controller-manager", "DNS:manager")
        sign("front", "/CN=front-proxy", "DNS:front")
        sign("aggregated", "/CN=aggregated", f"IP:{LOOPBACK},DNS:localhost,DNS:keda-operator")
        for name, file in (("admin", self.admin), ("manager", self.folder / "manager.conf")):
            self._kubeconfig(name, file)

    def _kubeconfig(self, name: str, file: Path) -> None:
        config: list[str | Path] = [KUBERNETES.program("kubectl"), "config", "--kubeconfig", file]
        pki, server = self.authority.folder, f"https://{LOOPBACK}:{self._ports['api']}"
        output(
            *config,
            "set-cluster",
            "bed",
            f"--server={server}",
            f"--certificate-authority={pki}/ca.crt",
            "--embed-certs",
        )
        certificate = (f"--client-certificate={pki}/{name}.crt", f"--client-key={pki}/{name}.key")
        output(*config, "set-credentials", "user", *certificate, "--embed-certs")
        output(*config, "set-context", "bed", "--cluster=bed", "--user=user")
        output(*config, "use-context", "bed")

    def _etcd(self) -> None:
        client, peer = (f"http://{LOOPBACK}:{self._ports[name]}" for name in ("etcd", "peer"))
        self._run(
            "etcd", f"--data-dir={self.folder}/etcd", f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}", "--unsafe-no-fsync",
        )  # fmt: skip

    def _api_server(self) -> None:
        pki = self.authority.folder
        self._run(
            "kube-apiserver", f"--etcd-servers=http://{LOOPBACK}:{self._ports['etcd']}",
            f"--bind-address={LOOPBACK}", f"--advertise-address={LOOPBACK}", f"--secure-port={self._ports['api']}",
            f"--tls-cert-file={pki}/api.crt", f"--tls-private-key-file={pki}/api.key",
            f"--client-ca-file={pki}/ca.crt", f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            "--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=Node,RBAC",
            f"--service-cluster-ip-range={SERVICES}", "--endpoint-reconciler-type=none",
            "--kubelet-preferred-address-types=InternalIP", f"--kubelet-client-certificate={pki}/admin.crt",
            f"--kubelet-client-key={pki}/admin.key", f"--requestheader-client-ca-file={pki}/ca.crt",
            "--requestheader-allowed-names=front-proxy", "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki}/front.crt", f"--proxy-client-key-file={pki}/front.key",
        )  # fmt: skip
        wait_for("the API server is ready", self._is_ready, 120)

    def _controllers(self) -> None:
        pki, config = self.authority.folder, self.folder / "manager.conf"
        self._run(
            "kube-controller-manager", f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}", "--leader-elect=false", f"--bind-address={LOOPBACK}",
            f"--secure-port={self._ports['manager']}", "--use-service-account-credentials",
            f"--service-account-private-key-file={pki}/sa.key", f"--root-ca-file={pki}/ca.crt",
            "--allocate-node-cidrs=false",
        )  # fmt: skip
        self._run(
            "kube-scheduler", f"--kubeconfig={self.admin}", "--leader-elect=false", f"--bind-address={LOOPBACK}",
            f"--secure-port={self._ports['scheduler']}",
        )  # fmt: skip

    def _run(self, program: str, *options: str) -> None:
        self._daemons.append(Daemon(program, [KUBERNETES.program(program), *options], self.folder))

    def _is_ready(self) -> bool:
        if ended := [daemon.last_words() for daemon in self._daemons if not daemon.running]:
            raise BedError("the control plane has ended: " + ended[0])
        asked = [str(KUBERNETES.program("kubectl")), f"--kubeconfig={self.admin}", "get", "--raw", "/readyz"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout == "ok"

    def stop(self) -> None:
        """Controllers, API server, etcd: in another order the API server waits for ever."""
        for daemon in reversed(self._daemons):
            daemon.end()
