"""A small real program that keeps the replica contract of docs/architecture.md, for tests of what stands
before it.

`python replica.py --port N`. It echoes requests, streams events, speaks WebSocket and says of itself what
`POST /test/set` told it last: phase, detail, running, queued, or to crash. Standard library only, so that it
is up in a moment. `EASEL_TEST_*` in its environment sets how it starts.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import math
import os
import signal
import sys
import time

PHASE = os.environ.get("EASEL_TEST_PHASE", "ready")
# Seconds of importing and of loading before it is ready.
SLOW = float(os.environ.get("EASEL_TEST_SLOW", "0"))
CRASH = os.environ.get("EASEL_TEST_CRASH", "")
# A file that makes it crash at start as long as it exists.
CRASH_WHILE = os.environ.get("EASEL_TEST_CRASH_WHILE", "")
# As the studio does, it answers only what comes with its gateway's word for this endpoint. That the word is
# genuine, only the studio's own guard can tell: tests that need it have that behind the door.
AUDIENCE = os.environ.get("EASEL_ASSERTION_AUDIENCE", "")
OPEN = os.environ.get("EASEL_ASSERTION_OPEN", "").split()
DEAF = bool(os.environ.get("EASEL_TEST_DEAF"))

started = last_work = time.monotonic()
said: dict[str, object] = {"running": 0, "queued": 0}
gone: list[str] = []
drawing = 0
# Set when what is not finished by then ends with 503, as in the studio.
hopeless = asyncio.Event()


def load() -> dict[str, object]:
    phase = PHASE
    age = time.monotonic() - started
    if phase == "ready" and age < SLOW:
        phase = "importing" if age < SLOW / 2 else "loading"
    report = {"phase": phase, "detail": f"{phase} now", "idle_seconds": time.monotonic() - last_work}
    return report | said


def audience(assertion: str) -> str:
    try:
        part = assertion.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["aud"])
    except (IndexError, ValueError, KeyError):
        return ""


class Request:
    def __init__(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path = target.split("?")[0]

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


async def read(reader: asyncio.StreamReader) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = [(k.lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:] if line)]
    request = Request(method, target, headers, b"")
    if length := request.header("content-length"):
        request.body = await reader.readexactly(int(length))
    elif request.header("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).strip() or b"0", 16):
            request.body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    return request


async def answer(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Writes the answer; whether the connection may go on."""
    global last_work
    if AUDIENCE and request.path not in OPEN and audience(request.header("x-easel-assertion")) != AUDIENCE:
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        return True
    if request.path == "/easel/load":
        return send(writer, {} if said.get("mute") else load())
    if request.path == "/internal/ping":
        return send(writer, {})
    if request.path == "/test/set":
        said.update(json.loads(request.body))
        if said.get("crash"):
            print("out of colours", flush=True)
            os._exit(3)
        return send(writer, {})
    if request.path == "/test/pid":
        return send(writer, {"pid": os.getpid(), "gone": gone})
    if request.path in ("/test/events", "/studio/events"):
        return await events(request, reader, writer)
    if request.path == "/test/hang":
        await asyncio.wait({asyncio.ensure_future(reader.read(1))}, timeout=20)
        gone.append("hang")
        return False
    if request.header("upgrade").lower() == "websocket":
        return await websocket(request, reader, writer)
    if request.path == "/sdapi/v1/txt2img":
        last_work = time.monotonic()
        if not await draws(request.target.partition("?")[2]):
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n")
            return True
    return send(
        writer,
        {
            "method": request.method,
            "target": request.target,
            "headers": request.headers,
            "length": len(request.body),
            "sha256": hashlib.sha256(request.body).hexdigest(),
            "pid": os.getpid(),
        },
        # A gateway passes on as metrics only what is told as such.
        "text/plain; version=0.0.4" if request.path == "/metrics" else "application/json",
    )


async def draws(query: str) -> bool:
    """Draws for `seconds=N`, or `while=PATH` is there; False if the time to finish, after SIGTERM, was not
    enough."""
    global drawing
    kind, _, value = query.partition("=")
    if kind not in ("seconds", "while"):
        return True
    until = time.monotonic() + (float(value) if kind == "seconds" else math.inf)
    drawing += 1
    said["running"] = drawing
    try:
        while time.monotonic() < until and (kind == "seconds" or os.path.exists(value)):
            if hopeless.is_set():
                return False
            await asyncio.sleep(min(0.05, until - time.monotonic()))
        return True
    finally:
        drawing -= 1
        said["running"] = drawing


def send(writer: asyncio.StreamWriter, content: object, kind: str = "application/json") -> bool:
    body = json.dumps(content).encode()
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nSet-Cookie: own=replica\r\n".encode())
    writer.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return True


async def events(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    left = asyncio.ensure_future(reader.read(1))
    for number in range(100):
        writer.write(f"data: {number}\n\n".encode())
        await writer.drain()
        done, _ = await asyncio.wait({left}, timeout=0.2)
        if done:
            gone.append("events")
            break
    return False


async def websocket(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Echoes one short text frame after another."""
    key = request.header("sec-websocket-key").encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key).digest()).decode()
    writer.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )
    while True:
        opcode, size = await reader.readexactly(2)
        mask = await reader.readexactly(4)
        text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(await reader.readexactly(size & 127)))
        if opcode & 15 == 8:
            return False
        reply = b"echo " + text + b" for " + request.header("x-easel-user").encode()
        writer.write(bytes([0x81, len(reply)]) + reply)
        await writer.drain()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while request := await read(reader):
            if not await answer(request, reader, writer):
                break
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--host", default="127.0.0.1")
    chosen = options.parse_known_args()[0]
    port = chosen.port
    print(json.dumps({"event": f"replica {os.getpid()} on {port}"}), flush=True)
    if CRASH or (CRASH_WHILE and os.path.exists(CRASH_WHILE)):
        print(json.dumps({"event": CRASH or "no paint left"}), flush=True)
        sys.exit(7)
    server = await asyncio.start_server(serve, chosen.host, port, limit=2**20)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, (lambda: None) if DEAF else stop.set)
    await stop.wait()
    server.close()
    until = time.monotonic() + 3
    while drawing and time.monotonic() < until:
        await asyncio.sleep(0.05)
    hopeless.set()
    await asyncio.sleep(0.1)
    print(json.dumps({"event": "bye"}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
