"""An authority for a day or two, and what it signs, by openssl."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from tests.deploy.kubernetes.bed import output

DAYS = "2"


class Authority:
    """Writes ``<name>.key`` and ``<name>.crt``, PEM, into its folder; its own are ``ca.key`` and ``ca.crt``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def found(self) -> Self:
        """Make its own key and certificate."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", DAYS, "-subj", "/CN=ca",
            "-keyout", "ca.key", "-out", "ca.crt",
        )  # fmt: skip
        return self

    def sign(self, name: str, subject: str, names: str) -> None:
        """``subject`` as openssl writes it (/O=group/CN=name), ``names`` too (DNS:kafka,IP:127.0.0.1)."""
        self._openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr"
        )
        extensions = f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n"
        (self.folder / f"{name}.ext").write_text(extensions, "utf-8")
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", DAYS, "-extfile", f"{name}.ext", "-out", f"{name}.crt",
        )  # fmt: skip

    def path(self, file: str) -> Path:
        return self.folder / file

    def read(self, file: str) -> str:
        return self.path(file).read_text("utf-8")

    def _openssl(self, *words: str) -> None:
        output("openssl", *words, folder=self.folder)
