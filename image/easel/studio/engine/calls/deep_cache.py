"""A call of the UNet without its deep part: what that gave some calls ago is taken again (Ma, Fang and Wang,
"DeepCache: Accelerating Diffusion Models for Free", arXiv 2312.00858).

From one call to the next the deep levels of a UNet answer nearly the same. So at every n-th call the whole of
it runs, and what comes up from the deep is kept with the picture; at those between, only the last layer of
the outermost level runs, on what is kept and on the latents as they are by now: the paper's fastest way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from easel.studio.engine.calls.device_calls import BackboneCall
    from easel.studio.engine.networks.extra_networks import LoraUse
    from easel.studio.engine.texts.conditioning_schedule import Guidance

# The first calls lay the picture out, and nothing that the deep part said before them holds: found by the
# starter's exam (docs/decisions/0070).
FIRST = 1


class DeepCache:
    """What one pass of one picture has of the UNet's deep part.

    Calls are counted, not steps: a second-order sampler makes two for each. `features` are (rows, channels,
    height/8, width/8) in the UNet's type, None while the whole UNet has to run.
    """

    def __init__(self, unet: Any, dtype: torch.dtype, every: int) -> None:
        self._bytes = _channels(unet) * dtype.itemsize
        self._every = every
        self._age = 0
        self._of: tuple[Guidance, tuple[LoraUse, ...]] | None = None
        self.features: torch.Tensor | None = None

    def for_call(self, number: int, guidance: Guidance, loras: tuple[LoraUse, ...]) -> torch.Tensor | None:
        """What the next call, the pass's of this number counted from 0, may take again; None where it has to
        be whole. What other texts or networks made says nothing of these, and is dropped."""
        self._age += 1
        if (
            self.features is None
            or self._age >= self._every
            or number < FIRST
            or self._of != (guidance, loras)
        ):
            self.features, self._age, self._of = None, 0, (guidance, loras)
        return self.features

    def bytes_of(self, rows: int, latent_pixels: int) -> int:
        """Bytes that are kept of a call."""
        return rows * latent_pixels * self._bytes


@contextmanager
def deep_kept(unet: Any, calls: Sequence[BackboneCall]) -> Iterator[None]:
    """Within this, a whole call for these leaves its features with those that keep some, of their rows."""
    if all(one.cache is None for one in calls):
        yield
        return

    def keep(_layer: Any, seen: tuple[torch.Tensor, ...]) -> None:
        deep = seen[0][:, : _channels(unet)]
        for one, rows in zip(calls, torch.split(deep, [one.rows for one in calls]), strict=True):
            if one.cache is not None:
                one.cache.features = rows.clone()  # of its own: a view would hold all rows of the call

    hook = unet.up_blocks[-1].resnets[-1].register_forward_pre_hook(keep)
    try:
        yield
    finally:
        hook.remove()


def shallow_call(
    unet: Any,
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    tokens: torch.Tensor,
    features: torch.Tensor,
    added: Mapping[str, Any],
) -> torch.Tensor:
    """The UNet's answer with `features` for its deep part: diffusers' `UNet2DConditionModel.forward` without
    the layers between. Its own modules run, with whatever hooks and processors they have."""
    embedding = unet.time_embedding(unet.get_time_embed(sample=latents, timestep=timesteps))
    sizes = added.get("added_cond_kwargs", {})
    more = unet.get_aug_embed(emb=embedding, encoder_hidden_states=tokens, added_cond_kwargs=sizes)
    if more is not None:
        embedding = embedding + more
    last = unet.up_blocks[-1]
    found = last.resnets[-1](torch.cat([features, unet.conv_in(latents)], dim=1), embedding)
    if attentions := getattr(last, "attentions", None):  # an UpBlock2D has none
        found = attentions[-1](found, encoder_hidden_states=tokens, return_dict=False)[0]
    answer: torch.Tensor = unet.conv_out(unet.conv_act(unet.conv_norm_out(found)))
    return answer


def _channels(unet: Any) -> int:
    """Of what comes up from the deep into the last layer, beside as many as `conv_in` makes."""
    channels: int = unet.up_blocks[-1].resnets[-1].in_channels - unet.conv_in.out_channels
    return channels
