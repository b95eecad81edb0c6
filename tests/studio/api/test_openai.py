"""`/v1/images` and `/v1/models`, judged by OpenAI's own Python client."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator

import httpx
import openai
import pytest
from PIL import Image

SIZE = "64x64"


@pytest.fixture
def client(running) -> Iterator[openai.OpenAI]:
    """OpenAI's client as somebody of the team."""
    with openai.OpenAI(
        base_url=f"{running.url}/v1",
        api_key="easel_x",
        max_retries=0,
        default_headers={"X-Easel-User": "ada"},
    ) as made:
        yield made


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def pictures(answer: openai.types.ImagesResponse) -> list[Image.Image]:
    return [opened(base64.b64decode(one.b64_json)) for one in answer.data]


def file(image: Image.Image) -> tuple[str, bytes, str]:
    content = io.BytesIO()
    image.save(content, "PNG")
    return "picture.png", content.getvalue(), "image/png"


def steps(picture: Image.Image) -> int:
    return int(picture.info["parameters"].rpartition("Steps: ")[2].partition(",")[0])


def test_draws(client) -> None:
    """What every program sends: a model, a prompt, how many, which size. Pictures come as base64."""
    answer = client.images.generate(
        model="easel-starter", prompt="a red circle on a blue background", n=2, size=SIZE, quality="low"
    )
    found = pictures(answer)
    assert [(one.format, one.size) for one in found] == [("PNG", (64, 64))] * 2
    assert found[0].tobytes() != found[1].tobytes()
    assert (answer.output_format, answer.size, answer.quality) == ("png", SIZE, "low")
    assert (answer.background, answer.data[0].url) == ("opaque", None)
    assert found[0].info["parameters"].startswith("a red circle")
    assert answer.created > 1_700_000_000


@pytest.mark.parametrize("model", ["gpt-image-2", "chatgpt-image-latest", None])
def test_openais_own_models_are_the_callers_choice(client, running, model) -> None:
    """Programs that name a model of OpenAI's, or none, draw with the checkpoint that the caller chose."""
    with running.ask() as ada:
        ada.post("/sdapi/v1/options", json={"sd_model_checkpoint": "second"})
        try:
            answer = client.images.generate(model=model, prompt="x", size=SIZE, quality="low")
        finally:
            ada.post("/sdapi/v1/options", json={"sd_model_checkpoint": "easel-starter"})
    assert "Model: second" in pictures(answer)[0].info["parameters"]


def test_size_auto_is_the_checkpoints_own(client) -> None:
    """Nothing said and `auto` are one size, at which the checkpoint draws best."""
    sizes = [
        pictures(client.images.generate(prompt="x", quality="low", extra_body={"steps": 1}, **said))[0].size
        for said in ({}, {"size": "auto"})
    ]
    assert sizes[0] == sizes[1] != (64, 64)


@pytest.mark.parametrize(
    ("quality", "expected"),
    [("auto", 20), ("low", 10), ("medium", 20), ("standard", 20), ("high", 30), ("hd", 30), ("xhigh", 40)],
)
def test_quality_is_steps(client, quality, expected) -> None:
    """Quality says how long is drawn, against the checkpoint's own twenty steps."""
    answer = client.images.generate(prompt="x", size=SIZE, quality=quality)
    assert steps(pictures(answer)[0]) == expected


def test_steps_that_are_said_are_done(client) -> None:
    """A1111's `steps` is exact, whatever the quality is called."""
    answer = client.images.generate(prompt="x", size=SIZE, quality="hd", extra_body={"steps": 3})
    assert steps(pictures(answer)[0]) == 3


@pytest.mark.parametrize(("kind", "expected"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_formats(client, kind, expected) -> None:
    """The file is of the kind that was asked for, and the answer says so."""
    answer = client.images.generate(prompt="x", size=SIZE, quality="low", output_format=kind)
    assert pictures(answer)[0].format == expected
    assert answer.output_format == kind


def test_compression_makes_files_smaller(client) -> None:
    """`output_compression` is the quality of a jpeg."""
    said = {"prompt": "x", "size": "128x128", "output_format": "jpeg", "extra_body": {"seed": 5, "steps": 2}}
    sizes = [len(client.images.generate(**said, output_compression=q).data[0].b64_json) for q in (20, 100)]
    assert sizes[0] < sizes[1]


def test_an_address(client, running) -> None:
    """`url` keeps the picture and leads to it, for its owner and nobody else; dall-e means it unsaid."""
    for said in ({"response_format": "url"}, {"model": "dall-e-3", "output_format": "webp"}):
        answer = client.images.generate(prompt="x", size=SIZE, quality="low", **said)
        (one,) = answer.data
        assert one.b64_json is None
        assert one.url.startswith(f"{running.url}/files/pictures/")
        with running.ask() as ada, running.ask("eve") as eve:
            found = ada.get(one.url)
            assert found.headers["content-type"] == f"image/{answer.output_format}"
            assert opened(found.content).size == (64, 64)
            assert eve.get(one.url).status_code == 404


def test_fields_of_a1111(client) -> None:
    """What OpenAI has no field for is A1111's, so that a seed and a negative prompt can be said."""
    body = {"seed": 7, "negative_prompt": "blurry", "steps": 2, "sampler_name": "Euler"}
    drawn = [pictures(client.images.generate(prompt="x", size=SIZE, extra_body=body))[0] for _ in range(2)]
    assert drawn[0].tobytes() == drawn[1].tobytes()
    text = drawn[0].info["parameters"]
    assert "Negative prompt: blurry" in text
    assert "Steps: 2, Sampler: Euler," in text


def test_what_is_not_followed_is_told(client) -> None:
    """Fields that change nothing are told in `comments`, unknown ones too; the user is nobody's business."""
    answer = client.images.generate(
        prompt="x", size=SIZE, quality="low", style="vivid", moderation="low", user="u-1",
        extra_body={"frobnicate": 1},
    )  # fmt: skip
    said = " ".join(answer.model_extra["comments"])
    for word in ("style", "moderation", "frobnicate"):
        assert word in said
    assert "u-1" not in said


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"size": "huge"}, "size"),
        ({"size": "16x16"}, "size"),
        ({"size": "99999x64"}, "size"),
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"quality": "best"}, "quality"),
        ({"background": "transparent"}, "background"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_format": "svg"}, "output_format"),
        ({"output_format": "jpeg", "output_compression": 101}, "output_compression"),
        ({"output_compression": 50}, "output_compression"),
        ({"response_format": "ftp"}, "response_format"),
        ({"stream": True}, "stream"),
        ({"partial_images": 2}, "partial_images"),
        ({"prompt": "x" * 30_000}, "prompt"),
        ({"extra_body": {"steps": 151}}, "quality"),
        ({"extra_body": {"negative_prompt": ["a"]}}, "negative_prompt"),
        ({"extra_body": {"enable_hr": True, "hr_scale": 9}}, "hr_scale"),
    ],
)
def test_what_cannot_be(client, said, param) -> None:
    """400 that names the field in OpenAI's own terms, which its client shows."""
    with pytest.raises(openai.BadRequestError) as error:
        client.images.generate(**{"prompt": "x", "size": SIZE, **said})
    assert error.value.param == param
    assert error.value.type == "invalid_request_error"
    assert error.value.body["message"]


def test_an_unknown_model(client) -> None:
    """404 with OpenAI's code, and the names that are nearest."""
    for call in (
        lambda: client.images.generate(model="easel-startr", prompt="x"),
        lambda: client.models.retrieve("easel-startr"),
    ):
        with pytest.raises(openai.NotFoundError) as error:
            call()
        assert error.value.code == "model_not_found"
        assert "easel-starter" in error.value.body["message"]


def test_an_unknown_sampler(client) -> None:
    """What A1111's fields are refused for is told in OpenAI's shape, too."""
    with pytest.raises(openai.BadRequestError, match="Eular"):
        client.images.generate(prompt="x", size=SIZE, extra_body={"sampler_name": "Eular"})


def test_models(client) -> None:
    """All checkpoints; each can be asked for by the id that the list gives it."""
    found = {one.id: one for one in client.models.list()}
    assert {"easel-starter", "second"} <= set(found)
    one = client.models.retrieve("second")
    assert (one.id, one.object, one.owned_by) == ("second", "model", "easel")
    assert one.created == found["second"].created > 1_000_000_000


def red() -> Image.Image:
    return Image.new("RGB", (64, 64), "#c02020")


def test_edits(client) -> None:
    """A picture and a prompt: the answer has the picture's size, and another picture in it."""
    answer = client.images.edit(image=file(red().resize((64, 96))), prompt="a green star", quality="low", n=2)
    assert [one.size for one in pictures(answer)] == [(64, 96)] * 2
    assert answer.size == "64x96"
    assert pictures(answer)[0].tobytes() != red().resize((64, 96)).tobytes()


def test_a_mask_is_a_hole(client) -> None:
    """Where the mask is opaque the picture stays as it was; where it is clear it is drawn anew."""
    mask = Image.new("RGBA", (64, 64), "black")
    mask.paste((0, 0, 0, 0), (32, 0, 64, 64))
    said = {"prompt": "a green star on white", "quality": "low", "size": SIZE, "extra_body": {"mask_blur": 0}}
    drawn = pictures(client.images.edit(image=file(red()), mask=file(mask), **said))[0].convert("RGB")
    assert drawn.crop((0, 0, 24, 64)).tobytes() == red().crop((0, 0, 24, 64)).tobytes()
    assert drawn.crop((40, 0, 64, 64)).tobytes() != red().crop((40, 0, 64, 64)).tobytes()
    holed = red().convert("RGBA")
    holed.paste((0, 0, 0, 0), (32, 0, 64, 64))
    alone = pictures(client.images.edit(image=file(holed), **said))[0].convert("RGB")
    assert alone.crop((0, 0, 24, 64)).tobytes() == red().crop((0, 0, 24, 64)).tobytes()


def test_input_fidelity_keeps_more(client) -> None:
    """`high` leaves more of the picture than `low`."""
    texts = [
        pictures(client.images.edit(image=file(red()), prompt="x", quality="low", input_fidelity=one))[0]
        for one in ("low", "high")
    ]
    strengths = [
        float(one.info["parameters"].rpartition("Denoising strength: ")[2].partition(",")[0]) for one in texts
    ]
    assert strengths[1] < strengths[0]


def test_an_edit_by_address(client, running) -> None:
    """The form's fields are those of JSON."""
    answer = client.images.edit(
        image=[file(red())], prompt="x", size=SIZE, quality="low", response_format="url", output_format="jpeg"
    )
    with running.ask() as ada:
        assert opened(ada.get(answer.data[0].url).content).format == "JPEG"


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"image": ("a.png", b"nonsense")}, "image"),
        ({"image": ("a.png", b"")}, "image"),
        ({"image": [file(red()), file(red())]}, "image"),
        ({"mask": file(red())}, "mask"),
        ({"mask": file(Image.new("RGBA", (32, 32)))}, "mask"),
        ({"mask": ("a.png", b"nonsense")}, "mask"),
        ({"markup": file(red())}, "markup"),
        ({"size": "huge"}, "size"),
        ({"n": 11}, "n"),
        ({"stream": True}, "stream"),
        ({"input_fidelity": "medium"}, "input_fidelity"),
        ({"extra_body": {"denoising_strength": 2}}, "denoising_strength"),
    ],
)
def test_edits_that_cannot_be(client, said, param) -> None:
    """400 that names the field: no picture, several, a mask that hides nothing or does not fit."""
    with pytest.raises(openai.BadRequestError) as error:
        client.images.edit(**{"image": file(red()), "prompt": "x", "size": SIZE, "quality": "low", **said})
    assert error.value.param == param


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/images/generations", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/v1/chat/completions", 404),
        ("POST", "/v1/images/variations", 404),
    ],
)
def test_no_such_route(ada, method, path, status) -> None:
    """What is not there says so in OpenAI's shape."""
    answer = ada.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/images/edits"])
@pytest.mark.parametrize(
    "how",
    [
        {"content": b"{"},
        {"content": b"[]", "headers": {"content-type": "application/json"}},
        {"content": b'{"prompt": "x", "n": NaN}'},
        {"data": {"prompt": "x"}},
        {"files": {"prompt": ("a", b"x")}},
        {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"--x", "headers": {"content-type": "multipart/form-data"}},
    ],
)
def test_broken_bodies(ada, path, how) -> None:
    """Whatever comes is a 400 in OpenAI's shape."""
    answer = ada.post(path, **how)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_too_large_a_body(ada) -> None:
    """413 in the same shape."""
    answer = ada.post("/v1/images/generations", content=json.dumps({"prompt": "x" * (65 * 2**20)}))
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_foreign_pages_form(running) -> None:
    """A page of another origin can send a form without asking: nothing is drawn for it."""
    said = {"data": {"prompt": "x", "size": SIZE, "steps": "1"}, "files": {"image": file(red())}}
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        answer = httpx.post(f"{running.url}/v1/images/edits", headers={"Sec-Fetch-Site": site}, **said)
        assert answer.status_code == status
