"""A1111's scripts by `script_name`: listed as they are, drawn as ordinary jobs."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import pytest
from PIL import Image

from easel.studio.api.scripts.plot_axes import axes_of, axis_named
from easel.studio.engine import InvalidRequest
from tests.studio.api.answers import info, pictures, sent


def plot(x: tuple[Any, str], y: tuple[Any, str] = (0, ""), z: tuple[Any, str] = (0, ""), *rest: Any) -> dict:
    axes = [part for kind, values in (x, y, z) for part in (kind, values, "")]
    return {"script_name": "X/Y/Z plot", "script_args": [*axes, *rest]}


def test_scripts_are_listed_with_their_arguments(ada) -> None:
    """What is listed is there, under A1111's names, with as many arguments as it takes."""
    names = ada.get("/sdapi/v1/scripts").json()
    infos = ada.get("/sdapi/v1/script-info").json()
    assert {"x/y/z plot", "prompt matrix", "prompts from file or textbox", "seed"} <= set(names["txt2img"])
    assert {"loopback", "outpainting mk2", "poor man's outpainting", "soft inpainting"} <= set(
        names["img2img"]
    )
    assert "loopback" not in names["txt2img"]
    for tab in ("txt2img", "img2img"):
        assert names[tab] == [one["name"] for one in infos if one["is_img2img"] == (tab == "img2img")]
    (xyz,) = [one for one in infos if one["name"] == "x/y/z plot" and not one["is_img2img"]]
    assert len(xyz["args"]) == 18
    assert xyz["args"][9] == {
        "label": "Draw legend", "value": True, "minimum": None, "maximum": None, "step": None, "choices": None
    }  # fmt: skip


def test_a_script_that_is_not_here(running) -> None:
    """A1111's words, which clients look for; those of img2img are not here for txt2img."""
    for name in ("nothing", "loopback"):
        answer = running.draw(script_name=name)
        assert answer.status_code == 422
        assert answer.json()["detail"] == f"Script '{name}' not found"


def test_x_y_z_plot(running) -> None:
    """A grid of all combinations comes first, then one for each z; cells differ by the axes alone."""
    answer = running.draw(
        seed=5,
        **plot(("Steps", "1-2"), ("Seed", "5, 6"), (0, ""), True, True, True),
    )
    main, sub, *cells = pictures(answer)
    said = info(answer)
    assert said["index_of_first_image"] == 2
    assert said["all_seeds"] == [5, 5, 6, 6]
    assert ["Steps: 1" in text for text in said["infotexts"][2:]] == [True, False, True, False]
    assert [one.size for one in cells] == [(64, 64)] * 4
    assert main.width >= sub.width > 2 * 64
    assert "Script: X/Y/Z plot, X Type: Steps, X Values: 1-2, Y Type: Seed" in said["infotexts"][0]
    grid = sub.convert("RGB").crop((sub.width - 128, sub.height - 128, sub.width, sub.height))
    assert grid.crop((0, 0, 64, 64)).tobytes() == cells[0].tobytes()
    assert grid.crop((64, 64, 128, 128)).tobytes() == cells[3].tobytes()


def test_x_y_z_plot_without_legend_and_lone_pictures(running) -> None:
    """A1111's order of arguments: legend, sub images, sub grids, seeds, varied seeds, margin, text."""
    answer = running.draw(**plot((7, "red,green"), (0, ""), (0, ""), False, False, False, False, True))
    (grid,) = pictures(answer)
    assert grid.size == (128, 64)
    assert info(answer)["all_prompts"] == ["a red circle on blue", "a green circle on blue"]
    assert info(answer)["all_seeds"] == [7, 8]


def test_other_checkpoints_and_sizes_in_a_plot(running) -> None:
    """Each cell is a request of its own: another checkpoint, another size."""
    answer = running.draw(**plot(("Checkpoint name", "easel-starter, second"), ("Size", "64x64, 72x64")))
    texts = info(answer)["infotexts"][1:]
    assert ["Model: second" in text for text in texts] == [False, True, False, True]
    assert ["Size: 72x64" in text for text in texts] == [False, False, True, True]


@pytest.mark.parametrize(
    ("tab", "number", "label"),
    [
        ("txt2img", 1, "Seed"), ("txt2img", 4, "Steps"), ("txt2img", 5, "Hires steps"),
        ("txt2img", 6, "CFG Scale"),
        ("txt2img", 7, "Prompt S/R"), ("txt2img", 9, "Sampler"), ("txt2img", 10, "Hires sampler"),
        ("txt2img", 11, "Checkpoint name"), ("img2img", 5, "CFG Scale"), ("img2img", 6, "Image CFG Scale"),
        ("img2img", 9, "Sampler"), ("img2img", 10, "Checkpoint name"), ("txt2img", "seed", "Seed"),
    ],
)  # fmt: skip
def test_axes_have_a1111s_numbers(tab, number, label) -> None:
    """Clients say an axis by its place in A1111 1.10's list, which differs by tab."""
    assert axis_named(tab, number, "x").label == label
    assert axes_of(tab)[-1].label == "Size"


@pytest.mark.parametrize(
    ("label", "text", "values"),
    [
        ("Steps", "1, 2,5", [1, 2, 5]), ("Steps", "1-5", [1, 2, 3, 4, 5]), ("Steps", "1-9 (+3)", [1, 4, 7]),
        ("Steps", "10-4 (-3)", [10, 7, 4]), ("Steps", "1-10 [4]", [1, 4, 7, 10]),
        ("Steps", "3, 5-6", [3, 5, 6]),
        ("CFG Scale", "1-2 (+0.5)", [1, 1.5, 2]), ("CFG Scale", "0-1 [3]", [0, 0.5, 1]),
        ("Seed", "-1,-1", [-1, -1]), ("Prompt S/R", '"a, b",c', ["a, b", "c"]),
        ("Prompt order", "a,b", [["a", "b"], ["b", "a"]]),
    ],
)  # fmt: skip
def test_values_as_a1111_writes_them(label, text, values) -> None:
    """Commas, quotes, ranges with a step or a count."""
    assert axis_named("txt2img", label, "x").values(text, "", as_text=True) == values


@pytest.mark.parametrize(
    ("label", "text"),
    [("Steps", ""), ("Steps", "many"), ("Steps", "1-999999999"), ("Steps", "1-5 (+0)"),
     ("CFG Scale", "1e999999"),
     ("Steps", "9" * 5000), ("CFG Scale", "1-2 [9999999]")],
)  # fmt: skip
def test_values_that_cannot_be(label, text) -> None:
    """Told with what could stand there; no list of a billion is made."""
    axis = axis_named("txt2img", label, "x")
    if text == "1e999999":
        assert axis.values(text, "", as_text=True) == [float("inf")]  # the request refuses it
        return
    with pytest.raises(InvalidRequest, match=r"script_args\."):
        axis.values(text, "", as_text=True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (plot(("Steps", "1-40"), ("Seed", "1-41")), "combinations"),
        (plot((99, "1")), "X type"),
        (plot(("Steps", "0,1")), "steps"),
        (plot(("Prompt S/R", "purple,green")), "Prompt S/R"),
        (plot(("Size", "large")), "Size"),
        (plot(("Token merging ratio", "0.5")), "token_merging_ratio"),
        ({"script_name": "X/Y/Z plot", "script_args": ["x"] * 30}, "30 arguments"),
        ({"script_name": "Prompt matrix", "prompt": "a" + "|b" * 20}, "20 parts"),
        ({"script_name": "Prompt matrix", "script_args": [0, 0, "neither"]}, "Select prompt"),
        (
            {"script_name": "Prompts from file or textbox", "script_args": [False, False, "start", ""]},
            "lines",
        ),
    ],
)
def test_arguments_that_cannot_be(running, fields, words) -> None:
    """Refused before anything is drawn, with words on what could stand there."""
    answer = running.draw(**fields)
    assert answer.status_code == 422, answer.text[:300]
    assert words in answer.json()["errors"]


def test_prompts_from_file(running) -> None:
    """A picture for each line; a line may say fields; the request's prompt stands behind."""
    lines = "one\n--prompt two words --seed 9 --steps 1\n\n-- three"
    answer = running.draw(
        prompt="blue", script_name="prompts from file or textbox", script_args=[True, False, "start", lines]
    )
    said = info(answer)
    assert said["all_prompts"] == ["one blue", "two words blue", "-- three blue"]
    assert said["all_seeds"] == [7, 9, 9]
    assert len(pictures(answer)) == 3


def test_prompt_matrix(running) -> None:
    """Each combination once, the grid before them."""
    answer = running.draw(prompt="a circle|red|big", script_name="Prompt matrix", script_args=[False, True])
    grid, *drawn = pictures(answer)
    assert info(answer)["all_prompts"] == ["a circle", "a circle, red", "a circle, big", "a circle, red, big"]
    assert info(answer)["all_seeds"] == [7, 8, 9, 10]
    assert grid.size > (128, 128)
    assert len(drawn) == 4


@pytest.fixture
def source() -> str:
    return sent(Image.new("RGB", (64, 64), "#2040c0"))


def test_loopback(ada, source) -> None:
    """Each picture is drawn over the one before, with the next seed and the curve's strength."""
    body = {"init_images": [source], "steps": 2, "seed": 3, "denoising_strength": 0.2,
            "script_name": "Loopback", "script_args": [3, 0.6, "Linear"]}  # fmt: skip
    answer = ada.post("/sdapi/v1/img2img", json=body)
    said = info(answer)
    assert said["all_seeds"] == [3, 4, 5]
    strengths = [text.split("Denoising strength: ")[1].split(",")[0] for text in said["infotexts"][1:]]
    assert [float(one) for one in strengths] == pytest.approx([0.2, 0.4, 0.6])
    assert [one.size for one in pictures(answer)] == [(192, 64), *[(64, 64)] * 3]


def test_sd_upscale(ada, source) -> None:
    """Twice as large, drawn over in tiles that overlap; one picture for each of n_iter."""
    body = {"init_images": [source], "steps": 2, "seed": 3, "width": 96, "height": 96, "n_iter": 2,
            "denoising_strength": 0.3, "script_name": "SD upscale",
            "script_args": [None, 64, 1, 2]}  # fmt: skip
    answer = ada.post("/sdapi/v1/img2img", json=body)
    assert [one.size for one in pictures(answer)] == [(128, 128)] * 2
    assert info(answer)["all_seeds"] == [3, 4]
    body["script_args"] = [None, 96, "Lanczos", 2]
    assert (
        ada.post("/sdapi/v1/img2img", json=body).json()["detail"][0]["loc"][1] == "script_args.Tile overlap"
    )


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("Outpainting mk2", [None, 64, 4, ["right"], 1, 0.05]),
        ("Poor man's outpainting", [64, 2, "fill", ["right"]]),
    ],
)
def test_outpainting(ada, source, script, arguments) -> None:
    """The picture grows to the right; far from the seam the old ground is as it was."""
    body = {"init_images": [source], "steps": 2, "seed": 3, "width": 128, "height": 128,
            "denoising_strength": 0.8, "script_name": script, "script_args": arguments}  # fmt: skip
    (drawn,) = pictures(ada.post("/sdapi/v1/img2img", json=body))
    assert drawn.size == (128, 64)
    assert drawn.convert("RGB").getpixel((4, 32)) == (0x20, 0x40, 0xC0)
    assert len(drawn.convert("RGB").crop((80, 0, 128, 64)).getcolors(5000) or [0] * 9) > 8


@pytest.mark.parametrize("script", ["Outpainting mk2", "Poor man's outpainting", "SD upscale", "Loopback"])
@pytest.mark.parametrize("side", ["width", "height"])
def test_a_size_that_is_none(ada, source, script, side) -> None:
    """Tiles of less than a latent are no tiles: said as of any picture, and no fault of the server's."""
    body = {"init_images": [source], "steps": 1, "width": 64, "height": 64, side: 2.5, "script_name": script}
    answer = ada.post("/sdapi/v1/img2img", json={**body, "script_args": []})
    assert answer.status_code < 500, answer.text


def test_progress_and_interrupt_of_a_script(running) -> None:
    """Progress is over all pictures of the script, under the client's own task id; interrupt ends all,
    and the answer is the grid of what was there by then."""
    answers: list[httpx.Response] = []
    fields = {"seed": 5, "force_task_id": "plot", **plot(("Seed", "1-4"), ("Steps", "60-62"))}
    thread = threading.Thread(target=lambda: answers.append(running.draw("plotter", **fields)))
    thread.start()
    with running.ask("plotter") as client:
        seen = client.get("/sdapi/v1/progress").json()
        until = time.monotonic() + 60
        while not (seen["state"]["job_count"] == 12 and seen["progress"] > 0):
            assert time.monotonic() < until, seen
            seen = client.get("/sdapi/v1/progress", params={"skip_current_image": True}).json()
        assert seen["progress"] < 1
        task = client.post("/internal/progress", json={"id_task": "plot", "live_preview": False}).json()
        assert (task["active"] or task["queued"], task["completed"]) == (True, False)
        client.post("/sdapi/v1/interrupt")
        thread.join(60)
        assert client.post("/internal/progress", json={"id_task": "plot"}).json()["completed"]
    (answer,) = answers
    assert len(info(answer)["all_seeds"]) < 12
    assert len(pictures(answer)) <= 1
