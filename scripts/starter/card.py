"""The honest grid of the model card: fixed prompts, fixed seeds, nothing picked."""

from __future__ import annotations

from pathlib import Path

import click
from PIL import Image

from scripts.starter import exam
from scripts.starter.pictures import SIDE

STARTER = Path(__file__).parents[2] / "image" / "starter"
COLUMNS = 8
_GAP = 4


@click.command()
def main() -> None:
    """Draw image/starter/grid.png and print the exam's marks."""
    pipe = exam.pipeline(STARTER / "easel-starter.safetensors")
    scenes = exam.questions()
    answers = exam.sit(pipe, scenes)
    click.echo(f"all 200:   {exam.marks(answers)}")
    click.echo(f"unseen:    {exam.marks([answer for answer in answers if answer.unseen])}")
    # the first of the exam, right or wrong
    prompts = [answer.prompt for answer in answers[: COLUMNS * 5]]
    grid(list(exam.draw(pipe, prompts))).save(STARTER / "grid.png", optimize=True)
    for number, prompt in enumerate(prompts):
        click.echo(f"row {number // COLUMNS + 1}, column {number % COLUMNS + 1}: {prompt}")


def grid(pictures: list[Image.Image]) -> Image.Image:
    """Pictures side by side, eight in a row."""
    rows = -(-len(pictures) // COLUMNS)
    step = SIDE + _GAP
    sheet = Image.new("RGB", (COLUMNS * step - _GAP, rows * step - _GAP), (128, 128, 128))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % COLUMNS * step, number // COLUMNS * step))
    return sheet


if __name__ == "__main__":
    main()
