"""A replica behind the studio's own guard and the studio's own server, that says who it takes its caller for.

`python genuine.py --port N --endpoint NAME`. It echoes headers as an application behind the guard reads them.
"""

from __future__ import annotations

import argparse
import os

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from easel.studio.authentication import authenticated


async def load(request: Request) -> Response:
    return JSONResponse({"phase": "ready", "detail": "", "running": 0, "queued": 0, "idle_seconds": 0.0})


async def echo(request: Request) -> Response:
    body = await request.body()
    # Read after the body: what comes behind it must not have become a header.
    return JSONResponse({"headers": request.headers.items(), "length": len(body), "method": request.method})


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--port", "--endpoint"):
        parser.add_argument(name, required=True)
    asked = parser.parse_known_args()[0]
    app = Starlette(
        routes=[
            Route("/easel/load", load),
            Route("/{rest:path}", echo, methods=["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]),
        ]
    )
    server = authenticated(app, asked.endpoint, os.environ)
    uvicorn.run(server, port=int(asked.port), lifespan="off", log_config=None, ws="none", server_header=False)


if __name__ == "__main__":
    main()
