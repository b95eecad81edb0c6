"""The file routes of a studio without its engine, as a replica: up in a second.

`python server.py --port N --home DIR --endpoint NAME`. Keeps the replica contract of docs/architecture.md.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from easel.models import Store, quota_of
from easel.studio.activity import Activity
from easel.studio.authentication import authenticated
from easel.studio.files.routes import Files
from easel.studio.outputs import Outputs


def app(home: Path, endpoint: str, quota: int | None = None) -> Starlette:
    activity = Activity()

    async def load(request: Request) -> Response:
        idle = activity.idle_seconds(10_000.0)
        return JSONResponse({"phase": "ready", "detail": "", "running": 0, "queued": 0, "idle_seconds": idle})

    (home / "models").mkdir(parents=True, exist_ok=True)
    store, outputs = Store(home / "models", hashing=False), Outputs(home / "outputs" / endpoint)
    files = Files(store, outputs, activity, quota=quota)
    return Starlette(routes=[Route("/easel/load", load), *files.routes()])


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--port", "--home", "--endpoint"):
        parser.add_argument(name, required=True)
    asked = parser.parse_args()
    inner = app(Path(asked.home).resolve(), asked.endpoint, quota_of(os.environ))
    served = authenticated(inner, asked.endpoint, os.environ)
    uvicorn.run(served, host="127.0.0.1", port=int(asked.port), log_level="warning")


if __name__ == "__main__":
    main()
