"""Which files the page hands out: one's own pictures, and what Gradio itself made."""

from __future__ import annotations

from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from easel.studio.api.errors import body
from easel.studio.api.wire import reply
from easel.studio.outputs import Outputs
from easel.studio.owner import owner_of

_FILE = ("/gradio_api/file=", "/gradio_api/file/")
# Gradio would fetch what these name from the network; a studio fetches nothing on a visitor's word.
_FETCHES = "/gradio_api/proxy="


class Guard:
    """ASGI middleware in front of Gradio's file routes."""

    def __init__(self, app: ASGIApp, outputs: Outputs) -> None:
        self._app = app
        self._outputs = outputs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; a file that is not the caller's is not found."""
        if scope["type"] == "http" and not self._open(scope):
            await reply(body("HTTPException", "Not Found", "Not Found"), 404)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _open(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path.startswith(_FETCHES):
            return False
        if not path.startswith(_FILE):
            return True
        name = path[len(_FILE[0]) :]
        if "://" in name or name.startswith(("http:", "https:")) or "\0" in name:
            return False
        file = Path(name).resolve()
        if not file.is_relative_to(self._outputs.folder):
            return True  # Gradio's own: it hands out nothing but what it made, under names nobody can guess
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        return self._outputs.belongs(owner_of(headers), file)
