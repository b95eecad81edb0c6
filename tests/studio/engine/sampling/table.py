"""Prints the table of docs/reference/samplers.md, by `python -m tests.studio.engine.sampling.table`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

sys.path.append(str(Path(__file__).parents[4] / "image"))

from tests.studio.engine.sampling.judges import relative_rms
from tests.studio.engine.sampling.test_k_diffusion import JUDGES, NOT_ONE_STEP, SCHEDULES, both, resolve


def main() -> None:
    """The farthest of 1, 7, 20 and 36 steps, of a UNet that predicts the noise, and of 20 that predicts v."""
    warnings.simplefilter("ignore")
    print("| sampler |", " | ".join(one.label for one in SCHEDULES), "|")
    print("|---|" + "---|" * len(SCHEDULES))
    for name in JUDGES:
        sampler, _ = resolve(name)
        runs = [(steps, "eps") for steps in (1, 7, 20, 36) if steps > 1 or name not in NOT_ONE_STEP]
        cells = []
        for schedule in SCHEDULES:
            results = [both(sampler, schedule, *run)[:2] for run in [*runs, (20, "v")]]
            cells.append(f"{max(relative_rms(ours, theirs) for theirs, ours in results):.0e}")
        print(f"| {name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
