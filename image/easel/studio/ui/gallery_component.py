"""The gallery: a person's pictures by addresses that only name them for that person."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta


def _postprocess(self: gr.Gallery, value: Sequence[str] | None) -> list[dict[str, Any]]:
    """What the browser gets for paths of saved pictures.

    Gradio's own copies each file into a folder that everybody's are in. This is without its mark of a file
    (`meta`), so that it leaves it alone.
    """
    return [{"image": _shown(Path(path)), "caption": None} for path in value or []]


def _shown(path: Path) -> dict[str, Any]:
    place = f"{path.parent.name}/{path.name}"
    return {"path": place, "url": f"files/pictures/{place}", "orig_name": path.name}


# Not by `class`: Gradio's metaclass would write a stub (pictures.pyi) beside this file. `is_template` is its
# word for "the same in the browser as the class that this is made from".
PictureGallery: type[gr.Gallery] = ABCMeta.__new__(
    ComponentMeta,
    "Pictures",
    (gr.Gallery,),
    {"__module__": __name__, "is_template": True, "postprocess": _postprocess},
)
