"""Loads the starter and one of every family, and draws a step with each.

Run by test_no_network.py, without a network.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import torch

from easel.models import Kind, Store
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from easel.studio.families import family
from tests.studio.engine.tiny import PUBLISHED, tiny

CPU = torch.device("cpu")


def step(loaded: Checkpoint) -> None:
    """Text to tokens to embeddings, one call of the UNet, one small picture out of the VAE."""
    texts, pooled = [], None
    for tokenizer, encoder in zip(loaded.tokenizers, loaded.text_encoders, strict=True):
        ids = tokenizer("a red circle", padding="max_length", max_length=77, return_tensors="pt").input_ids
        answer = encoder(ids, output_hidden_states=True)
        texts.append(answer.hidden_states[-2])
        pooled = answer[0]
    added = None
    if loaded.family.pooled:
        numbers = 5 if loaded.family.aesthetic_score else 6
        added = {"text_embeds": pooled, "time_ids": torch.ones(1, numbers)}
    latents = torch.randn(1, loaded.backbone.config.in_channels, 8, 8)
    noise = loaded.backbone(
        latents, 500, encoder_hidden_states=torch.cat(texts, -1), added_cond_kwargs=added
    ).sample
    picture = loaded.vae.decode(noise[:, :4]).sample
    if not torch.isfinite(picture).all() or picture.shape[-1] != 8 * loaded.family.downscale:
        raise ValueError(f"no picture: {picture.shape}")


def main() -> None:
    """Arguments: a folder to write to, and the folder of models with the starter."""
    folder, models = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        socket.create_connection(("1.1.1.1", 443), timeout=2).close()
    except OSError as error:
        sys.stdout.write(f"cut off: {error}\n")
    else:
        sys.exit("there is a network")
    with torch.inference_mode():
        for file in Store(models, hashing=False).files(Kind.CHECKPOINT):
            loaded = load_checkpoint(file, device=CPU, dtype=torch.float32)
            step(loaded)
            sys.stdout.write(f"drew with {loaded.family.name}\n")
        for architecture in PUBLISHED:
            made = tiny(architecture, folder)
            file = made.write(folder / f"{architecture}.safetensors")
            step(load_checkpoint(file, device=CPU, dtype=torch.float32, family=made.family))
            # The folder in the package is whole too.
            family(architecture)
            sys.stdout.write(f"drew with {architecture}\n")


if __name__ == "__main__":
    main()
