"""Layers packed as nunchaku's programs read them, place by place.

Where a number of a matrix lies in the file is written down here as the threads of a GPU read it: 32 of them
(lanes), eight along the rows and four along the columns. `test_nunchaku.py` holds this against what
deepcompressor packed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

Tensors = dict[str, torch.Tensor]
SHIFT = 0.171875
"""Added to GELU's answers before they are rounded to four bits."""
NAMES = (
    ("smooth", "smooth_orig", "lora_down", "lora_up"),
    ("smooth_factor", "smooth_factor_orig", "proj_down", "proj_up"),
)
"""Of FLUX.1's files, and of those of later families."""
E2M1 = torch.tensor([0.0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


@dataclass
class Layer:
    """A layer's tensors in the file, without its name, and what it means: in single precision."""

    tensors: Tensors
    weight: torch.Tensor
    bias: torch.Tensor
    given: Tensors = field(default_factory=dict)


def _every(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(rows)[:, None], torch.arange(columns)[None]


def _put(values: torch.Tensor, places: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    found = torch.full((values.numel(),), -1, dtype=values.dtype)
    found[places.flatten()] = values.flatten()
    return found.reshape(shape)


def _halves(numbers: torch.Tensor) -> torch.Tensor:
    """Two numbers of four bits a byte, the first in the lower half: as whole numbers of 32 bits lie."""
    pairs = numbers.reshape(-1, 2).to(torch.uint8)
    return pairs[:, 0] + pairs[:, 1] * 16


def codes(numbers: torch.Tensor) -> torch.Tensor:
    """Of four bits each (0 to 15): eight numbers of a row for each register, a lane has four of those."""
    rows, columns = numbers.shape
    r, c = _every(rows, columns)
    tile = r // 128 * (columns // 64) + c // 64
    lane = r % 8 * 4 + c % 32 // 8
    register = r % 16 // 8 * 2 + c % 64 // 32
    place = (((tile * 8 + r % 128 // 16) * 32 + lane) * 4 + register) * 8 + c % 8
    return _halves(_put(numbers, place, (-1,))).view(torch.int8).reshape(rows, columns // 2)


def factors(numbers: torch.Tensor) -> torch.Tensor:
    """A lane has four of 128: two beside each other, and those eight below."""
    rows, groups = numbers.shape
    r, g = _every(rows, groups)
    lane, element = r % 128 // 16 * 4 + r % 8 // 2, r % 16 // 8 * 2 + r % 2
    return _put(numbers, ((r // 128 * groups + g) * 32 + lane) * 4 + element, (groups, rows))


def vector(numbers: torch.Tensor) -> torch.Tensor:
    return factors(numbers[:, None]).flatten()


def small_factors(numbers: torch.Tensor) -> torch.Tensor:
    """Of eight bits: a lane has four groups of four rows that are 32 apart."""
    rows, groups = numbers.shape
    r, g = _every(rows, groups)
    lane = r % 8 * 4 + r % 32 // 8
    place = (((r // 128 * (groups // 4) + g // 4) * 32 + lane) * 4 + r % 128 // 32) * 4 + g % 4
    found = _put(numbers.to(torch.float8_e4m3fn).view(torch.uint8), place, (groups, rows))
    return found.view(torch.float8_e4m3fn)


def low_rank(numbers: torch.Tensor, *, down: bool) -> torch.Tensor:
    """(rank, columns), or (rows, rank): tiles of 16 by 16."""
    n, k = _every(*numbers.shape)
    long, rank = reversed(numbers.shape) if down else numbers.shape
    tile = (k // 16 * (rank // 16) + n // 16) if down else (n // 16 * (rank // 16) + k // 16)
    place = (tile * 32 + n % 8 * 4 + k % 8 // 2) * 8 + n % 16 // 8 * 4 + k % 16 // 8 * 2 + k % 2
    return _put(numbers, place, (long, rank))


def plain_codes(numbers: torch.Tensor) -> torch.Tensor:
    """Of a layer that is multiplied in 16 bits: 64 columns of four rows after one another, and of 32 columns
    those that are eight apart."""
    rows, columns = numbers.shape
    r, c = _every(rows, columns)
    quarter = (r // 4 * (columns // 64) + c // 64) * 4 + r % 4
    place = ((quarter * 2 + c % 64 // 32) * 8 + c % 8) * 4 + c % 32 // 8
    return _halves(_put(numbers, place, (-1,))).view(torch.int32).reshape(rows // 4, columns // 2)


def packed(
    rows: int, columns: int, noise: torch.Generator, *, rank: int = 16, floats: bool = False,
    shifted: bool = False, biased: bool = True, half: torch.dtype = torch.bfloat16, early: bool = True,
    spread: float = 1.0,
) -> Layer:  # fmt: skip
    """A layer of random numbers; `early`: with FLUX.1's names."""

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=noise)

    about = spread * columns**-0.5
    numbers = torch.randint(0, 16, (rows, columns), generator=noise)
    smooth = (torch.rand(columns, generator=noise) + 0.5).to(half)
    up, down = ((random(rows, rank) * 0.3).to(half), (random(rank, columns) * about / 2).to(half))
    bias = (random(rows) * 0.1).to(half)
    given = {"codes": numbers, "smooth": smooth, "up": up, "down": down, "bias": bias}
    if floats:
        scales = (torch.rand((rows, columns // 16), generator=noise) + 0.5).to(torch.float8_e4m3fn)
        channels = ((torch.rand(rows, generator=noise) + 0.5) * about / 3).to(half)
        whole = torch.tensor(0.75).to(half)
        given |= {"scales": scales.view(torch.uint8), "channels": channels, "whole": whole}
        found = E2M1[numbers] * scales.float().repeat_interleave(16, 1) * channels.float()[:, None] * 0.75
        beside = {
            "wscales": small_factors(scales.float()), "wcscales": vector(channels),
            "wtscale": whole.reshape(1),
        }  # fmt: skip
    else:
        scales = ((torch.rand((rows, columns // 64), generator=noise) + 0.5) * about / 4).to(half)
        given["scales"] = scales
        signed = torch.where(numbers > 7, numbers - 16, numbers)
        found = signed * scales.float().repeat_interleave(64, 1)
        beside = {"wscales": factors(scales)}
    alone = found / smooth.float()
    names = NAMES[0] if early else NAMES[1]
    tensors = {
        "qweight": codes(numbers), **beside, names[0]: vector(smooth), names[1]: vector(smooth * 2),
        names[2]: low_rank(down, down=True), names[3]: low_rank(up, down=False),
    }  # fmt: skip
    if biased:
        tensors["bias"] = vector(bias)
    meant = bias.float() + (SHIFT * alone.sum(dim=1) if shifted and not floats else 0)
    return Layer(tensors, alone + up.float() @ down.float(), meant, given)


def plain(
    splits: int, rows: int, columns: int, noise: torch.Generator, half: torch.dtype = torch.bfloat16,
    spread: float = 1.0,
) -> Layer:  # fmt: skip
    """A layer that makes `splits` vectors of `rows` numbers, multiplied in 16 bits. Its groups of columns are
    filled up to 16, as deepcompressor has it."""
    every, about = splits * rows, spread * columns**-0.5
    numbers = torch.randint(0, 16, (every, columns), generator=noise)
    scales = ((torch.rand((every, columns // 64), generator=noise) + 0.5) * about / 4).to(half)
    zeros = -7 * scales
    bias = (torch.randn(every, generator=noise) * 0.1).to(half)
    weight = numbers * scales.float().repeat_interleave(64, 1) + zeros.float().repeat_interleave(64, 1)

    def turns(rows_of: torch.Tensor) -> torch.Tensor:
        return rows_of.reshape(splits, rows, -1).transpose(0, 1).reshape(every, -1)

    vectors = bias.reshape(splits, rows).clone()
    for one in {1, splits - 2}:
        vectors[one] += 1
    meant = vectors.float().clone()
    for one in {1, splits - 2}:
        meant[one] -= 1
    groups = torch.zeros((max(16, columns // 64), every), dtype=half)
    filled = []
    for one in (scales, zeros):
        filled.append(groups.clone())
        filled[-1][: columns // 64] = turns(one).T
    tensors = {
        "qweight": plain_codes(turns(numbers)), "wscales": filled[0], "wzeros": filled[1],
        "bias": turns(vectors).flatten(),
    }  # fmt: skip
    return Layer(tensors, weight, meant.flatten(), {"codes": numbers, "scales": scales, "bias": bias})


class File:
    """A file for nunchaku, and the network that it means, of one whose other weights are kept."""

    def __init__(self, network: Any, *, floats: bool = False, early: bool = True, seed: int = 0) -> None:
        self.meant: Tensors = {name: one.clone() for name, one in network.state_dict().items()}
        self.tensors: Tensors = {}
        self._floats, self._early = floats, early
        self._noise = torch.Generator().manual_seed(seed)
        self._used: set[str] = set()

    def packed(self, base: str, *modules: str, shifted: bool = False) -> None:
        """A layer whose rows are these modules', from the top."""
        weights = [self.meant[f"{one}.weight"] for one in modules]
        layer = packed(
            sum(len(one) for one in weights), weights[0].shape[1], self._noise, floats=self._floats,
            shifted=shifted, biased=f"{modules[0]}.bias" in self.meant, early=self._early,
        )  # fmt: skip
        self._put(base, layer, modules)

    def beside(self, module: str, *bases: str) -> None:
        """Layers whose columns are this module's: the first as wide as high, the other, whose input is
        shifted, has the rest."""
        rows, columns = self.meant[f"{module}.weight"].shape
        widths = (rows, columns - rows)
        layers = [
            packed(rows, width, self._noise, floats=self._floats, shifted=bool(number), early=self._early)
            for number, width in enumerate(widths)
        ]
        for base, layer in zip(bases, layers, strict=True):
            self.tensors |= {f"{base}.{name}": one for name, one in layer.tensors.items()}
        self.meant[f"{module}.weight"] = torch.cat([one.weight for one in layers], dim=1)
        self.meant[f"{module}.bias"] = layers[0].bias + layers[1].bias
        self._used |= {f"{module}.weight", f"{module}.bias"}

    def plain(self, module: str, splits: int) -> None:
        """A layer that is multiplied in 16 bits."""
        rows, columns = self.meant[f"{module}.weight"].shape
        self._put(module, plain(splits, rows // splits, columns, self._noise), (module,))

    def renamed(self, base: str, *modules: str) -> None:
        """A layer in plain numbers, whose rows are these modules'."""
        self.tensors[f"{base}.weight"] = torch.cat([self.meant[f"{one}.weight"] for one in modules])
        self._used |= {f"{one}.weight" for one in modules}

    def finished(self) -> Tensors:
        """All of the file's tensors."""
        rest = {name: one for name, one in self.meant.items() if name not in self._used}
        return self.tensors | rest

    def _put(self, base: str, layer: Layer, modules: tuple[str, ...]) -> None:
        self.tensors |= {f"{base}.{name}": one.contiguous() for name, one in layer.tensors.items()}
        heights = [len(self.meant[f"{one}.weight"]) for one in modules]
        for kind, whole in (("weight", layer.weight), ("bias", layer.bias)):
            for module, one in zip(modules, whole.split(heights), strict=True):
                if f"{module}.{kind}" in self.meant:
                    self.meant[f"{module}.{kind}"] = one.clone()
                    self._used.add(f"{module}.{kind}")


class Outline(File):
    """The same without numbers: types and shapes, for a network of full size on the meta device."""

    def __init__(self, network: Any, rank: int, *, floats: bool = False, early: bool = True) -> None:
        super().__init__(network, floats=floats, early=early)
        self._rank = rank

    def packed(self, base: str, *modules: str, shifted: bool = False) -> None:
        """See `File`."""
        weights = [self.meant[f"{one}.weight"] for one in modules]
        biased = f"{modules[0]}.bias" in self.meant
        self._layer(base, sum(len(one) for one in weights), weights[0].shape[1], biased=biased)
        self._used |= {f"{one}.{kind}" for one in modules for kind in ("weight", "bias")}

    def beside(self, module: str, *bases: str) -> None:
        """See `File`."""
        rows, columns = self.meant[f"{module}.weight"].shape
        for base, width in zip(bases, (rows, columns - rows), strict=True):
            self._layer(base, rows, width, biased=True)
        self._used |= {f"{module}.weight", f"{module}.bias"}

    def plain(self, module: str, splits: int) -> None:
        """See `File`."""
        rows, columns = self.meant[f"{module}.weight"].shape
        self._made(f"{module}.qweight", rows // 4, columns // 2, dtype=torch.int32)
        for name in ("wscales", "wzeros"):
            self._made(f"{module}.{name}", columns // 64, rows)
        self._made(f"{module}.bias", rows)
        self._used |= {f"{module}.weight", f"{module}.bias"}

    def _layer(self, base: str, rows: int, columns: int, *, biased: bool) -> None:
        self._made(f"{base}.qweight", rows, columns // 2, dtype=torch.int8)
        if self._floats:
            self._made(f"{base}.wscales", columns // 16, rows, dtype=torch.float8_e4m3fn)
            self._made(f"{base}.wcscales", rows)
        else:
            self._made(f"{base}.wscales", columns // 64, rows)
        names = NAMES[0] if self._early else NAMES[1]
        for name, shape in zip(
            names, ((columns,), (columns,), (columns, self._rank), (rows, self._rank)), strict=True
        ):
            self._made(f"{base}.{name}", *shape)
        if biased:
            self._made(f"{base}.bias", rows)

    def _made(self, name: str, *shape: int, dtype: torch.dtype = torch.bfloat16) -> None:
        self.tensors[name] = torch.empty(shape, dtype=dtype, device="meta")


def flux(network: Any, *, floats: bool = False, seed: int = 0, into: File | None = None) -> File:
    """FLUX.1, as deepcompressor writes it; `into` a file that was begun."""
    file = into or File(network, floats=floats, seed=seed)
    for number in range(len(network.transformer_blocks)):
        block = f"transformer_blocks.{number}"
        for side, end, to, norm, forward in (
            ("norm1", "", "to_{}", "norm_", "ff"),
            ("norm1_context", "_context", "add_{}_proj", "norm_added_", "ff_context"),
        ):
            file.plain(f"{block}.{side}.linear", 6)
            file.packed(f"{block}.qkv_proj{end}", *(f"{block}.attn.{to.format(one)}" for one in "qkv"))
            file.packed(f"{block}.out_proj{end}", f"{block}.attn.{'to_add_out' if end else 'to_out.0'}")
            file.packed(f"{block}.mlp{end}_fc1", f"{block}.{forward}.net.0.proj")
            file.packed(f"{block}.mlp{end}_fc2", f"{block}.{forward}.net.2", shifted=True)
            for one in "qk":
                file.renamed(f"{block}.{norm}{one}", f"{block}.attn.{norm}{one}")
    for number in range(len(network.single_transformer_blocks)):
        block = f"single_transformer_blocks.{number}"
        file.plain(f"{block}.norm.linear", 3)
        file.packed(f"{block}.qkv_proj", *(f"{block}.attn.to_{one}" for one in "qkv"))
        file.packed(f"{block}.mlp_fc1", f"{block}.proj_mlp")
        file.beside(f"{block}.proj_out", f"{block}.out_proj", f"{block}.mlp_fc2")
        for one in "qk":
            file.renamed(f"{block}.norm_{one}", f"{block}.attn.norm_{one}")
    return file


def qwen_image(network: Any, *, floats: bool = False, into: File | None = None) -> File:
    """Qwen-Image, as nunchaku's module for it is called."""
    file = into or File(network, floats=floats, early=False)
    for number in range(len(network.transformer_blocks)):
        block = f"transformer_blocks.{number}"
        for side in ("img", "txt"):
            file.plain(f"{block}.{side}_mod.1", 6)
            file.packed(f"{block}.{side}_mlp.net.0.proj", f"{block}.{side}_mlp.net.0.proj")
            file.packed(f"{block}.{side}_mlp.net.2", f"{block}.{side}_mlp.net.2", shifted=True)
        file.packed(f"{block}.attn.to_qkv", *(f"{block}.attn.to_{one}" for one in "qkv"))
        file.packed(f"{block}.attn.add_qkv_proj", *(f"{block}.attn.add_{one}_proj" for one in "qkv"))
        for one in ("to_out.0", "to_add_out"):
            file.packed(f"{block}.attn.{one}", f"{block}.attn.{one}")
    return file


def z_image(network: Any, *, floats: bool = False, refiners: bool = False, into: File | None = None) -> File:
    """Z-Image; `refiners`: these are packed too."""
    file = into or File(network, floats=floats, early=False)
    for blocks in ("layers", "noise_refiner", "context_refiner"):
        for number in range(len(getattr(network, blocks))):
            block = f"{blocks}.{number}"
            attention, forward = f"{block}.attention", f"{block}.feed_forward"
            if blocks == "layers" or refiners:
                file.packed(f"{attention}.to_qkv", *(f"{attention}.to_{one}" for one in "qkv"))
                file.packed(f"{attention}.to_out.0", f"{attention}.to_out.0")
                file.packed(f"{forward}.net.0.proj", f"{forward}.w3", f"{forward}.w1")
                file.packed(f"{forward}.net.2", f"{forward}.w2")
            else:
                file.renamed(f"{forward}.net.0.proj", f"{forward}.w3", f"{forward}.w1")
                file.renamed(f"{forward}.net.2", f"{forward}.w2")
    return file
