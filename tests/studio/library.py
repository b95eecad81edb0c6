"""A studio whose models come from the Civitai of the tests. Its engine is not started: nothing is drawn."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from PIL import Image
from starlette.testclient import TestClient

from easel.models import FetchLimits, Store
from easel.studio.api import create_api
from easel.studio.engine import Engine
from easel.studio.library import Library
from easel.studio.studio import Studio
from tests.models.civitai_stand_in import Civitai
from tests.models.serving import serving

PAGE = "https://civitai.com/models/4384/dreamshaper?modelVersionId=128713"
QUICK = FetchLimits(connections=2, stall=10.0, slow=10.0, patience=4, pause=0.02)


def png(side: int = 64, colour: str = "red") -> bytes:
    """A real picture: a square on white, so that a blurred one differs."""
    made = Image.new("RGB", (side, side), "white")
    made.paste(Image.new("RGB", (side // 2, side // 2), colour), (0, 0))
    content = io.BytesIO()
    made.save(content, "PNG")
    return content.getvalue()


@dataclass
class Place:
    """A studio, its Civitai and its address below which people ask."""

    studio: Studio
    civitai: Civitai
    client: TestClient | None = None

    @property
    def root(self) -> Path:
        return self.studio.engine.store.root

    def ask(
        self, method: str, path: str, owner: str = "ada", client: httpx.Client | None = None, **said: Any
    ) -> httpx.Response:
        asking = client or self.client
        assert asking is not None
        answer: Any = asking.request(
            method, f"/studio/models/{path}", headers={"X-Easel-User": owner}, **said
        )
        return cast(httpx.Response, answer)  # starlette's client may be built on httpx2

    def start(self, owner: str = "ada", **said: Any) -> dict[str, Any]:
        answer = self.ask("POST", "downloads", owner, json={"url": PAGE, **said})
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def ended(self, job: Mapping[str, Any], owner: str = "ada") -> dict[str, Any]:
        """The job once it has ended."""
        return self.until(job, lambda now: now["state"] in ("done", "failed", "cancelled"), owner)

    def until(self, job: Mapping[str, Any], wanted: Any, owner: str = "ada") -> dict[str, Any]:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            now = self.ask("GET", f"jobs/{job['id']}", owner).json()
            if wanted(now):
                return dict(now)
            time.sleep(0.02)
        raise AssertionError(f"still {now}")


class _Through:
    """Stands for what `find` gives whenever it is used; `parts` are its attributes that stand for others."""

    def __init__(self, find: Callable[[], Any], **parts: Any) -> None:
        vars(self).update(parts, _find=find)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._find(), name)


class _Api:
    """The application, whose many routes take a tenth of a second to build, for one studio after another."""

    def __init__(self, studio: Studio) -> None:
        # Of the first one, too, something is asked while the routes are made.
        self.studio: Any = studio
        store = _Through(lambda: self.studio.engine.store)
        engine = _Through(lambda: self.studio.engine, store=store)
        library = _Through(lambda: self.studio.library)
        self.app = create_api(cast(Any, _Through(lambda: self.studio, engine=engine, library=library)))


_free: list[_Api] = []


@contextmanager
def api(studio: Studio, **how: Any) -> Iterator[TestClient]:
    """A client of a studio's API."""
    one = _free.pop() if _free else _Api(studio)
    one.studio = studio
    yield TestClient(one.app, **how)
    _free.append(one)


@contextmanager
def place(home: Path, **environment: str) -> Iterator[Place]:
    """`environment` is the studio's, beside the address of the stand-in and leave to go there."""
    with serving() as service, serving() as storage, pytest.MonkeyPatch.context() as patch:
        civitai = Civitai(service, storage)
        storage.put("/preview.png", png())
        storage.put("/nsfw.png", png(colour="black"))
        settings = {"CIVITAI_ENDPOINT": service.url, "EASEL_PRIVATE_SOURCES": "1", **environment}
        for name, value in settings.items():
            patch.setenv(name, value)
        # Between the tries of a question; nothing else of that module waits.
        patch.setattr("easel.models.sources.civitai._TRIES", 2)
        studio = Studio.at(home, "studio", Engine(Store(home / "models", hashing=False)))
        library = Library(studio.engine.store, studio.activity, limits=QUICK)
        vars(studio)["library"] = library
        try:
            yield Place(studio, civitai)
        finally:
            library.jobs.close()
            for file in storage.files.values():
                file.rate = 0
