"""The gateway's operator API, as the `easel` command speaks it (docs/architecture.md, Operator API)."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from scripts.settings import Refusal, shown


class NotRunning(Refusal):
    """No gateway runs under this EASEL_HOME."""

    def __init__(self, home: Path) -> None:
        super().__init__(f"nothing runs under {shown(home)}: start it with `make up`, or set EASEL_HOME")


class NotAnswering(Refusal):
    """A gateway runs, but does not answer (yet)."""


def running(home: Path) -> dict[str, Any] | None:
    """What `run/gateway.json` says, if the process that wrote it is still there."""
    try:
        found = json.loads((home / "run" / "gateway.json").read_text())
        os.kill(int(found["pid"]), 0)
        return {"pid": int(found["pid"]), "url": str(found["url"]), "token": str(found["token"])}
    except PermissionError:
        raise Refusal(f"{shown(home)} belongs to someone else: set EASEL_HOME to a folder of yours") from None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Door:
    """A client of the operator API.

    with Door(home) as door:
        door.status()
    """

    def __init__(self, home: Path, timeout: float = 10) -> None:
        found = running(home)
        if found is None:
            raise NotRunning(home)
        self._client = httpx.Client(
            base_url=found["url"],
            headers={"Authorization": f"Bearer {found['token']}"},
            timeout=timeout,
            trust_env=False,  # a proxy of the shell's must not see this machine's own traffic
        )

    def __enter__(self) -> "Door":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def status(self) -> dict[str, Any]:
        """Console and endpoints."""
        return dict(self._ask("GET", "/api/status").json())

    def tokens(self, endpoint: str | None) -> list[dict[str, Any]]:
        """Tokens, of one endpoint or all."""
        return list(self._ask("GET", "/api/tokens", params={"endpoint": endpoint} if endpoint else {}).json())

    def new_token(self, endpoint: str, name: str, expires: str | None) -> str:
        """Make a token; this is the only time it is shown."""
        asked = {"endpoint": endpoint, "name": name, "expires": expires}
        return str(self._ask("POST", "/api/tokens", json=asked).json()["token"])

    def revoke(self, endpoint: str, name: str) -> None:
        """Take a token back."""
        self._ask("DELETE", f"/api/tokens/{endpoint}/{name}")

    def _ask(self, method: str, path: str, **rest: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **rest)
        except httpx.HTTPError as error:
            raise NotAnswering(f"the gateway does not answer: {error}") from None
        if response.is_success:
            return response
        raise Refusal(_said(response))


def _said(response: httpx.Response) -> str:
    """The reason in a refusal's body, whichever of the usual names it has."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    if isinstance(body, dict):
        for key in ("detail", "error", "errors"):
            if isinstance(body.get(key), str) and body[key]:
                return str(body[key])
    request = response.request
    return f"the gateway answered {response.status_code} to {request.method} {request.url.path}"
