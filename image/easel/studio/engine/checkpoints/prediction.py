"""Whether an SD 2.x UNet predicts the noise or the velocity (arXiv 2202.00512), asked of the UNet itself.

At the last training step the input is noise but for a trace of the picture (the signal's share is 0.068). A
UNet that predicts the noise then gives back very nearly its input. One that predicts v = 0.068·noise -
0.998·picture holds next to nothing of it: at most 0.068 of the input, whatever its pictures look like. So the
share of the input in the answer is near one or near zero.
"""

from __future__ import annotations

from typing import Any

import torch

_SIDE = 32  # latent pixels; a quarter of a megapixel would say no more
_LAST_STEP = 999
_HALF = 0.5


@torch.inference_mode()
def predicts_velocity(unet: Any, device: torch.device) -> bool:
    """True if the UNet predicts the velocity. One call of the UNet on a small latent, with a neutral text, on
    the device that it draws on."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, unet.config.in_channels, _SIDE, _SIDE, generator=generator)
    latents = noise.to(device, unet.dtype)
    text = torch.zeros(1, 77, unet.config.cross_attention_dim, device=device, dtype=unet.dtype)
    answer = unet(latents, _LAST_STEP, encoder_hidden_states=text, return_dict=False)[0]
    asked, answered = latents.double().flatten(), answer.double().flatten()
    return bool(asked @ answered / (asked @ asked) < _HALF)
