"""`GET /studio/words` and `POST /studio/tokens`: what the page offers and counts while somebody types."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from easel.models import Kind
from easel.studio.api.errors import RESPONSES
from easel.studio.engine import WILDCARDS_FOLDER, Wildcards
from easel.studio.owner import owner_of
from easel.studio.studio import Studio
from easel.studio.styles import Styles

MAX_TYPED = 20_000
MAX_TRAINED = 5_000
"""Words that models were trained on, over all of them: more than anybody looks through."""


class LoraWords(BaseModel):
    """A LoRA as it is written into a prompt, and the words that it was trained on."""

    name: str
    words: list[str]
    family: str = Field(description="what it was made for, as its file or its source says; may be empty")


class Words(BaseModel):
    """Everything that has a name in a prompt."""

    loras: list[LoraWords]
    embeddings: list[str]
    wildcards: list[str]
    styles: list[str]
    trained: list[str] = Field(description="words that any model here was trained on, once each")


class TypedPrompts(BaseModel):
    """What stands in the fields."""

    prompt: str = Field("", max_length=MAX_TYPED)
    negative_prompt: str = Field("", max_length=MAX_TYPED)


class TokensOf(BaseModel):
    """One prompt's."""

    count: int
    limit: int = Field(description="what the chunks of 75 that are begun hold")
    breaks: list[int] = Field(description="characters at which a new chunk begins")


class TokenCounts(BaseModel):
    """Both prompts'."""

    prompt: TokensOf
    negative_prompt: TokensOf


def typing_aids(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/studio", tags=["page"])
    store = studio.engine.store

    @routes.get("/words", response_model=Words)
    def words(request: Request) -> Words:
        """LoRAs, embeddings, wildcards, styles and trained words, for completion while typing."""
        loras = store.index(Kind.LORA)
        entries = (*loras, *store.index(Kind.CHECKPOINT), *store.index(Kind.EMBEDDING))
        trained = dict.fromkeys(word.strip() for entry in entries for word in entry.trained_words)
        return Words(
            loras=[
                LoraWords(name=one.file.stem, words=list(one.trained_words), family=one.base_model)
                for one in loras
                if not one.problem
            ],
            embeddings=[file.stem for file in store.files(Kind.EMBEDDING)],
            wildcards=list(Wildcards([store.root / WILDCARDS_FOLDER]).names()),
            styles=list(Styles(studio.outputs, owner_of(request.headers)).known),
            trained=[word for word in trained if word][:MAX_TRAINED],
        )

    @routes.post("/tokens", response_model=TokenCounts, responses=RESPONSES)
    def tokens(typed: TypedPrompts) -> TokenCounts:
        """Count tokens, as A1111's page does beside the prompt."""
        return TokenCounts(prompt=_counted(typed.prompt), negative_prompt=_counted(typed.negative_prompt))

    def _counted(text: str) -> TokensOf:
        from easel.studio.engine import (
            count_tokens,
        )  # brings torch, which is there by the time somebody types

        found = count_tokens(text, store)
        return TokensOf(count=found.count, limit=found.limit, breaks=list(found.breaks))

    return routes
