"""An OpenID Connect provider, as far as a client with a secret and a broker look at it: a token endpoint, and its keys."""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class TokenIssuer:
    """Answers client-credentials requests; ``lifetime_seconds`` can be changed, and ``issued`` counts the tokens."""

    issuer = "https://issuer.test"
    audience = "kafka"

    def __init__(self, jwks: Path) -> None:
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        public = self._key.public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": _number(public.n), "e": _number(public.e)}
        jwks.write_text(json.dumps({"keys": [key]}), "utf-8")
        self.jwks_url = jwks.absolute().as_uri()
        self.lifetime_seconds = 3_600
        self.issued = 0
        self.secrets: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, subject: str) -> str:
        """A JWT, signed by RS256."""
        now = int(time.time())
        header = {"alg": "RS256", "typ": "JWT", "kid": "1"}
        claims = {
            "sub": subject,
            "iss": self.issuer,
            "aud": self.audience,
            "scope": "kafka",
            "iat": now,
            "exp": now + self.lifetime_seconds,
        }
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encoded(signature)}"

    def answer(self, authorization: str) -> tuple[HTTPStatus, dict[str, Any]]:
        """To a request with that header (RFC 6749, 4.4)."""
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        name, _, secret = map(urllib.parse.unquote, pair.partition(":"))
        if self.secrets.get(name) != secret:
            return HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"}
        self.issued += 1
        return HTTPStatus.OK, {
            "access_token": self.token(name),
            "token_type": "bearer",
            "expires_in": self.lifetime_seconds,
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = issuer.answer(self.headers.get("Authorization", ""))
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
                """Nobody reads it."""

        return Handler
