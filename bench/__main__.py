"""`python -m bench [NAME …]`: measure, print. Names: startup, txt2img, img2img, crowd, loras, cache,
page, time_left, program, download, load, quantised; and by themselves `python -m bench.many_endpoints`,
`python -m bench.neighbours`, `python -m bench.peers` and `python -m bench.device`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from bench import (
    cache,
    crowd,
    download,
    img2img,
    load,
    loras,
    page,
    program,
    quantised,
    startup,
    time_left,
    txt2img,
)
from bench.plain import plain_pipeline
from bench.running import STARTER, running
from bench.table import machine, markdown

HEADER = ("what", "Easel", "peer", "ratio (range of pairs)", "promise")


def main(names: list[str]) -> None:
    """Run what was asked for, all without names."""
    say = sys.stdout.write
    say(f"{machine()}\n\n")
    found: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        models = home / "models" / "Stable-diffusion"
        models.mkdir(parents=True)
        shutil.copy(STARTER, models)
        alone = {
            "startup": lambda: startup.rows(home),
            "program": program.rows,
            "download": download.rows,
            "load": load.rows,
            "quantised": quantised.rows,
        }
        drawing = {
            "txt2img": txt2img.rows,
            "img2img": img2img.rows,
            "crowd": crowd.rows,
            "loras": lambda easel, _: loras.rows(home, easel),
            "cache": lambda easel, _: cache.rows(easel),
            "page": page.rows,
            "time_left": time_left.rows,
        }
        wanted = names or [*alone, *drawing]
        for name, measured in alone.items():
            if name in wanted:
                found += measured()
        if any(name in wanted for name in drawing):
            with running(home) as easel, plain_pipeline(STARTER) as plain:
                for name, rows in drawing.items():
                    if name in wanted:
                        found += rows(easel, plain)
    say(markdown(HEADER, found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
