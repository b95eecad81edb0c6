"""`/studio/wildcards`: the words that `__name__` in a prompt draws from. The team's, for all of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from easel.studio.api.errors import ErrorBody
from easel.studio.owner import NotYours, is_anonymous, owner_of
from easel.studio.studio import Studio
from easel.studio.wildcard_files import WildcardFiles

_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The body is not JSON"},
    403: {"model": ErrorBody, "description": "The team's files are not a visitor's to write"},
    404: {"model": ErrorBody, "description": "There is no such file"},
    413: {"model": ErrorBody, "description": "The body is larger than the server takes"},
    507: {"model": ErrorBody, "description": "The file cannot be written"},
}
_Name = Annotated[
    str, Query(max_length=1000, description="as prompts say it: light/warm for `__light/warm__`")
]


class WildcardItem(BaseModel):
    """A file."""

    name: str = Field(description="what stands between the underscores in a prompt")
    lines: int


class WildcardText(BaseModel):
    """What a file holds."""

    text: str = Field(description="a word or phrase in each line; `#` begins a remark, `0.5::` is a weight")


def wildcards(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio/wildcards")
    files = WildcardFiles(studio.engine.store.root)

    @routes.get("")
    def wildcard_names() -> list[WildcardItem]:
        """All files by the names that prompts call them."""
        return [WildcardItem(name=name, lines=lines) for name, lines in files.lines()]

    @routes.get("/file", responses=_REFUSED)
    def wildcard_text(name: _Name) -> WildcardText:
        """What a file holds."""
        return WildcardText(text=files.read(name))

    @routes.put("/file", responses=_REFUSED)
    def write_wildcard(request: Request, name: _Name, content: WildcardText) -> WildcardText:
        """Write a file, or over it."""
        _check_member(request)
        files.write(name, content.text)
        return content

    @routes.delete("/file", status_code=204, responses=_REFUSED)
    def delete_wildcard(request: Request, name: _Name) -> None:
        """Delete a file."""
        _check_member(request)
        files.delete(name)

    return routes


def _check_member(request: Request) -> None:
    """Raise NotYours for a visitor."""
    if is_anonymous(owner_of(request.headers)):
        raise NotYours("wildcards are the team's: open a link of the team, or send a token")
