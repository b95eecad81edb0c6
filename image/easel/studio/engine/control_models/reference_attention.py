"""What reference controls (`reference_only` and its like) add to a call of the UNet.

The UNet sees the reference first, as noisy as the picture is by now. What its attentions look at is kept, and
so are mean and variance of what its blocks give. Then it sees the picture: attentions look at both, and
blocks take the reference's mean and variance (arXiv 1703.06868). Which layers take part, and what the style
fidelity means, is as in A1111's ControlNet extension.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock

# Blocks whose mean and variance are taken, by their numbers in the original's UNet: of SDXL, of the others.
_INPUTS = {True: (4, 5, 7, 8), False: (4, 5, 7, 8, 10, 11)}
_OUTPUTS = {True: (0, 1, 2, 3, 4, 5), False: (0, 1, 2, 3, 4, 5, 6, 7)}
_SDXL_LEVELS = 3
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class ReferenceShare:
    """What of a reference counts: `attends` and `moments` say whether its attention, its mean and variance
    do; `weight` (0 to 2) how many layers, `fidelity` (0 to 1) how much rows of negative texts stay without.
    """

    attends: bool
    moments: bool
    weight: float
    fidelity: float


@dataclass(frozen=True, eq=False)
class ShownReference:
    """One reference of one picture in one call: `noisy` and `clean` latents (1, channels, height/8, width/8);
    `negative` (rows) is true where a row's text is to be drawn away from."""

    noisy: torch.Tensor
    clean: torch.Tensor
    negative: torch.Tensor
    share: ReferenceShare


@contextmanager
def references_at_work(
    unet: Any,
    references: Sequence[Sequence[ShownReference]],
    extra_channels: int,
    see: Callable[[torch.Tensor], object],
) -> Iterator[None]:
    """Within this, the UNet draws by references, in a call for several whose `references` are alike one by
    one.

    `see` lets the UNet see latents of all rows: it does with each reference before anything is drawn. An
    inpainting UNet takes `extra_channels` beside, where of a reference nothing is masked.
    """
    together = list(zip(*references, strict=True))
    if not together:
        yield
        return
    bank = _Bank(unet, torch.cat([of_call[0].negative for of_call in references]))
    for alike in together:
        noisy = _rows(alike, [one.noisy for one in alike])
        if extra_channels:
            clean = _rows(alike, [one.clean for one in alike])
            noisy = torch.cat([noisy, torch.zeros_like(noisy[:, :1]), clean], dim=1)
        with bank.writing(alike[0].share):
            see(noisy)
    with bank.reading():
        yield


class _Bank:
    """What a UNet made of references, layer by layer."""

    def __init__(self, unet: Any, negative: torch.Tensor) -> None:
        self._attentions, self._blocks = _attentions(unet), _blocks(unet)
        self._negative = negative
        self._seen: dict[Any, list[torch.Tensor]] = defaultdict(list)
        self._moments: dict[Any, list[tuple[torch.Tensor, torch.Tensor]]] = defaultdict(list)
        self._fidelities: dict[Any, list[float]] = defaultdict(list)

    @contextmanager
    def writing(self, share: ReferenceShare) -> Iterator[None]:
        """What the UNet sees within is a reference."""

        def keep_seen(layer: Any, args: tuple[torch.Tensor, ...], kwargs: Any) -> None:
            self._seen[layer].append(args[0].clone())
            self._fidelities[layer].append(share.fidelity)

        def keep_moments(layer: Any, args: Any, output: Any) -> None:
            self._moments[layer].append(_moments(_tensor(output)))
            self._fidelities[layer].append(share.fidelity)

        attentions = _of_weight(self._attentions, share.weight) if share.attends else []
        blocks = _of_weight(self._blocks, share.weight) if share.moments else []
        hooks = [one.register_forward_pre_hook(keep_seen, with_kwargs=True) for one in attentions]
        hooks += [one.register_forward_hook(keep_moments) for one in blocks]
        with _removed(hooks):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What the UNet sees within is drawn by the references."""
        hooks = [one.register_forward_pre_hook(self._look_at_both, with_kwargs=True) for one in self._seen]
        hooks += [one.register_forward_hook(self._without, with_kwargs=True) for one in self._seen]
        hooks += [one.register_forward_hook(self._moved) for one in self._moments]
        with _removed(hooks):
            yield

    def _look_at_both(self, layer: Any, args: tuple[torch.Tensor, ...], kwargs: dict[str, Any]) -> Any:
        both = torch.cat([args[0], *self._seen[layer]], dim=1)
        return args, {**kwargs, "encoder_hidden_states": both}

    def _without(self, layer: Any, args: tuple[torch.Tensor, ...], kwargs: Any, output: Any) -> Any:
        """Rows of negative texts, by the fidelity as if there were no reference."""
        if fmean(self._fidelities[layer]) == 0 or not bool(self._negative.any()):
            return output
        return self._faithful(layer, layer.forward(args[0]), output)  # `forward`: past these hooks

    def _moved(self, layer: Any, args: Any, output: Any) -> Any:
        found = _tensor(output)
        mean, variance = _moments(found)
        means, variances = (torch.stack(one).mean(0) for one in zip(*self._moments[layer], strict=True))
        moved = (found - mean) / _deviation(variance) * _deviation(variances) + means
        moved = self._faithful(layer, found, moved)
        return (moved, *output[1:]) if isinstance(output, tuple) else moved

    def _faithful(self, layer: Any, without: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        fidelity = fmean(self._fidelities[layer])
        negative = self._negative.reshape(-1, *[1] * (drawn.dim() - 1))
        return torch.where(negative, torch.lerp(drawn, without, fidelity), drawn)


def _attentions(unet: Any) -> list[tuple[float, Any]]:
    """Attentions of pictures to themselves, the widest first, each behind the weight that it begins at."""
    parts = [one for one in (unet.down_blocks, unet.mid_block, unet.up_blocks) if one is not None]
    found = [layer for part in parts for layer in part.modules() if isinstance(layer, BasicTransformerBlock)]
    found.sort(key=lambda layer: -layer.norm1.normalized_shape[0])
    return [(number / len(found), layer.attn1) for number, layer in enumerate(found)]


def _blocks(unet: Any) -> list[tuple[float, Any]]:
    """What ends each block, behind the weight that it begins at."""
    sdxl = len(unet.down_blocks) == _SDXL_LEVELS
    inputs = [unet.conv_in, *_ends(unet.down_blocks, "downsamplers", apart=True)]
    outputs = _ends(unet.up_blocks, "upsamplers", apart=False)
    found: list[tuple[float, Any]] = [] if unet.mid_block is None else [(0.0, unet.mid_block)]
    for order, number in enumerate(_INPUTS[sdxl]):
        if number < len(inputs):
            found.append((2 * (1 - order / len(_INPUTS[sdxl])), inputs[number]))
    for order, number in enumerate(_OUTPUTS[sdxl]):
        if number < len(outputs):
            found.append((2 * order / len(_OUTPUTS[sdxl]), outputs[number]))
    return found


def _ends(blocks: Any, samplers: str, *, apart: bool) -> list[Any]:
    """The last layer of each of the original's blocks: one that samples is a block of its own where `apart`,
    else the end of the one before."""
    found: list[Any] = []
    for block in blocks:
        found += getattr(block, "attentions", None) or block.resnets
        sampling = list(getattr(block, samplers, None) or ())
        if sampling and not apart:
            found.pop()
        found += sampling
    return found


def _of_weight(layers: list[tuple[float, Any]], weight: float) -> list[Any]:
    return [layer for begins, layer in layers if weight > begins]


def _tensor(output: Any) -> torch.Tensor:
    found: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return found


def _moments(found: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of each row's channels, (rows, channels, 1, 1)."""
    variance, mean = torch.var_mean(found, dim=(2, 3), keepdim=True, correction=0)
    return mean, variance


def _deviation(variance: torch.Tensor) -> torch.Tensor:
    return variance.clamp_min(_LEAST_VARIANCE).sqrt()


def _rows(alike: Sequence[ShownReference], tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """A tensor of each picture, for all rows of the call."""
    pairs = zip(alike, tensors, strict=True)
    return torch.cat([tensor.expand(len(one.negative), -1, -1, -1) for one, tensor in pairs])


@contextmanager
def _removed(hooks: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
