"""Face detectors and restorers in the layouts that are published, with weights made for tests."""

from __future__ import annotations

import torch

from easel.studio.engine.faces.face_detector import RetinaFace

Tensors = dict[str, torch.Tensor]
IN_THE_MIDDLE = ((220.0, 260.0), (420.0, 260.0), (320.0, 360.0), (240.0, 460.0), (400.0, 460.0))
"""Landmarks of a face, in pixels of a picture whose shorter side is 640."""


def detector(landmarks: tuple[tuple[float, float], ...] = ()) -> Tensors:
    """facexlib's `detection_Resnet50_Final`, which sees one face, and always there: `landmarks` in pixels of
    a picture whose shorter side is 640; none at all without them."""
    network = RetinaFace()
    with torch.no_grad():
        for one in network.parameters():
            one.zero_()
        for grid, head in enumerate(network.ClassHead):
            # of each pair of numbers the second says yes: to the larger square of the coarsest grid
            yes = [False, grid == 2 and bool(landmarks)]
            head.conv1x1.bias.copy_(
                torch.tensor([sign for one in yes for sign in ((-9, 9) if one else (9, -9))])
            )
        # a box that is as large as the whole picture: of many such one stays, that of the first cell
        network.BboxHead[2].conv1x1.bias.copy_(torch.tensor([0.0, 0, 0, 0, 0, 0, 20, 20]))
        if landmarks:
            moved = (torch.tensor(landmarks) - 16) / (0.1 * 512)
            network.LandmarkHead[2].conv1x1.bias[10:].copy_(moved.flatten())
    return {f"module.{name}": one for name, one in network.state_dict().items()}


def restoreformer(seed: int = 0) -> Tensors:
    """RestoreFormer as spandrel builds it, narrow."""
    from spandrel.architectures.RestoreFormer import RestoreFormer

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = RestoreFormer(
            n_embed=16, embed_dim=32, ch=32, out_ch=3, ch_mult=(1, 1, 1, 1, 1, 1), num_res_blocks=1,
            attn_resolutions=(16,), dropout=0.0, in_channels=3, resolution=512, z_channels=32, double_z=False,
            enable_mid=True, head_size=8,
        )  # fmt: skip
    return dict(made.state_dict())


def gfpgan(seed: int = 0) -> Tensors:
    """GFPGANv1.4 as published, in half precision."""
    from spandrel.architectures.GFPGAN import GFPGAN

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = GFPGAN()
    return {name: one.half() for name, one in made.state_dict().items()}
