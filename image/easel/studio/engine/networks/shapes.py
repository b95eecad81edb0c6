"""Whether the tensors of a network fit each other and the layer that they are for, told by shapes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]


class ForeignShape(Exception):
    """They are of a layer of another width: the network was made for another architecture."""


class BadShape(Exception):
    """What is wrong with them, as the end of a sentence; `{}` in it stands for the layer."""


def low_rank(shapes: Shapes, weight: Shape) -> None:
    """LoRA: up (out, r), down (r, in, …), perhaps mid (r, r, …)."""
    down, up = shapes["down"], shapes["up"]
    _matrix("down", down)
    _matrix("up", up)
    if down[1] != weight[1] or up[0] != weight[0]:
        raise ForeignShape
    _ranks(down[0], up[1], weight)
    kernel = weight[2:]
    middle = shapes.get("mid")
    if middle is not None:
        _same((*middle,), (up[1], down[0], *kernel) if kernel else ())
    seen = () if middle is not None else kernel
    if _kernel(down) != (seen or (1, 1)) or _kernel(up) != (1, 1):
        raise BadShape("the matrices of {} are of another shape than that layer")


def hadamard(shapes: Shapes, weight: Shape) -> None:
    """LoHa: a (out, r) and b (r, in·kernel); about a core (r, r, …), a (r, out) and b (r, in)."""
    for half in ("1", "2"):
        a, b, core = shapes[f"hada_w{half}_a"], shapes[f"hada_w{half}_b"], shapes.get(f"hada_t{half}")
        _matrix(f"hada_w{half}_a", a)
        _matrix(f"hada_w{half}_b", b)
        whole = prod(weight[1:]) if core is None else weight[1]
        out, rank = (a[0], prod(a[1:])) if core is None else (prod(a[1:]), a[0])
        if out != weight[0] or prod(b[1:]) != whole:
            raise ForeignShape
        _ranks(rank, b[0], weight)
        if core is not None:
            _same(core, (rank, rank, *weight[2:]))


def kronecker(shapes: Shapes, weight: Shape) -> None:
    """LoKr: w1 (a, b) and w2 (out/a, in/b, …), each perhaps of low rank, w2 perhaps about a core."""
    core = shapes.get("lokr_t2")
    first = _product("lokr_w1", shapes, weight)
    if core is None:
        second = _product("lokr_w2", shapes, weight)
    else:
        a, b = shapes["lokr_w2_a"], shapes["lokr_w2_b"]
        _matrix("lokr_w2_a", a)
        _matrix("lokr_w2_b", b)
        _same(core, (a[0], b[0], *weight[2:]))
        _ranks(a[0], b[0], weight)
        second = (a[1], b[1] * prod(weight[2:]))
    if first[0] * second[0] != weight[0] or first[1] * second[1] != prod(weight[1:]) or weight[1] % first[1]:
        raise ForeignShape


def rotated(shapes: Shapes, weight: Shape) -> None:
    """OFT: (blocks, size, size) and BOFT: (stages, blocks, size, size); size is that of all channels."""
    for role in ("oft_blocks", "oft_diag"):
        blocks = shapes.get(role)
        if blocks is None:
            continue
        if len(blocks) not in (3, 4) or blocks[-1] != blocks[-2] or not all(blocks):
            raise BadShape(f"the {role} of {{}} are no square matrices")
        if blocks[-3] * blocks[-1] != weight[0]:
            raise ForeignShape
        if len(blocks) == 4 and (blocks[-1] % 2 or weight[0] % (blocks[-1] * 2 ** (blocks[0] - 1))):
            raise BadShape(f"the {role} of {{}} have more stages than its channels do")
    if "rescale" in shapes and prod(shapes["rescale"]) != weight[0]:
        raise BadShape("the rescale of {} is of another shape than that layer")


def rotated_apart(shapes: Shapes, rows: Sequence[slice]) -> None:
    """OFT and BOFT of a layer of which a module has these rows: none of its rows is turned with others.

    A stage of BOFT turns within groups that are twice as large as the last one's. Raises BadShape.
    """
    for role in ("oft_blocks", "oft_diag"):
        if (blocks := shapes.get(role)) is None:
            continue
        group = blocks[-1] * (2 ** (blocks[0] - 1) if len(blocks) == 4 else 1)
        if any(end % group for one in rows for end in (one.start, one.stop)):
            raise BadShape(
                f"the {role} of {{}} turn its rows with those of layers that are one with it in the file"
            )


def generalized(shapes: Shapes, weight: Shape) -> None:
    """GLoRA: a1 (in, r), a2 (r, in), b1 (out, r), b2 (r, in, …), perhaps bm (r, r, …)."""
    a1, a2 = shapes["a1"], shapes["a2"]
    _matrix("a1", a1)
    _matrix("a2", a2)
    if a1[0] != weight[1] or a2[1] != weight[1]:
        raise ForeignShape
    _ranks(a1[1], a2[0], weight)
    inside = {"down": shapes["b2"], "up": shapes["b1"]}
    low_rank(inside | ({"mid": shapes["bm"]} if "bm" in shapes else {}), weight)


def difference(shapes: Shapes, weight: Shape) -> None:
    """Full and norms: as large as the layer's own; a bias as long as the output is wide."""
    for role in ("diff", "w_norm"):
        whole = shapes.get(role)
        if whole is not None and (prod(whole) != prod(weight) or whole[:1] != weight[:1]):
            raise ForeignShape
    for role in ("diff_b", "b_norm"):
        if role in shapes and prod(shapes[role]) != weight[0]:
            raise ForeignShape


def magnitude_of_input(role: str, shape: Shape, weight: Shape) -> bool:
    """Whether a DoRA's magnitude is by columns of the weight, so by channels of the input. Raises BadShape.

    PEFT's, called `magnitude`, is always by rows. One without dimensions to tell is taken for PEFT's.
    """
    by_rows = prod(shape) == weight[0]
    if role == "magnitude" or len(shape) == 1:
        if by_rows:
            return False
    elif len(shape) >= 2 and by_rows and shape[0] == weight[0]:
        return False
    elif shape[0] == 1 and prod(shape) == shape[1] == weight[1]:
        return True
    raise BadShape("the dora_scale of {} is of another shape than that layer")


def _matrix(role: str, shape: Shape) -> None:
    if len(shape) not in (2, 4):
        raise BadShape(f"the {role} of {{}} is not a matrix")


def _kernel(shape: Shape) -> Shape:
    return shape[2:] or (1, 1)


def _ranks(one: int, other: int, weight: Shape) -> None:
    if one != other or one == 0:
        raise BadShape("the two matrices of {} do not fit each other")
    # full rank is less than either side; past that a file is an error, or made to be slow
    if one > max(weight[0], prod(weight[1:])):
        raise BadShape(f"the matrices of {{}} are of rank {one}, more than that layer has")


def _same(shape: Shape, wanted: Shape) -> None:
    if shape != wanted:
        raise BadShape("the third matrix of {} is of another shape than that layer")


def _product(role: str, shapes: Shapes, weight: Shape) -> tuple[int, int]:
    """Rows and columns of a matrix, or of the product of its two."""
    if role in shapes:
        _matrix(role, shapes[role])
        return shapes[role][0], prod(shapes[role][1:])
    a, b = shapes[f"{role}_a"], shapes[f"{role}_b"]
    _matrix(f"{role}_a", a)
    _matrix(f"{role}_b", b)
    _ranks(prod(a[1:]), b[0], weight)
    return a[0], prod(b[1:])
