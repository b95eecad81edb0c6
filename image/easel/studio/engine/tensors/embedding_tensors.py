"""Which tensors of an embedding's file are the embedding, and for which family. Light: imports no torch."""

from __future__ import annotations

from easel.models import Header, Incomplete, Kind, ModelFile, WrongKind, small_kind
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.families import Family, text_widths

# As many as a chunk of the prompt holds.
MAX_VECTORS = 75
# The terms of one embedding for several encoders, and what stands beside them for still larger models.
_PAIR, _LARGER, _OUTPUT = ("clip_l", "clip_g"), ("t5xxl", "t5"), "_out"
_FAMILIES = {768: "SD 1.x", 1024: "SD 2.x", 1280: "SDXL", 64: "the starter"}


def names_for(file: ModelFile, header: Header, family: Family) -> list[str]:
    """The tensors of an embedding, one for each text encoder of `family`. Raises as `load_embedding`."""
    shapes = vectors_of(file, header)
    widths = text_widths(family)
    pair = [name for name in _PAIR if name in shapes]
    if pair:
        own = ["clip_g" if one.open_clip else "clip_l" for one in family.text_encoders]
        # With one encoder the width tells, whatever the name: `clip_l` is all that some write for SD 1.x.
        names = pair if len(pair) == len(widths) == 1 else own if set(own) == set(pair) else []
    else:
        names = list(shapes) if len(widths) == 1 else []
    if tuple(shapes[name][1] for name in names) != widths:
        made_for = _FAMILIES.get(max(width for _, width in shapes.values()), "another kind of model")
        ours = _FAMILIES.get(max(widths), family.name)
        raise OtherArchitecture(
            file.name, f"this embedding was made for {made_for}, and the checkpoint is {ours}"
        )
    counts = {shapes[name][0] for name in names}
    if len(counts) != 1:
        raise Incomplete(file.name, f"its parts are of {' and '.join(map(str, sorted(counts)))} vectors")
    return names


def vectors_of(file: ModelFile, header: Header) -> dict[str, tuple[int, int]]:
    """How many vectors of which width each tensor holds that is an input vector: one term's.

    Raises WrongKind; Incomplete, for two terms in one file too.
    """
    found: dict[str, tuple[int, int]] = {}
    for name, info in header.tensors.items():
        if name.removesuffix(_OUTPUT) in header.tensors and name.endswith(_OUTPUT):
            continue
        if len(info.shape) in (1, 2) and info.numel and info.shape[-1] >= 16:
            found[name] = (info.numel // info.shape[-1], info.shape[-1])
    small = small_kind(header)
    if not found or len(header.tensors) > 8 or (small is not None and small[0] is not Kind.EMBEDDING):
        what, kind = (small[1], small[0]) if small else ("a checkpoint or another model", Kind.CHECKPOINT)
        raise WrongKind(
            file.name, what, kind.folder if kind else None, wanted="a textual inversion embedding"
        )
    if any(name in _PAIR for name in found):
        found = {name: one for name, one in found.items() if name in (*_PAIR, *_LARGER)}
    elif len(found) > 1:
        terms = " and ".join(repr(name[:60]) for name in found)
        raise Incomplete(
            file.name, f"it holds several terms, {terms}, and nobody can say which is meant; keep one"
        )
    if any(count > MAX_VECTORS for count, _ in found.values()):
        most = max(count for count, _ in found.values())
        raise Incomplete(file.name, f"it is of {most} vectors; a prompt's chunk holds {MAX_VECTORS}")
    return found
