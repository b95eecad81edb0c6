"""Text encoders and VAEs that an infotext names as Forge's do (`Module 1`, `Hires Module 1`), as far as they
are here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from easel.models import Store, UnknownModel
from easel.remark import remark
from easel.studio.engine import find_part

MODULE, HIRES_MODULE = "Module", "Hires Module"
"""Numbers follow, from 1."""


def module_parameters(words: str, names: Sequence[str]) -> dict[str, str]:
    """The parameters that say these names."""
    return {f"{words} {number}": name for number, name in enumerate(names, 1)}


def modules_said(words: str, said: Mapping[str, str]) -> list[str]:
    """The names that the parameters say."""
    key = re.compile(rf"{words} \d+")
    return [name for one, name in said.items() if key.fullmatch(one) and name]


def modules_here(store: Store, fields: dict[str, Any], field: str) -> Iterator[str]:
    """Have only those in `fields` that are here, by their names here; a sentence on each of the others."""
    here = []
    for name in fields.pop(field, ()):
        try:
            here.append(find_part(store, name).name)
        except UnknownModel:
            words = "Module {name} of the infotext is not here; it was left out."
            yield remark("infotext_module", words, about=field, name=name)
    if here:
        fields[field] = here
