"""The section of the schema registry."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from worker.settings.options import LOOPBACK_HOSTS, resolved
from worker.settings.section import Section

SECRETS = ("password", "token")


class Registry(Section):
    """A Confluent-compatible schema registry (Confluent's own, Apicurio, Karapace); without a URL, files say it all."""

    url: str = Field(
        default="",
        description="Such as https://registry:8081, with the path below which its API lies, if there is one.",
    )
    outputs: Literal["single-object", "look-up", "register"] = Field(
        default="single-object",
        description="How predictions, drift and quality reports, and drift alerts name their schema: by its fingerprint, or by "
        "the id under which the registry has it as <topic>-value ('look-up'), where worker and monitor put it at their start "
        "('register').",
    )
    username: str = Field(default="", description="For basic authentication, with a password.")
    password: str = Field(default="", description="'env:NAME' or 'file:PATH' reads it.")
    token: str = Field(default="", description="For bearer authentication; 'env:NAME' or 'file:PATH' reads it.")
    ca: Path | None = Field(default=None, description="Certificates to trust, PEM; default: the system's.")
    certificate: Path | None = Field(default=None, description="Our own certificate, PEM, for mTLS.")
    key: Path | None = Field(default=None, description="Its key, PEM, without a password; default: in the same file.")
    timeout_seconds: float = Field(default=5, ge=0.1, le=60, description="How long one question may take.")

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        if not url:
            return url
        try:
            parts = urlsplit(url)
            known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            known = None
        if not known or parts.query or parts.fragment:
            raise ValueError("not an address such as https://registry:8081")
        if parts.username is not None or parts.password is not None:
            raise ValueError("holds credentials; use registry.username and registry.password")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.url:
            if self.outputs != "single-object" or self.authenticated:
                raise ValueError("there is no url")
            return self
        if bool(self.username) != bool(self.password):
            raise ValueError("username and password go together")
        if self.username and self.token:
            raise ValueError("username or token, not both")
        parts = urlsplit(self.url)
        if self.authenticated and parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
            raise ValueError("credentials would go over the network unencrypted; use https")
        return self

    @property
    def authenticated(self) -> bool:
        return bool(self.username or self.password or self.token)

    def authorization(self) -> str | None:
        """The value of the HTTP header. Raises ConfigurationError for a secret that can't be read."""
        if self.token:
            return f"Bearer {resolved('registry.token', self.token)}"
        if self.username:
            pair = f"{self.username}:{resolved('registry.password', self.password)}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        return None
