"""Random weights under the names and in the shapes of published networks; `narrow` divides the widths."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch

Tensors = dict[str, torch.Tensor]
Layer = tuple[str, str, tuple[int, ...]]
"""Name, kind (conv, bare: without a bias, up: transposed, batch, scale, token), shape of the weight."""


def made(layers: Iterator[Layer]) -> Tensors:
    """The same each time; signals keep their size."""
    rng = np.random.default_rng(0)

    def noise(shape: tuple[int, ...], scale: float, around: float = 0.0) -> torch.Tensor:
        return torch.from_numpy(
            rng.standard_normal(shape, np.float32) * np.float32(scale) + np.float32(around)
        )

    found: Tensors = {}
    for name, kind, shape in layers:
        if kind == "token":
            found[name] = noise(shape, 0.5)
        elif kind in ("batch", "scale"):
            found |= {f"{name}.weight": noise(shape, 0.1, 1), f"{name}.bias": noise(shape, 0.1)}
            if kind == "batch":
                found |= {
                    f"{name}.running_mean": noise(shape, 0.1),
                    f"{name}.running_var": noise(shape, 0.1, 1),
                }
                found[f"{name}.num_batches_tracked"] = torch.tensor(3)
        else:
            gain = 0.5 if kind == "bare" else 1.0  # there are many of them, one behind the other
            found[f"{name}.weight"] = noise(shape, float((gain / np.prod(shape[1:])) ** 0.5))
            if kind != "bare":
                found[f"{name}.bias"] = noise((shape[1] if kind == "up" else shape[0],), 0.1)
    return found


def mlsd(narrow: int = 1) -> Iterator[Layer]:
    """`mlsd_large_512_fp32`."""

    def square(name: str, out: int, into: int, side: int, kind: str = "bare") -> Iterator[Layer]:
        yield f"{name}.0", kind, (out, into, side, side)
        yield f"{name}.1", "batch", (out,)

    wide = 32 // narrow
    yield from square("backbone.features.0", wide, 4, 3)
    number = 1
    for times, out, repeats in ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3)):
        for _ in range(repeats):
            name, inner, layer = f"backbone.features.{number}.conv", wide * times, 0
            if times > 1:
                yield from square(f"{name}.0", inner, wide, 1)
                layer = 1
            yield from square(f"{name}.{layer}", inner, 1, 3)
            yield f"{name}.{layer + 1}", "bare", (out // narrow, inner, 1, 1)
            yield f"{name}.{layer + 2}", "batch", (out // narrow,)
            wide, number = out // narrow, number + 1
    half, below = 64 // narrow, 96 // narrow
    for number, past in ((15, 64), (17, 32), (19, 24), (21, 16)):
        yield from square(f"block{number}.conv1", half, below, 1, "conv")
        yield from square(f"block{number}.conv2", half, past // narrow, 1, "conv")
        yield from square(f"block{number + 1}.conv1", 2 * half, 2 * half, 3, "conv")
        yield from square(f"block{number + 1}.conv2", half, 2 * half, 3, "conv")
        below = half
    yield from square("block23.conv1", half, half, 3, "conv")
    yield from square("block23.conv2", half, half, 3, "conv")
    yield "block23.conv3", "conv", (16, half, 1, 1)


def teed() -> Iterator[Layer]:
    """TEED's `7_model`."""
    for name, shape in {
        "block_1.conv1": (16, 3, 3, 3), "block_1.conv2": (16, 16, 3, 3), "block_2.conv1": (32, 16, 3, 3),
        "block_2.conv2": (32, 32, 3, 3), "dblock_3.denselayer1.conv1": (48, 32, 3, 3),
        "dblock_3.denselayer1.conv2": (48, 48, 3, 3), "side_1.conv": (32, 16, 1, 1),
        "pre_dense_3.conv": (48, 32, 1, 1), "up_block_1.features.0": (1, 16, 1, 1),
        "up_block_1.features.2": (1, 1, 2, 2), "up_block_2.features.0": (1, 32, 1, 1),
        "up_block_2.features.2": (1, 1, 2, 2), "up_block_3.features.0": (16, 48, 1, 1),
        "up_block_3.features.2": (16, 16, 4, 4), "up_block_3.features.3": (1, 16, 1, 1),
        "up_block_3.features.5": (1, 1, 4, 4), "block_cat.DWconv1": (24, 1, 3, 3),
        "block_cat.DWconv2": (24, 1, 3, 3),
    }.items():  # fmt: skip
        yield name, "up" if name[-2:] in (".2", ".5") else "conv", shape


def normal_bae(narrow: int = 1) -> Iterator[Layer]:
    """`scannet`: EfficientNet-B5 and the decoder."""
    net, wide = "encoder.original_model", 48 // narrow
    yield f"{net}.conv_stem", "bare", (wide, 3, 3, 3)
    yield f"{net}.bn1", "batch", (wide,)
    stages = (
        (24, 3, 1, 3),
        (40, 5, 6, 3),
        (64, 5, 6, 5),
        (128, 7, 6, 3),
        (176, 7, 6, 5),
        (304, 9, 6, 5),
        (512, 3, 6, 3),
    )
    for stage, (out, repeats, times, side) in enumerate(stages):
        for number in range(repeats):
            name, inner, few = f"{net}.blocks.{stage}.{number}", wide * times, max(1, wide // 4)
            narrower = "conv_pw" if times == 1 else "conv_pwl"
            first, second, third = ("bn1", "bn1", "bn2") if times == 1 else ("bn1", "bn2", "bn3")
            if times > 1:
                yield f"{name}.conv_pw", "bare", (inner, wide, 1, 1)
                yield f"{name}.{first}", "batch", (inner,)
            yield f"{name}.conv_dw", "bare", (inner, 1, side, side)
            yield f"{name}.{second}", "batch", (inner,)
            yield f"{name}.se.conv_reduce", "conv", (few, inner, 1, 1)
            yield f"{name}.se.conv_expand", "conv", (inner, few, 1, 1)
            wide = out // narrow
            yield f"{name}.{narrower}", "bare", (wide, inner, 1, 1)
            yield f"{name}.{third}", "batch", (wide,)
    last = 2048 // narrow
    yield f"{net}.conv_head", "bare", (last, wide, 1, 1)
    yield f"{net}.bn2", "batch", (last,)
    yield "decoder.conv2", "conv", (last, last, 1, 1)
    below = last
    for number, (out, beside) in enumerate(((1024, 176), (512, 64), (256, 40), (128, 24)), 1):
        shapes = {0: (out // narrow, below + beside // narrow, 3, 3), 3: (out // narrow, out // narrow, 3, 3)}
        for place, shape in shapes.items():
            yield f"decoder.up{number}._net.{place}", "conv", shape
            yield f"decoder.up{number}._net.{place + 1}", "batch", shape[:1]
        below = out // narrow
    yield "decoder.out_conv_res8", "conv", (4, 512 // narrow, 3, 3)
    hidden = 128 // narrow
    for size, width in ((4, 512), (2, 256), (1, 128)):
        for place, (out, into) in {
            0: (hidden, width // narrow + 4),
            2: (hidden,) * 2,
            4: (hidden,) * 2,
            6: (4, hidden),
        }.items():
            yield f"decoder.out_conv_res{size}.{place}", "conv", (out, into, 1)


def midas(narrow: int = 1) -> Iterator[Layer]:
    """`dpt_hybrid-midas-501f0c75`; with 64 numbers for each head."""
    vit, net = "pretrained.model", "pretrained.model.patch_embed.backbone"
    hidden, wide = 768 // narrow, 64 // min(narrow, 2)
    yield f"{vit}.cls_token", "token", (1, 1, hidden)
    yield f"{vit}.pos_embed", "token", (1, 577, hidden)
    yield f"{net}.stem.conv", "bare", (wide, 3, 7, 7)
    yield f"{net}.stem.norm", "scale", (wide,)
    into = wide
    for stage, repeats in enumerate((3, 4, 9) if narrow == 1 else (1, 1, 1)):
        out, inner = 4 * wide * 2**stage, wide * 2**stage
        for number in range(repeats):
            name = f"{net}.stages.{stage}.blocks.{number}"
            if number == 0:
                yield f"{name}.downsample.conv", "bare", (out, into, 1, 1)
                yield f"{name}.downsample.norm", "scale", (out,)
            for layer, shape in enumerate(((inner, into, 1, 1), (inner, inner, 3, 3), (out, inner, 1, 1)), 1):
                yield f"{name}.conv{layer}", "bare", shape
                yield f"{name}.norm{layer}", "scale", shape[:1]
            into = out
    yield f"{vit}.patch_embed.proj", "conv", (hidden, into, 1, 1)
    for number in range(12):
        name = f"{vit}.blocks.{number}"
        yield f"{name}.norm1", "scale", (hidden,)
        yield f"{name}.attn.qkv", "conv", (3 * hidden, hidden)
        yield f"{name}.attn.proj", "conv", (hidden, hidden)
        yield f"{name}.norm2", "scale", (hidden,)
        yield f"{name}.mlp.fc1", "conv", (4 * hidden, hidden)
        yield f"{name}.mlp.fc2", "conv", (hidden, 4 * hidden)
    yield f"{vit}.norm", "scale", (hidden,)
    yield f"{vit}.head", "conv", (1000 // narrow, hidden)
    for number in (3, 4):
        yield f"pretrained.act_postprocess{number}.0.project.0", "conv", (hidden, 2 * hidden)
        yield f"pretrained.act_postprocess{number}.3", "conv", (hidden, hidden, 1, 1)
    yield "pretrained.act_postprocess4.4", "conv", (hidden, hidden, 3, 3)
    fused = 256 // narrow
    for number, width in enumerate((4 * wide, 8 * wide, hidden, hidden), 1):
        yield f"scratch.layer{number}_rn", "bare", (fused, width, 3, 3)
        yield f"scratch.refinenet{number}.out_conv", "conv", (fused, fused, 1, 1)
        for unit in (1, 2):
            for layer in (1, 2):
                yield f"scratch.refinenet{number}.resConfUnit{unit}.conv{layer}", "conv", (fused, fused, 3, 3)
    yield "scratch.output_conv.0", "conv", (fused // 2, fused, 3, 3)
    yield "scratch.output_conv.2", "conv", (32 // min(narrow, 4), fused // 2, 3, 3)
    yield "scratch.output_conv.4", "conv", (1, 32 // min(narrow, 4), 1, 1)


def parts(count: int, wide: int = 4) -> Iterator[Layer]:
    """`hand_pose_model` (22 maps) and `facenet` (71)."""
    into = 3
    for block, layers in ((1, 2), (2, 2), (3, 4), (4, 4), (5, 2)):
        for number in range(1, layers + 1):
            yield f"conv{block}_{number}", "conv", (wide, into, 3, 3)
            into = wide
    yield "conv5_3_CPM", "conv", (wide, wide, 3, 3)
    yield "conv6_1_CPM", "conv", (2 * wide, wide, 1, 1)
    yield "conv6_2_CPM", "conv", (count, 2 * wide, 1, 1)
    for stage in range(2, 7):
        yield f"Mconv1_stage{stage}", "conv", (wide, wide + count, 7, 7)
        for number in range(2, 6):
            yield f"Mconv{number}_stage{stage}", "conv", (wide, wide, 7, 7)
        yield f"Mconv6_stage{stage}", "conv", (wide, wide, 1, 1)
        yield f"Mconv7_stage{stage}", "conv", (count, wide, 1, 1)


def leres(narrow: int = 1, blocks: tuple[int, ...] = (3, 4, 23, 3)) -> Iterator[Layer]:
    """LeReS' `res101`: a ResNeXt with 32 groups of 8, and the decoder."""
    net, out = "encoder_modules.encoder", "decoder_modules"
    wide = 64 // min(narrow, 2)
    yield f"{net}.conv1", "bare", (wide, 3, 7, 7)
    yield f"{net}.bn1", "batch", (wide,)
    into, widths = wide, [256 // narrow * 2**stage for stage in range(4)]
    for stage, (width, repeats) in enumerate(zip(widths, blocks, strict=True), 1):
        for number in range(repeats):
            name = f"{net}.layer{stage}.{number}"
            shapes = (
                (width, into, 1, 1),
                (width, width // 32 if narrow == 1 else 2, 3, 3),
                (width, width, 1, 1),
            )
            for layer, shape in enumerate(shapes, 1):
                yield f"{name}.conv{layer}", "bare", shape
                yield f"{name}.bn{layer}", "batch", (width,)
            if number == 0:
                yield f"{name}.downsample.0", "bare", (width, into, 1, 1)
                yield f"{name}.downsample.1", "batch", (width,)
            into = width

    def block(name: str, into: int, width: int) -> Iterator[Layer]:
        yield f"{name}.conv1", "conv", (width, into, 3, 3)
        yield f"{name}.conv_branch.1", "conv", (width, width, 3, 3)
        yield f"{name}.conv_branch.2", "batch", (width,)
        yield f"{name}.conv_branch.4", "conv", (width, width, 3, 3)

    half = 256 // narrow
    yield from block(f"{out}.conv", widths[3], 2 * half)
    yield f"{out}.conv1", "conv", (half, 2 * half, 3, 3)
    for number in (2, 1, 0):
        yield from block(f"{out}.ffm{number}.ftb1", widths[number], half)
        yield from block(f"{out}.ffm{number}.ftb2", half, half)
    yield f"{out}.outconv.adapt_conv.0", "conv", (half // 2, half, 3, 3)
    yield f"{out}.outconv.adapt_conv.1", "batch", (half // 2,)
    yield f"{out}.outconv.adapt_conv.3", "conv", (1, half // 2, 3, 3)


def uniformer(narrow: int = 1, blocks: tuple[int, ...] = (3, 4, 8, 3)) -> Iterator[Layer]:
    """`upernet_global_small`: UniFormer, UPerNet, and a head of its training."""
    into, widths = 3, [64, 64, 128, 64] if narrow > 1 else [64, 128, 320, 512]
    for stage, (wide, repeats) in enumerate(zip(widths, blocks, strict=True), 1):
        side, hidden = 4 if stage == 1 else 2, 4 * wide
        yield f"backbone.patch_embed{stage}.proj", "conv", (wide, into, side, side)
        yield f"backbone.patch_embed{stage}.norm", "scale", (wide,)
        for number in range(repeats):
            name, sides = f"backbone.blocks{stage}.{number}", (1, 1) if stage < 3 else ()
            yield f"{name}.pos_embed", "conv", (wide, 1, 3, 3)
            for one in (1, 2):
                yield f"{name}.norm{one}", "batch" if stage < 3 else "scale", (wide,)
            if stage < 3:
                yield f"{name}.conv1", "conv", (wide, wide, 1, 1)
                yield f"{name}.conv2", "conv", (wide, wide, 1, 1)
                yield f"{name}.attn", "conv", (wide, 1, 5, 5)
            else:
                yield f"{name}.attn.qkv", "conv", (3 * wide, wide)
                yield f"{name}.attn.proj", "conv", (wide, wide)
            yield f"{name}.mlp.fc1", "conv", (hidden, wide, *sides)
            yield f"{name}.mlp.fc2", "conv", (wide, hidden, *sides)
        yield f"backbone.norm{stage}", "scale", (wide,)
        into = wide

    def step(name: str, out: int, into: int, side: int) -> Iterator[Layer]:
        yield f"{name}.conv", "bare", (out, into, side, side)
        yield f"{name}.bn", "batch", (out,)

    top, wide = "decode_head", 512 // narrow
    for number in range(4):
        yield from step(f"{top}.psp_modules.{number}.1", wide, into, 1)
    yield from step(f"{top}.bottleneck", wide, into + 4 * wide, 3)
    for number, before in enumerate(widths[:3]):
        yield from step(f"{top}.lateral_convs.{number}", wide, before, 1)
        yield from step(f"{top}.fpn_convs.{number}", wide, wide, 3)
    yield from step(f"{top}.fpn_bottleneck", wide, 4 * wide, 3)
    yield f"{top}.conv_seg", "conv", (150, wide, 1, 1)
    yield from step("auxiliary_head.convs.0", 8, widths[2], 3)
    yield "auxiliary_head.conv_seg", "conv", (150, 8, 1, 1)


def merging(narrow: int = 1) -> Iterator[Layer]:
    """`latest_net_G`: the U-Net of pix2pix with ten levels, without norms."""
    first = 64 // narrow
    yield "model.model.0", "bare", (first, 2, 4, 4)
    name, widths = "model.model.1.model", [first * one for one in (1, 2, 4, 8, 8, 8, 8, 8, 8, 8)]
    for level, (wide, within) in enumerate(pairwise(widths)):
        last = level == len(widths) - 2
        yield f"{name}.1", "bare", (within, wide, 4, 4)
        yield f"{name}.{3 if last else 5}", "bare", (within if last else 2 * within, wide, 4, 4)
        name += ".3.model"
    yield "model.model.3", "up", (2 * first, 1, 4, 4)
