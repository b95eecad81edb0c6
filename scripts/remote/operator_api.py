"""The gateway's operator API, as the `easel` command speaks it (docs/architecture.md, Operator API)."""

import json
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlencode

from scripts.remote.transport import LocalTransport, RemoteTransport


class OperatorClient:
    """A client of the operator API.

        OperatorClient(LocalTransport(home)).status()

    By the standard library: `easel up` and `easel status` should not take a third of a second to import more.
    """

    def __init__(self, transport: LocalTransport | RemoteTransport) -> None:
        self._transport = transport

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

    def revoke(self, endpoint: str, name: str) -> str:
        """Take a token back; what the person should know of it, if anything."""
        return _said(self._ask("DELETE", f"/api/tokens/{_quoted(endpoint)}/{_quoted(name)}"))

    def end_sessions(self, *, member: str | None = None, endpoint: str = "", token: str = "") -> str:
        """Sign a member out everywhere, or everybody who signed in with a token; what the person should know
        of it, if anything."""
        whose = {"member": member} if member else {"endpoint": endpoint, "token": token}
        return _said(self._ask("DELETE", f"/api/sessions?{urlencode(whose)}"))

    def rotate(self, *, now: bool) -> float:
        """Have a new secret sign; until when (Unix seconds) what the old one signed counts."""
        return float(self._ask("POST", "/api/secret/rotation", {"now": now})["until"])

    def new_pass(self, endpoint: str) -> dict[str, Any]:
        """A key for the endpoint's own door as its operator, for an hour: `{"token", "url", "expires"}`."""
        return dict(self._ask("POST", f"/api/endpoints/{_quoted(endpoint)}/pass"))

    def wake(self, endpoint: str, *, at_once: bool = False) -> None:
        """Have an endpoint awake; `at_once` without waiting for its models."""
        self._ask("POST", f"/api/endpoints/{_quoted(endpoint)}/wake{'?now=true' if at_once else ''}")

    def sleep(self, endpoint: str) -> None:
        """Have an endpoint finish its pictures and sleep."""
        self._ask("POST", f"/api/endpoints/{_quoted(endpoint)}/sleep")

    def events(self, endpoint: str | None) -> list[dict[str, Any]]:
        """What happened, oldest first, to one endpoint or all."""
        return list(self._ask("GET", f"/api/events{f'?endpoint={_quoted(endpoint)}' if endpoint else ''}"))

    def logs(self, endpoint: str, replica: str, tail: int) -> list[str]:
        """The last lines that a replica wrote."""
        return self._lines(f"/api/logs/{_quoted(endpoint)}/{_quoted(replica)}?tail={tail}")

    def audit(self, endpoint: str | None, since: float, tail: int) -> list[str]:
        """The last lines of the audit log, from `since` (Unix seconds) on."""
        asked = {"since": since, "tail": tail, **({"endpoint": endpoint} if endpoint else {})}
        return self._lines(f"/api/audit?{urlencode(asked)}")

    def _lines(self, path: str) -> list[str]:
        status, content = self._answer("GET", path)
        if status != 200:
            raise self._transport.refused(status, _said(_json(content)), f"GET {path}")
        return content.decode(errors="replace").splitlines()

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        status, content = self._answer(method, path, body)
        answer = _json(content)
        if status >= 300 or answer is None:
            raise self._transport.refused(status, _said(answer), f"{method} {path}")
        return answer

    def _answer(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        connection = self._transport.open()
        headers = {"Authorization": f"Bearer {self._transport.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            raise self._transport.unreached(error) from None
        finally:
            connection.close()
        if self._transport.stranger(response):
            raise self._transport.refused(response.status, "", f"{method} {path}")
        return response.status, content


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _said(answer: object) -> str:
    """The reason in a refusal's body, whichever of the usual names it has."""
    found = answer if isinstance(answer, dict) else {}
    return next((found[key] for key in ("detail", "error", "errors") if isinstance(found.get(key), str)), "")
