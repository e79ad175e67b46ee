"""A real Apache Kafka with TLS, authentication and an authoriser that lets nobody do what no ACL says.

Its plain listener is the administrator's: whoever connects there is ``User:ANONYMOUS``, a super user.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not re-exported by name
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.support.certificates import Authority
from tests.support.tokens import TokenIssuer
from worker.broker.apache import ApacheKafka

SASL, MUTUAL, UNSIGNED = "SECURED", "MUTUAL", "UNSIGNED"
TIMEOUT_SECONDS = 30.0
_MODULES = "org.apache.kafka.common.security"
_VALIDATOR = f"{_MODULES}.oauthbearer.OAuthBearerValidatorCallbackHandler"
_URLS = "org.apache.kafka.sasl.oauthbearer.allowed.urls"


@dataclass(frozen=True, slots=True)
class Grant:
    """One ACL; ``prefixed``: for all names that begin so."""

    operation: AclOperation
    kind: ResourceType
    name: str
    prefixed: bool = False

    def binding(self, principal: str) -> AclBinding:
        pattern = ResourcePatternType.PREFIXED if self.prefixed else ResourcePatternType.LITERAL
        allow = AclPermissionType.ALLOW
        return AclBinding(self.kind, self.name, pattern, f"User:{principal}", "*", self.operation, allow)


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """``bootstrap`` is the administrator's, the others are for everybody else; ``unsigned`` believes any OAuth token."""

    broker: ApacheKafka
    authority: Authority
    tokens: TokenIssuer

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap

    @property
    def sasl(self) -> str:
        return self.broker.address(SASL)

    @property
    def mutual(self) -> str:
        return self.broker.address(MUTUAL)

    @property
    def unsigned(self) -> str:
        return self.broker.address(UNSIGNED)

    def add_user(self, name: str, password: str) -> None:
        """For SCRAM-SHA-512."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        upsertion = UserScramCredentialUpsertion(name, info, password.encode())
        admin = self._admin()
        _wait(admin.alter_user_scram_credentials([upsertion]))

    def grant(self, principal: str, grants: Iterable[Grant]) -> None:
        admin = self._admin()  # which must be there until it has its answer
        _wait(admin.create_acls([grant.binding(principal) for grant in grants]))

    def revoke(self, principal: str, grant: Grant) -> None:
        admin = self._admin()
        _wait(admin.delete_acls([_filter_of(grant.binding(principal))]))

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})


def _wait(futures: Mapping[Any, Any]) -> None:
    for future in futures.values():
        future.result(TIMEOUT_SECONDS)


def _filter_of(bound: AclBinding) -> Any:
    return AclBindingFilter(
        bound.restype,
        bound.name,
        bound.resource_pattern_type,
        bound.principal,
        bound.host,
        bound.operation,
        bound.permission_type,
    )


@contextlib.contextmanager
def secured_kafka(folder: Path, plain_users: dict[str, str]) -> Iterator[SecuredKafka]:
    """``plain_users``: for SASL/PLAIN, with their passwords."""
    authority, tokens = Authority(folder / "pki"), TokenIssuer(folder / "jwks.json")
    server = authority.issue("broker")
    users = " ".join(f'user_{name}="{password}"' for name, password in plain_users.items())
    listener, bearer = "listener.name.secured", "listener.name.secured.oauthbearer"
    properties = {
        "listener.security.protocol.map": ",".join(
            [
                "CONTROLLER:PLAINTEXT",
                "PLAINTEXT:PLAINTEXT",
                f"{SASL}:SASL_SSL",
                f"{MUTUAL}:SSL",
                f"{UNSIGNED}:SASL_PLAINTEXT",
            ]
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "false",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(server.both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.ca),
        "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]*).*$/$1/",
        "listener.name.mutual.ssl.client.auth": "required",
        f"{listener}.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN,OAUTHBEARER",
        f"{listener}.scram-sha-512.sasl.jaas.config": f"{_MODULES}.scram.ScramLoginModule required;",
        f"{listener}.plain.sasl.jaas.config": f"{_MODULES}.plain.PlainLoginModule required {users};",
        f"{bearer}.sasl.jaas.config": f"{_MODULES}.oauthbearer.OAuthBearerLoginModule required;",
        f"{bearer}.sasl.server.callback.handler.class": _VALIDATOR,
        f"{bearer}.sasl.oauthbearer.jwks.endpoint.url": tokens.jwks_url,
        f"{bearer}.sasl.oauthbearer.expected.audience": tokens.audience,
        f"{bearer}.sasl.oauthbearer.expected.issuer": tokens.issuer,
        "listener.name.unsigned.sasl.enabled.mechanisms": "OAUTHBEARER",
        "listener.name.unsigned.oauthbearer.sasl.jaas.config": (
            f'{_MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
        ),
        "listener.name.unsigned.oauthbearer.connections.max.reauth.ms": "3600000",
        # A session lasts as long as its token, and then needs a new one.
        f"{bearer}.connections.max.reauth.ms": "3600000",
    }
    with _java_options(f"-D{_URLS}={tokens.jwks_url}"):
        broker = ApacheKafka(properties=properties, listeners=(SASL, MUTUAL, UNSIGNED))
        broker.start()
    with contextlib.closing(tokens):
        try:
            yield SecuredKafka(broker, authority, tokens)
        finally:
            broker.stop()


@contextlib.contextmanager
def _java_options(options: str) -> Iterator[None]:
    """For Java processes that are started within."""
    before = os.environ.get("JAVA_TOOL_OPTIONS")
    os.environ["JAVA_TOOL_OPTIONS"] = options
    try:
        yield
    finally:
        if before is None:
            del os.environ["JAVA_TOOL_OPTIONS"]
        else:
            os.environ["JAVA_TOOL_OPTIONS"] = before


__all__ = ["AclOperation", "Grant", "ResourceType", "SecuredKafka", "secured_kafka"]
