"""Styles: A1111's list, and routes of Easel's own that write them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from easel.remark import remark
from easel.studio.api.errors import ErrorBody
from easel.studio.api.gallery import IdText
from easel.studio.api.looks import LOOK, keep_look, look_reply
from easel.studio.engine import Style
from easel.studio.looks import Looks
from easel.studio.owner import NotYours, is_anonymous, owner_of
from easel.studio.studio import Studio
from easel.studio.styles import MAX_NAME, MAX_TEXT, NoSuchStyle, StyleFile, Styles

Whose = Literal["own", "team"]
_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The body is not JSON"},
    403: {"model": ErrorBody, "description": "The team's styles are not a visitor's to write"},
    404: {"model": ErrorBody, "description": "There is no such style"},
    409: {"model": ErrorBody, "description": "There is one of this name already"},
    503: {"model": ErrorBody, "description": "Others are writing the same file"},
    507: {"model": ErrorBody, "description": "The file cannot be written, or not be read first"},
}
_Name = Annotated[str, Query(max_length=1000, description="the style as it is called now")]


class StyleItem(BaseModel):
    """A style. Where `{prompt}` stands in it the request's prompt is put; else the style is put behind."""

    name: str = Field(description=f"up to {MAX_NAME} printable characters")
    prompt: str = Field("", description=f"up to {MAX_TEXT} characters")
    negative_prompt: str = Field("", description=f"up to {MAX_TEXT} characters")

    @classmethod
    def of(cls, style: Style) -> StyleItem:
        """As it lies in a file."""
        return cls(name=style.name, prompt=style.prompt, negative_prompt=style.negative_prompt)

    @property
    def style(self) -> Style:
        """As a file takes it: without spaces at the ends, which A1111's files do not keep."""
        return Style(self.name.strip(), self.prompt.strip(), self.negative_prompt.strip())


class StyleSeen(StyleItem):
    """A style, and where its look is."""

    look: str | None = Field(None, description="relative to the endpoint's address; null where there is none")


class LookRequest(BaseModel):
    """Asks to show what a style looks like by one of the caller's pictures."""

    picture: IdText


class StyleFiles(BaseModel):
    """Both files as they are."""

    own: list[StyleSeen] = Field(description="the caller's, which come before the team's of the same name")
    team: list[StyleSeen]
    may_change_team: bool


def styles(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    _a1111s(routes, studio)
    _own(routes, studio)
    return routes


def _a1111s(routes: APIRouter, studio: Studio) -> None:
    @routes.get("/sdapi/v1/prompt-styles")
    def prompt_styles(request: Request) -> list[StyleItem]:
        """The team's styles and the caller's own, which come before the team's of the same name."""
        known = Styles(studio.outputs, owner_of(request.headers)).known
        return [StyleItem.of(one) for one in known.values()]


def _own(routes: APIRouter, studio: Studio) -> None:
    @routes.get("/studio/styles")
    def style_files(request: Request) -> StyleFiles:
        """The caller's styles and the team's, apart."""
        owner = owner_of(request.headers)
        known = Styles(studio.outputs, owner)
        return StyleFiles(
            own=[_seen(one, known.own_looks) for one in known.own.read().values()],
            # What one has drawn with it oneself comes before what the team shows.
            team=[_seen(one, known.own_looks, known.team_looks) for one in known.team.read().values()],
            may_change_team=not is_anonymous(owner),
        )

    @routes.post("/studio/styles/{whose}", status_code=201, responses=_REFUSED)
    def add_style(request: Request, whose: Whose, style: StyleItem) -> StyleItem:
        """Keep a new style: one's own, or the team's."""
        _file(studio, request, whose).add(style.style)
        return StyleItem.of(style.style)

    @routes.put("/studio/styles/{whose}", responses=_REFUSED)
    def change_style(request: Request, whose: Whose, style: StyleItem, name: _Name) -> StyleItem:
        """Change the style `name`; another name in the body renames it."""
        _file(studio, request, whose).change(name, style.style)
        _looks(studio, request, whose).rename(name, style.style.name)
        return StyleItem.of(style.style)

    @routes.delete("/studio/styles/{whose}", status_code=204, responses=_REFUSED)
    def delete_style(request: Request, whose: Whose, name: _Name) -> None:
        """Delete the style `name`."""
        _file(studio, request, whose).delete(name)
        _looks(studio, request, whose).forget(name)

    @routes.put("/studio/styles/{whose}/look", status_code=204, responses=_REFUSED)
    def show_style(request: Request, whose: Whose, asked: LookRequest, name: _Name) -> None:
        """Let a style look like one of the caller's pictures: the team's, for everybody."""
        file = _file(studio, request, whose)
        if name not in file.read():
            raise NoSuchStyle(
                remark("no_such_style", "there is no style {name} in this file", name=repr(name))
            )
        keep_look(studio, owner_of(request.headers), _looks(studio, request, whose), name, asked.picture)

    @routes.get("/studio/styles/looks/{whose}/{key}", response_class=Response, responses=_REFUSED | LOOK)
    def style_look(request: Request, whose: Whose, key: str) -> Response:
        """A small picture that was drawn with a style: one of the caller's, or what the team shows."""
        return look_reply(_looks(studio, request, whose), key)


def _seen(style: Style, own: Looks, team: Looks | None = None) -> StyleSeen:
    look = f"own/{key}" if (key := own.key(style.name)) else None
    if look is None and team is not None and (key := team.key(style.name)):
        look = f"team/{key}"
    address = f"studio/styles/looks/{look}" if look else None
    return StyleSeen(**StyleItem.of(style).model_dump(), look=address)


def _looks(studio: Studio, request: Request, whose: Whose) -> Looks:
    known = Styles(studio.outputs, owner_of(request.headers))
    return known.own_looks if whose == "own" else known.team_looks


def _file(studio: Studio, request: Request, whose: Whose) -> StyleFile:
    """The file to write. Raises NotYours."""
    owner = owner_of(request.headers)
    known = Styles(studio.outputs, owner)
    if whose == "own":
        return known.own
    if is_anonymous(owner):
        raise NotYours("the team's styles are for its members: visitors of a public endpoint keep their own")
    return known.team
