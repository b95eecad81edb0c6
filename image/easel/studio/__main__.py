"""`python -m easel.studio --port N --home EASEL_HOME --endpoint NAME`: one replica."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from easel.studio.startup import StartupApp
    from easel.studio.studio import Studio

# Jobs under way get this long to end after SIGTERM; whoever sent it kills after ten seconds.
STOP_SECONDS = 7.0
# What is drawn by then is saved, within so many more.
SAVE_SECONDS = 1.5
# As `easel.assertion` has it, which takes a while to import: the engine starts first.
_KEYS = "EASEL_ASSERTION_KEYS"
# Longer than a proxy keeps an idle connection, so that it never sends a request into one that closes.
KEEP_ALIVE_SECONDS = 180

# What libraries read when they are imported.
_BEFORE_IMPORTS = {
    # They would ask a hub or an analytics server.
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    # torch's threads wait for one another some hundred times in each call of the UNet, and its OpenMP
    # (libgomp) has them spin for that, 300,000 looks: a core that is busy with waiting is no neighbour's. Two
    # studios on two cores took 8 to 18 times as long as one. After 700 looks they sleep, which costs little
    # where nobody else wants the core (docs/performance.md; small calls have one thread: engine/cpu_threads).
    "GOMP_SPINCOUNT": "700",
    # The compiler's own processes would outlive a studio that is killed.
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}


def compiler_cache(home: Path) -> dict[str, str]:
    """Where what is compiled lies for the next start, as Inductor's environment; nothing where that cannot be
    written, and it goes to /tmp: a container's root is read-only, and torch looks for the folder when it is
    imported, whoever compiles.

    It is with models' copies, as nothing else of a container's is a disk; not in the store, for it is code,
    and others may write there.
    """
    folder = Path(os.environ.get("EASEL_CACHE") or home / "cache") / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return {}
    return {"TORCHINDUCTOR_CACHE_DIR": str(folder)} if os.access(folder, os.W_OK) else {}


def main() -> None:
    """Start the engine, then everything else beside it, and serve until a signal."""
    began = time.monotonic()
    # Pictures, prompts and models are for their owner alone, also of a studio that is started by hand.
    os.umask(0o077)
    asked = _arguments()
    compiles = os.environ.get("EASEL_COMPILE", "") == "1"
    for name, value in {**_BEFORE_IMPORTS, **(compiler_cache(asked.home) if compiles else {})}.items():
        os.environ.setdefault(name, value)

    from easel.models import Store
    from easel.studio import logs
    from easel.studio.engine import Engine, Limits

    logs.configure()
    store = Store(asked.home / "models")
    # With the store, which outlives a replica wherever it runs.
    kept = store.root / ".easel"
    engine = Engine(
        store,
        default_checkpoint=asked.checkpoint,
        served=kept / "served" / f"{asked.endpoint}.json",
        widths=kept / "widths" / asked.endpoint,
        dtype=os.environ.get("EASEL_PRECISION", "").strip() or None,
        compiles=compiles,
        records=os.environ.get("EASEL_CUDA_GRAPHS", "") == "1",
        limits=Limits.of(os.environ),
        exact=os.environ.get("EASEL_EXACT", "") == "1",
    )
    engine.start()

    from easel.studio import retention
    from easel.studio.studio import Studio

    studio = Studio.at(asked.home, asked.endpoint, engine, retention=asked.retention)
    logs.add(studio.job_log.with_job)
    if asked.retention:
        retention.start(studio.outputs, studio.gallery, asked.retention)
    asyncio.run(_serve(studio, asked, began))


def _leave(code: int) -> None:
    """End at once: taking torch down in order, or waiting for a half-done import of it, costs seconds."""
    sys.stdout.flush()
    os._exit(code)


async def _serve(studio: Studio, asked: argparse.Namespace, began: float) -> None:
    import structlog
    import uvicorn

    from easel.studio.authentication import authenticated
    from easel.studio.startup import StartupApp

    log = structlog.get_logger("easel.studio")
    startup = StartupApp(studio.engine)
    server = uvicorn.Server(
        uvicorn.Config(
            authenticated(startup, asked.endpoint, os.environ),
            host=asked.host,
            port=asked.port,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            forwarded_allow_ips="*",
        )
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    # uvicorn's own handlers would wait for open event streams, which never end by themselves.
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign]
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    building = asyncio.create_task(_build(startup, studio, began, stopping))
    ending = asyncio.create_task(_stop(stopping, server, studio))
    try:
        await server.serve()
    except SystemExit:  # uvicorn's way to say that it cannot listen; its reason is logged
        _leave(1)
    stopping.set()
    await ending
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(building, SAVE_SECONDS)
    log.info("stopped")
    _leave(0)


async def _build(startup: StartupApp, studio: Studio, began: float, stopping: asyncio.Event) -> None:
    import structlog

    log = structlog.get_logger("easel.studio")
    try:
        app = await asyncio.to_thread(_create, studio)
    except Exception as e:
        startup.fail(f"the page could not be built: {type(e).__name__}: {e}")
        log.exception("not started")
        return
    async with startup.serving(app):
        await _say_started(studio, began)
        await stopping.wait()


async def _say_started(studio: Studio, began: float) -> None:
    import structlog

    page = time.monotonic() - began
    while (now := studio.engine.status()).phase not in {"ready", "failed"}:
        await asyncio.sleep(0.05)
    structlog.get_logger("easel.studio").info(
        "started",
        phase=now.phase,
        detail=now.detail,
        page_seconds=round(page, 2),
        seconds=round(time.monotonic() - began, 2),
    )


def _create(studio: Studio) -> FastAPI:
    # diffusers imports this package in the engine's thread, and it imports itself in circles: taken whole
    # here, no thread meets half of it.
    import huggingface_hub.hf_api  # noqa: F401

    from easel.studio.app import create_app

    return create_app(studio)


async def _stop(stopping: asyncio.Event, server: uvicorn.Server, studio: Studio) -> None:
    """On a signal: no new connections, let jobs end, save them, answer their requests, close what streams."""
    await stopping.wait()
    server.should_exit = True
    await asyncio.to_thread(studio.engine.stop, STOP_SECONDS)
    await asyncio.sleep(0.3)
    server.force_exit = True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m easel.studio", description="One replica of a studio.")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    parser.add_argument(
        "--home", type=Path, required=True, help="EASEL_HOME: models and outputs are below it"
    )
    parser.add_argument(
        "--endpoint", default="studio", help="the endpoint's name; pictures go to outputs/NAME"
    )
    parser.add_argument(
        "--checkpoint",
        default=os.environ.get("EASEL_CHECKPOINT", "").strip() or None,
        help="what requests that name none are drawn with "
        "(default: EASEL_CHECKPOINT, else the one that served last, else the starter)",
    )
    parser.add_argument(
        "--retention", type=float, metavar="SECONDS", help="delete pictures older than this (default: never)"
    )
    parser.add_argument(
        "--alone", action="store_true", help="no gateway is in front: whoever reaches the port is its owner"
    )
    asked = parser.parse_args()
    others_reach_it = asked.host not in ("127.0.0.1", "::1", "localhost")
    if others_reach_it and _KEYS not in os.environ and not asked.alone:
        # A host of an earlier Easel knows nothing of keys, and would open this one to everybody.
        parser.error(
            f"--host {asked.host} without {_KEYS}: everybody who reaches it would own it; a gateway in front "
            "sets that, and without one say --alone"
        )
    if asked.retention is not None and not asked.retention > 0:
        parser.error(f"--retention {asked.retention:g}: seconds, more than 0; leave it out to keep pictures")
    if not asked.endpoint.replace("-", "").isalnum():
        parser.error(f"--endpoint {asked.endpoint!r}: letters, digits and dashes only")
    asked.home = asked.home.resolve()
    return asked


if __name__ == "__main__":
    main()
