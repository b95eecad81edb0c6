"""`/studio/models/library` and `/studio/models/files`: the models that are there, what people change."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.models import Kind, ModelError, ModelFile, UnknownModel
from easel.remark import remark
from easel.studio.api.errors import ErrorBody
from easel.studio.api.jobs.async_jobs import AsyncJobs
from easel.studio.api.model_usage import usage
from easel.studio.api.models import KindWord, known_caller
from easel.studio.api.strict_json import dumps, reply
from easel.studio.engine import EngineError, NoCheckpoint, upscalers
from easel.studio.files.access import FileAccess
from easel.studio.library import KINDS, ModelEditor, StoredModel, seen_with
from easel.studio.owner import owner_of
from easel.studio.studio import Studio

_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorBody, "description": "The caller is anonymous, or the model lies elsewhere"},
    404: {"model": ErrorBody, "description": "No such model or picture"},
    409: {"model": ErrorBody, "description": "The name is taken, or a picture that is being drawn needs it"},
    422: {"model": ErrorBody, "description": "A name or value that cannot be"},
    507: {"model": ErrorBody, "description": "The store cannot be written to"},
}
Sort = Literal["name", "newest", "largest"]
_SORTS: dict[Sort, Callable[[StoredModel], Any]] = {
    "name": lambda one: (one.label.lower(), one.name),
    "newest": lambda one: (-one.modified, one.name),
    "largest": lambda one: (-one.size, one.name),
}
_PACKED_FROM = 5_000
_WORD_NEEDED = remark(
    "embedding_needed",
    "a ticket that is not finished names it by a word of its prompt: rename it when that is done",
)
_DEFAULT = remark("model_default", "requests that name no checkpoint are drawn with it: it keeps its name")
_Name = Annotated[str, Field(min_length=1, max_length=1000, description="the path below the kind's folder")]


class ModelLibrary(BaseModel):
    """The models, and what there is to choose between."""

    models: list[StoredModel]
    total: int = Field(description="how many there are, of all kinds and whatever was asked for")
    kinds: dict[str, int] = Field(description="how many of each kind, whatever was asked for")
    may_change: bool = Field(description="whether the caller may bring models in and change them")
    checkpoint: str = Field(description="what the caller draws with; empty for nothing yet")


class ModelUsage(BaseModel):
    """In how many of the caller's own pictures models stand."""

    used: dict[str, dict[str, int]] = Field(description="by kind and name; a model that is not here has none")


class ModelNotesRequest(BaseModel):
    """Sets what is named and leaves the rest."""

    type: KindWord
    name: _Name
    words: str | None = Field(None, max_length=1000, description="go into the prompt with it")
    negative_words: str | None = Field(
        None, max_length=1000, description="go into the negative prompt with it"
    )
    weight: float | None = Field(None, ge=-10, le=10, description="a LoRA's preferred weight; 0 for none")
    notes: str | None = Field(None, max_length=4000)
    description: str | None = Field(None, max_length=2000)


class RenameRequest(BaseModel):
    """Gives a model another name, another folder, or both."""

    type: KindWord
    name: _Name
    folder: str = Field("/", max_length=400, description="a folder below the type's own, new ones too")
    new_name: str = Field(min_length=1, max_length=200, examples=["watercolour v2"])


class PreviewRequest(BaseModel):
    """Makes a small copy of one of the caller's pictures the model's preview, for everybody."""

    type: KindWord
    name: _Name
    picture: str = Field(max_length=200, examples=["2026-11-29/00012-123.png"])


def model_files(studio: Studio, jobs: AsyncJobs) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio/models", responses=_REFUSED)
    editor = ModelEditor(
        studio.engine.store, lambda file: _wanted(studio, jobs, file), lambda: studio.library.changes.look()
    )
    _listing(routes, studio)
    _changes(routes, studio, editor)
    return routes


def _listing(routes: APIRouter, studio: Studio) -> None:
    @routes.get("/library", response_model=ModelLibrary)
    async def library(
        request: Request,
        kind: KindWord | None = None,
        q: Annotated[str, Query(max_length=200, description="pieces of names, words and notes")] = "",
        folder: Annotated[str, Query(max_length=400, description="with what is below it")] = "",
        sort: Sort = "name",
    ) -> Response:
        """Every model that is there: whether it fits the caller's checkpoint, its words and notes."""
        access = FileAccess.of(request.headers)
        found = await asyncio.to_thread(_library, studio, access, kind or "", q, folder, sort)
        body = dumps(found)
        # Pages ask after every change, and mostly nothing is another for them.
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == tag:
            return Response(None, 304, headers)
        if "gzip" in request.headers.get("accept-encoding", "") and len(body) > _PACKED_FROM:
            # A thousand models are two megabytes of much the same.
            body = await asyncio.to_thread(gzip.compress, body, 4)
            headers["Content-Encoding"] = "gzip"
        return Response(body, 200, headers, "application/json")

    @routes.get("/used")
    async def used(request: Request) -> ModelUsage:
        """Which models the caller draws with, counted from their pictures."""

        def counted() -> ModelUsage:
            entries = studio.gallery.pictures.index(owner_of(request.headers)).every()
            return ModelUsage(used=usage(entries, studio.library.models()))

        return await asyncio.to_thread(counted)


def _changes(routes: APIRouter, studio: Studio, editor: ModelEditor) -> None:
    async def now(request: Request, file: ModelFile) -> Response:
        return reply(await asyncio.to_thread(_one, studio, request, file))

    @routes.patch("/files", response_model=StoredModel)
    async def write(request: Request, asked: ModelNotesRequest) -> Response:
        """Write words and notes of a model, for everybody, where A1111 keeps them: `NAME.json` beside it."""
        known_caller(request)
        kind = KINDS[asked.type]
        said = asked.model_dump(exclude={"type", "name"}, exclude_none=True)
        await asyncio.to_thread(editor.write, kind, asked.name, said)
        return await now(request, await asyncio.to_thread(editor.find, kind, asked.name))

    @routes.post("/files/rename", response_model=StoredModel)
    async def rename(request: Request, asked: RenameRequest) -> Response:
        """Rename or move a model with all that lies beside it; its old name is understood, too."""
        owner = known_caller(request)
        kind = KINDS[asked.type]

        def renamed() -> ModelFile:
            before = editor.find(kind, asked.name)
            chosen = asked.type == "checkpoint" and _draws_with(studio, owner, before)
            file = editor.rename(kind, asked.name, asked.folder, asked.new_name)
            if chosen:
                studio.options.update(owner, {"sd_model_checkpoint": file.title})
            return file

        return await now(request, await asyncio.to_thread(renamed))

    @routes.put("/files/preview", response_model=StoredModel)
    async def preview(request: Request, asked: PreviewRequest) -> Response:
        """Show one of the caller's own pictures as a model's preview. Its prompt does not come along."""
        owner = known_caller(request)
        kind = KINDS[asked.type]
        day, _, name = asked.picture.partition("/")
        picture = await asyncio.to_thread(studio.outputs.picture, owner, day, name)
        if picture is None:
            raise HTTPException(404, remark("no_picture_of_yours", "there is no such picture of yours"))
        await asyncio.to_thread(editor.show, kind, asked.name, picture)
        return await now(request, await asyncio.to_thread(editor.find, kind, asked.name))


def _library(
    studio: Studio, access: FileAccess, kind: str, q: str, folder: str, sort: Sort
) -> dict[str, Any]:
    # Asked once: a choice that comes meanwhile must not make half of the answer.
    checkpoint = _checkpoint(studio, access.owner)
    every = _seen(studio, access, checkpoint)
    found = [one for one in every if kind in ("", one.kind) and _below(one, folder) and _matches(one, q)]
    return ModelLibrary(
        models=sorted(found, key=_SORTS[sort]),
        total=len(every),
        kinds=Counter(one.kind for one in every),
        may_change=access.member,
        checkpoint=checkpoint.name if checkpoint else "",
    ).model_dump()


def _one(studio: Studio, request: Request, file: ModelFile) -> dict[str, Any]:
    access = FileAccess.of(request.headers)
    every = _seen(studio, access, _checkpoint(studio, access.owner))
    found = next((one for one in every if KINDS[one.kind] is file.kind and one.name == file.name), None)
    if found is None:
        raise HTTPException(404, remark("taken_away", "it was taken away just now"))
    return found.model_dump()


def _seen(studio: Studio, access: FileAccess, checkpoint: ModelFile | None) -> Sequence[StoredModel]:
    family = studio.engine.store.entry(checkpoint).family if checkpoint else ""
    in_use = {("checkpoint", checkpoint.name)} if checkpoint else set()
    vae = studio.options.read(access.owner).get("sd_vae")
    in_use |= {("vae", str(vae))} if vae else set()
    seen = [seen_with(one, family, in_use, member=access.member) for one in studio.library.models()]
    # A1111 has names of its own for the published ones.
    called = {one.file.name: one.name for one in upscalers(studio.engine.store) if one.file}
    return [
        one.model_copy(update={"use": called.get(one.name, one.use)}) if one.kind == "upscaler" else one
        for one in seen
    ]


def _below(one: StoredModel, folder: str) -> bool:
    wanted = folder.strip("/")
    return not wanted or one.folder == wanted or one.folder.startswith(f"{wanted}/")


def _matches(one: StoredModel, q: str) -> bool:
    said = (one.name, one.model, one.version, one.base_model, one.words, one.notes)
    text = "\n".join((*said, *one.trained_words, *one.formerly)).lower()
    return all(piece in text for piece in q.lower().split())


def _checkpoint(studio: Studio, owner: str) -> ModelFile | None:
    try:
        return studio.checkpoint(owner)
    except (ModelError, EngineError):
        return None


def _draws_with(studio: Studio, owner: str, file: ModelFile) -> bool:
    chosen = _checkpoint(studio, owner)
    return chosen is not None and chosen.path == file.path


def _wanted(studio: Studio, jobs: AsyncJobs, file: ModelFile) -> str:
    """Why `file` has to keep its name for now; "" where it has not.

    Whoever waits for a picture finds it by the old one. Not so an embedding: that name is a word, which means
    nothing but itself from now on.
    """
    if file.kind is Kind.EMBEDDING and jobs.need(file):
        return _WORD_NEEDED
    try:
        default = studio.engine.default_checkpoint()
    except (NoCheckpoint, UnknownModel):
        return ""
    if default.path == file.path:
        return _DEFAULT
    return ""
