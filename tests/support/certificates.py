"""Certificates for brokers, registries and their clients, of an authority that nobody else trusts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

LOCAL = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Issued:
    """PEM files: a key with its certificate in one (PKCS #8 first, as Java wants it), and each alone."""

    both: Path
    certificate: Path
    key: Path


class Authority:
    """Writes what it issues into a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA()
        self.ca = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca))

    def issue(self, name: str) -> Issued:
        """For servers on this machine, and for clients by the common name."""
        leaf = self._ca.issue_cert(*LOCAL, common_name=name)
        key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        issued = Issued(*(self._folder / f"{name}{part}.pem" for part in ("", "-certificate", "-key")))
        for path, content in ((issued.both, key + chain), (issued.certificate, chain), (issued.key, key)):
            path.touch(mode=0o600)
            path.write_bytes(content)
        return issued
