"""What the page gets of the server's sentences: the text, and by what code and values it says the same."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, Field

from easel.remark import Remark, plain_values

REMARK_HEADER = "X-Easel-Remark"
"""Of a refusal: `{"code", "values"}` of its words, beside A1111's body."""
# Servers and proxies between take 8 kB of headers, all together.
_LONGEST_HEADER = 4000


class CodedText(BaseModel):
    """A sentence as the page gets it."""

    text: str = Field(description="in English")
    code: str | None = Field(None, description="which sentence it is; null for one that has no code")
    values: dict[str, Any] = Field({}, description="what stands in its places; again such objects, or plain")
    field: str | None = Field(None, description="the field of the request that it is about")

    @classmethod
    def of(cls, text: str) -> Self:
        """Those of a Remark; of any other text nothing is known."""
        if not isinstance(text, Remark):
            return cls(text=text)
        return cls(text=str(text), code=text.code, values=plain_values(text.values), field=text.about)


def coded(texts: Iterable[str], before: Iterable[CodedText] = ()) -> list[CodedText]:
    """These texts, each once, behind those that were said before."""
    found = {one.text: one for one in before}
    for text in texts:
        found.setdefault(str(text), CodedText.of(text))
    return list(found.values())


def remark_header(words: str) -> dict[str, str]:
    """The code and values of an error's words, for a page that says it in another language. Beside the body,
    which is A1111's to the last key."""
    said = CodedText.of(words)
    text = json.dumps({"code": said.code, "values": said.values})
    return {REMARK_HEADER: text} if said.code and len(text) <= _LONGEST_HEADER else {}
