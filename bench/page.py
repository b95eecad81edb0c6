"""The page: what opening it costs against an empty page in the same browser, and what fifty idle tabs cost a
picture."""

from __future__ import annotations

import http.server
import shutil
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.running import Running
from bench.table import alternating, comparison, in_turns, spread
from bench.txt2img import draw, request

VISITS = 12
PICTURES = 24
TABS = 50
_EMPTY = b"<!doctype html><html lang=en><title>Empty</title><button>Generate</button>"
_CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def rows(easel: Running, _plain: object = None) -> Iterator[list[str]]:
    """Two rows of times, then counts, then the ratio that idle tabs make."""
    yield from _visits(easel)
    yield from _idle_tabs(easel)


def _visits(easel: Running) -> Iterator[list[str]]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, _empty_page() as empty:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_CHROMIUM)
        opened = _signed_in(browser, easel)
        first = alternating(
            lambda: _visit(browser, easel.url, opened).seconds,
            lambda: _visit(browser, empty, None).seconds,
            VISITS,
        )[1:]  # the first starts the browser's own processes
        context = browser.new_context(storage_state=opened)
        again = [_visit_in(context, easel.url) for _ in range(VISITS)][1:]
        context.close()
        cold = _visit(browser, easel.url, opened)
        browser.close()
    yield comparison("first visit until Generate can be pressed, against an empty page", first, "≤ 2 s")
    yield ["next visit until Generate can be pressed", spread([one.seconds for one in again]), "", "", ""]
    yield [
        "first visit, over the wire",
        f"{cold.bytes / 1000:.0f} kB, {cold.requests} requests",
        "",
        "",
        "≤ 350 kB, ≤ 40",
    ]
    least = max(one.bytes for one in again)
    yield ["next visit, over the wire", f"{least / 1000:.0f} kB", "", "", "≤ 60 kB"]


class Visit:
    """Seconds from asking for a page until its Generate can be pressed, and what came over the wire."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sizes: list[float] = []

    @property
    def bytes(self) -> float:
        """All of them, headers too."""
        return sum(self.sizes)

    @property
    def requests(self) -> int:
        """Those that the browser's cache did not answer."""
        return sum(size > 0 for size in self.sizes)


def _visit(browser: Any, url: str, state: Any) -> Visit:
    """By a browser that was never there but for its cookie."""
    context = browser.new_context(storage_state=state)
    visit = _visit_in(context, url)
    context.close()
    return visit


def _visit_in(context: Any, url: str) -> Visit:
    visit, page = Visit(), context.new_page()
    cdp = context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.on("Network.loadingFinished", lambda one: visit.sizes.append(one["encodedDataLength"]))
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.get_by_role("button", name="Generate").and_(page.locator(":enabled")).wait_for()
    visit.seconds = time.perf_counter() - began
    page.wait_for_load_state("load")
    page.wait_for_timeout(300)
    page.close()
    return visit


def _signed_in(browser: Any, easel: Running) -> Any:
    """What a browser keeps of having opened the link: its cookie, and nothing in the cache."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{easel.url}?token={easel.token}")
    page.locator(".generate button").wait_for()
    state = context.storage_state()
    context.close()
    return state


@contextmanager
def _empty_page() -> Iterator[str]:
    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(_EMPTY)))
            self.end_headers()
            self.wfile.write(_EMPTY)

        def log_message(self, *_: object) -> None:
            """Nothing: a table is printed here."""

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def _idle_tabs(easel: Running) -> Iterator[list[str]]:
    """A picture with fifty open streams, as idle tabs hold them, against the same one with none, in turns."""
    with easel.client() as client:
        seed = iter(range(10_000))

        def picture() -> float:
            return draw(client, request("a small red circle on a blue background", 128, next(seed)))

        def beside() -> float:
            with _tabs(easel, TABS):
                return picture()

        pairs = in_turns(lambda _: beside(), lambda _: picture(), PICTURES + 1)[1:]
    yield comparison(f"one picture, 128x128, beside {TABS} idle tabs, against none", pairs, "1")


@contextmanager
def _tabs(easel: Running, count: int) -> Iterator[None]:
    """So many open streams, each having said hello, and a moment for what opening them costs to be over."""
    with ExitStack() as open_streams:
        for _ in range(count):
            own = open_streams.enter_context(easel.client())
            answer = open_streams.enter_context(own.stream("GET", "/studio/events"))
            next(answer.iter_lines())
        time.sleep(1)
        yield
