"""A small OpenID Connect provider on loopback: discovery, keys, authorization code with PKCE, tokens.

It checks what a provider checks, and misbehaves on order.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey

CLIENT, SECRET = "easel-client", "s3cret-of-the-client-0123456789"
ANN = {"sub": "1001", "email": "ann@example.com", "email_verified": True}


class IdentityProvider:
    """One provider. Who signs in is `person`; the browsers that did have a cookie of its."""

    def __init__(self) -> None:
        self.key: Key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.alg = "RS256"
        self.person: Mapping[str, Any] = ANN
        self.codes: dict[str, dict[str, Any]] = {}
        # What it was asked, and what it gave out: nothing of it may be in a log.
        self.authorizations: list[dict[str, str]] = []
        self.exchanges: list[dict[str, str]] = []
        self.given: list[str] = []
        self.fetched: list[str] = []
        self.reset()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def reset(self) -> None:
        """Behave again."""
        self.person = ANN
        self.alg = "RS256"
        # Changes to the claims of an ID token, to discovery, to the answer of the token endpoint; or a token.
        self.claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.metadata: dict[str, Any] = {}
        self.token: Callable[[dict[str, Any]], str] | None = None
        self.answer: tuple[int, dict[str, Any]] | None = None
        self.raw: Callable[[BaseHTTPRequestHandler], None] | None = None

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def rotate(self, name: str | None = "two", kind: str = "RSA") -> None:
        """Sign with a new key, and show only that."""
        about: dict[str, Any] = {"use": "sig"} | ({"kid": name} if name else {})
        if kind == "EC":
            self.key, self.alg = ECKey.generate_key("P-256", about), "ES256"
        else:
            self.key, self.alg = RSAKey.generate_key(2048, about), "RS256"

    def members(self, **settings: Any) -> dict[str, Any]:
        """The section of `config/team.json`."""
        return {"issuer": self.issuer, "client_id": CLIENT, "domains": ["example.com"], **settings}

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def code(self, query: Mapping[str, str]) -> str:
        """A code for an authorization request."""
        code = secrets.token_urlsafe(24)
        self.codes[code] = dict(query)
        self.given.append(code)
        return code

    def signed(self, claims: dict[str, Any], key: Key | None = None, **header: Any) -> str:
        key = key or self.key
        about = {"alg": self.alg, **({"kid": key.kid} if key.kid else {}), **header}
        return jwt.encode(about, claims, key, algorithms=["RS256", "ES256", "HS256", "RS512", "PS256"])

    def tokens(self, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.exchanges.append(asked)
        if (asked["client_id"], asked["client_secret"]) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client", "error_description": f"not {asked['client_secret']}"}
        found = self.codes.pop(asked.get("code", ""), None)
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            found is None
            or found["code_challenge"] != challenge
            or found["redirect_uri"] != asked["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = self.claims(
            {
                "iss": self.issuer, "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": found["nonce"],
                **self.person,
            }
        )  # fmt: skip
        token: Any = self.token(claims) if self.token else self.signed(claims)
        access = secrets.token_urlsafe(24)
        self.given += [access, *([token] if isinstance(token, str) else [])]
        return 200, {"access_token": access, "token_type": "Bearer", "id_token": token}


def _handler(provider: IdentityProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            provider.fetched.append(where.path)
            if provider.raw is not None and where.path.startswith("/.well-known"):
                provider.raw(self)
            elif where.path == "/.well-known/openid-configuration":
                self.data(200, provider.discovery())
            elif where.path == "/keys":
                self.data(200, {"keys": [provider.key.as_dict(private=False)]})
            elif where.path == "/authorize":
                self.authorize({key: values[0] for key, values in parse_qs(where.query).items()})
            elif where.path == "/userinfo":
                self.data(200, dict(provider.person))
            else:
                self.data(404, {})

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = {key: values[0] for key, values in parse_qs(text).items()}
            if basic := self.headers.get("Authorization"):
                name, _, secret = base64.b64decode(basic.removeprefix("Basic ")).decode().partition(":")
                asked |= {"client_id": unquote(name), "client_secret": unquote(secret), "how": "basic"}
            status, answer = provider.tokens({"client_secret": "", **asked})
            self.data(*(provider.answer or (status, answer)))

        def authorize(self, query: dict[str, str]) -> None:
            provider.authorizations.append(query)
            assert query["client_id"] == CLIENT
            assert query["response_type"] == "code"
            back = {"state": query["state"], "iss": provider.issuer}
            if query.get("prompt") == "none" and "idp" not in SimpleCookie(self.headers.get("Cookie", "")):
                back |= {"error": "login_required"}
            else:
                back |= {"code": provider.code(query)}
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri']}?{urlencode(back)}")
            if "code" in back:
                self.send_header("Set-Cookie", "idp=1; Path=/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def data(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    return Handler
