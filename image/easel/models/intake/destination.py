"""Where a model goes in the store: names and folders from people and servers, made sure not to lead out."""

from __future__ import annotations

import re
from pathlib import Path

from easel.models.errors import NotSafetensors
from easel.models.kind import GGUF, SAFETENSORS, Kind
from easel.models.source_errors import BadName
from easel.models.store import Store
from easel.remark import remark

# The part, journal and lock beside it bear the name and some letters more; a name on disk has 255 bytes.
LONGEST = 180
_PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
# What no file system or other people's Windows share holds, and what terminals act upon.
_BAD = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/\u200e\u200f\u202a-\u202e\u2066-\u2069]')


def destination(store: Store, kind: Kind, folder: str, name: str) -> Path:
    """The path of a new file called `name` in `folder` ("" or "/" is the top) of the kind's folder.

    Raises BadName, and NotSafetensors for a name that says pickle, or GGUF of a kind that is never read so.
    """
    top = store.folder(kind)
    path = top
    for part in folder.strip("/").split("/") if folder.strip("/") else []:
        path = path / _checked(part, remark("of_folder", "folder {name}", name=repr(folder)))
    named = file_name(name)
    if not named.lower().endswith(kind.endings):
        words = (
            "a GGUF file is read as a checkpoint, text encoder or VAE, not as a {kind}; take the "
            ".safetensors of it"
        )
        raise NotSafetensors(named, remark("gguf_kind", words, kind=kind.words))
    path = path / named
    # A link in the store may lead out of it on purpose (a whole folder of A1111's); not one below that.
    if not path.parent.resolve().is_relative_to(top.resolve()):
        words = "the folder leads out of models/{folder}: it is a link to elsewhere"
        raise BadName(folder, remark("folder_leads_out", words, folder=kind.folder))
    return path


def file_name(name: str) -> str:
    """`name` with an ending that model files have. Raises BadName, NotSafetensors."""
    if name.lower().endswith(_PICKLES):
        raise NotSafetensors(
            name[:LONGEST],
            remark(
                "name_of_pickle",
                "pickles (.ckpt, .pt) can run code when they are opened; take the .safetensors of it",
            ),
        )
    checked = _checked(name, remark("of_file_name", "file name {name}", name=repr(name[:LONGEST])))
    if checked.lower().endswith((SAFETENSORS, GGUF)):
        return checked
    return _checked(checked + SAFETENSORS, remark("of_file_name", "file name {name}", name=repr(name)))


def _checked(part: str, what: str) -> str:
    def refuse(problem: str) -> BadName:
        words = "{problem}; use letters, digits, spaces, dots, hyphens and underscores"
        return BadName(what, remark("bad_name", words, problem=problem))

    if part in ("", ".", "..") or part.startswith("."):
        raise refuse(remark("name_dot", "a part of it is empty or begins with a dot"))
    if _BAD.search(part):
        raise refuse(
            remark(
                "name_letter", "it holds a letter that would lead elsewhere or that not every system can keep"
            )
        )
    if part != part.strip() or part.endswith("."):
        raise refuse(remark("name_space", "it begins or ends with a space, or ends with a dot"))
    try:
        length = len(part.encode())
    except UnicodeEncodeError:
        raise refuse(remark("name_no_text", "it is not text")) from None
    if length > LONGEST:
        words = "it is {n} bytes long, and at most {most} are possible"
        raise refuse(remark("name_long", words, n=length, most=LONGEST))
    return part
