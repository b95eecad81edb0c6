"""The gateway's operator API, as the `easel` command speaks it (docs/architecture.md, Operator API)."""

import json
import os
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

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

        Door(home).status()

    By the standard library: it speaks to this machine only, and `easel up` and `easel status` should not
    take a third of a second to import more.
    """

    def __init__(self, home: Path, timeout: float = 10) -> None:
        found = running(home)
        if found is None:
            raise NotRunning(home)
        self._address = urlsplit(found["url"]).netloc
        self._token = found["token"]
        self._timeout = timeout

    def status(self) -> dict[str, Any]:
        """Console and endpoints."""
        return dict(self._ask("GET", "/api/status"))

    def tokens(self, endpoint: str | None) -> list[dict[str, Any]]:
        """Tokens, of one endpoint or all."""
        return list(self._ask("GET", f"/api/tokens{f'?endpoint={endpoint}' if endpoint else ''}"))

    def new_token(self, endpoint: str, name: str, expires: str | None) -> str:
        """Make a token; this is the only time it is shown."""
        asked = {"endpoint": endpoint, "name": name, "expires": expires}
        return str(self._ask("POST", "/api/tokens", asked)["token"])

    def revoke(self, endpoint: str, name: str) -> None:
        """Take a token back."""
        self._ask("DELETE", f"/api/tokens/{quote(endpoint, safe='')}/{quote(name, safe='')}")

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = HTTPConnection(self._address, timeout=self._timeout)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            raise NotAnswering(f"the gateway does not answer: {error}") from None
        finally:
            connection.close()
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if response.status >= 300 or answer is None:
            raise Refusal(_said(answer) or f"the gateway answered {response.status} to {method} {path}")
        return answer


def _said(answer: object) -> str:
    """The reason in a refusal's body, whichever of the usual names it has."""
    found = answer if isinstance(answer, dict) else {}
    return next((found[key] for key in ("detail", "error", "errors") if isinstance(found.get(key), str)), "")
