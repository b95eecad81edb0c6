"""The colours of a control's picture kept at large, while what is fine is drawn anew: `tile_colorfix`.

A1111's ControlNet extension does it in each step, on what the UNet takes the finished latents to be: their
blur is taken away, and that of the picture's latents put in its place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from easel.studio.engine.control.preprocessors import preprocessor
from easel.studio.engine.control_models.controls import PreparedControl, Size

# Of the preprocessor's sharpness: so much of the blur is what the negative prompt is said to show.
_SHARP = 0.01


def keeps_colours(control: PreparedControl, *, second_pass: bool) -> bool:
    """Whether a unit keeps its picture's colours in this pass."""
    keeps = preprocessor(control.unit.module).keeps_colours
    return keeps and control.unit.controls(second_pass=second_pass)


def pixels_of(control: PreparedControl, index: int, size: Size) -> torch.Tensor:
    """The picture of a pass as a VAE takes it: (1, 3, height, width), -1 to 1."""
    shown = torch.from_numpy(control.hint(index, size).pixels.copy()).float()
    return (shown / 127.5 - 1).permute(2, 0, 1)[None].contiguous()


class KeptColours:
    """One unit's, in one pass of one picture; `latents` (1, channels, height/8, width/8) are those of its
    own."""

    def __init__(self, control: PreparedControl, latents: torch.Tensor) -> None:
        way, unit = preprocessor(control.unit.module), control.unit
        self._reach = 2 * int(way.own_a(unit.threshold_a))
        self._sharpness = _SHARP * way.own_b(unit.threshold_b) if way.slider_b else 0.0
        self._unit = unit
        self._kept = _blurred(latents.float(), self._reach)

    def at_work(self, share: float) -> bool:
        """Whether it counts where `share` of the pass's steps are done."""
        return self._unit.guidance_start <= share <= self._unit.guidance_end

    def moved(self, estimates: torch.Tensor, positive: int) -> torch.Tensor:
        """By how much the finished latents of each row, the last `positive` for prompts to draw towards, are
        to be moved."""
        wanted = estimates - _blurred(estimates, self._reach) + self._kept
        negative = len(estimates) - positive
        if self._sharpness and negative:
            soft = torch.lerp(wanted[:negative], _blurred(wanted[:negative], self._reach), self._sharpness)
            wanted = torch.cat([soft, wanted[negative:]])
        return (wanted - estimates) * min(1.0, self._unit.weight)


def _blurred(latents: torch.Tensor, reach: int) -> torch.Tensor:
    """The mean of what is up to `reach` latent pixels away; at the edges they go on as they are."""
    around = F.pad(latents, (reach, reach, reach, reach), mode="replicate")
    return F.avg_pool2d(around, 2 * reach + 1, stride=1)
