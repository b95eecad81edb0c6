"""Train the LoRA that comes with the starter: `python -m scripts.starter.train_lora`, a minute on one core.

To be run again whenever the starter checkpoint is trained anew: a LoRA belongs to its weights.
"""

from __future__ import annotations

import logging
from pathlib import Path

import click
import torch

from scripts.settings import ROOT
from scripts.starter import style

FOLDER = ROOT / "image" / "starter"


@click.command()
@click.option("--steps", default=300, show_default=True)
@click.option("--seed", default=7, show_default=True)
@click.option("--threads", default=1, show_default=True, help="Processor cores to use.")
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=FOLDER / "easel-starter.safetensors",
    help="What the LoRA is for.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=FOLDER / "easel-starter-lora.safetensors",
    help="The LoRA.",
)
def main(steps: int, seed: int, threads: int, checkpoint: Path, out: Path) -> None:
    """Train the starter's LoRA and write it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    style.write(style.train(checkpoint, steps, seed), out)
    click.echo(f"wrote {out} ({out.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
