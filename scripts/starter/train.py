"""Train the starter checkpoint from scratch: `python -m scripts.starter.train` (or `make starter`).

Draws its own captioned pictures, trains a VAE on them, then text encoder and UNet, by the clock, and writes
the file that ships and the configuration folder of its family. Stop it any time; the next run goes on.
"""

from __future__ import annotations

import logging
from pathlib import Path

import click
import torch

from scripts.settings import ROOT
from scripts.starter import denoiser, export, vae


@click.command()
@click.option("--minutes-vae", default=30.0, show_default=True, help="For the VAE.")
@click.option("--minutes-decoder", default=15.0, show_default=True, help="For the VAE's decoder alone.")
@click.option("--minutes-denoiser", default=90.0, show_default=True, help="For text encoder and UNet.")
@click.option("--seed", default=7, show_default=True)
@click.option("--threads", default=2, show_default=True, help="Processor cores to use.")
@click.option(
    "--resume/--afresh", default=True, show_default=True, help="Go on where the work folder stands."
)
@click.option(
    "--begin-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Go on from this checkpoint's weights: keeps its VAE, trains text encoder and UNet.",
)
@click.option(
    "--work", type=click.Path(path_type=Path), default=ROOT / ".easel" / "train", help="State of training."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=ROOT / "image" / "starter" / "easel-starter.safetensors",
    help="The checkpoint.",
)
@click.option(
    "--family",
    type=click.Path(path_type=Path),
    default=ROOT / "image" / "easel" / "studio" / "families" / "starter",
    help="The family's configuration folder.",
)
def main(
    minutes_vae: float,
    minutes_decoder: float,
    minutes_denoiser: float,
    seed: int,
    threads: int,
    resume: bool,
    begin_from: Path | None,
    work: Path,
    out: Path,
    family: Path,
) -> None:
    """Train the starter and write it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    work.mkdir(parents=True, exist_ok=True)
    if begin_from is not None:
        export.begin_from(begin_from, work)
    else:
        vae.train(work, minutes_vae, seed, resume=resume)
        vae.sharpen(work, minutes_decoder, seed)
    denoiser.train(work, minutes_denoiser, seed, resume=resume or begin_from is not None)
    export.write_family(family, work)
    export.write_checkpoint(work, out)
    click.echo(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
