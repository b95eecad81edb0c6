"""Refusals in German: whatever the page can be refused, it says in the page's language."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

import easel
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.options_table import OPTIONS, Rule
from easel.studio.api.requests.text_to_image_request import TextToImageRequest
from easel.studio.api.scripts.plot_axes import AXES
from easel.studio.api.scripts.selectable import SELECTABLE
from easel.studio.engine import EmphasisMode

GERMAN: dict[str, Any] = json.loads((Path(easel.__file__).parent / "studio/ui/web/texts/de.json").read_text())
# Words that no name, number or German sentence has.
ENGLISH = re.compile(
    r"\b(the|is|are|be|of|or|and|not|no|to|with|should|must|than|input|which|it|this|less|more)\b", re.I
)
STRANGE = ("ß?", -1e9, "9" * 50, [1])
# Nothing of it is drawn: what has no other fault is too much work.
MUCH = {"prompt": "ß?", "width": 2048, "height": 2048, "steps": 150, "n_iter": 100, "cfg_scale": 7}
PIXEL = base64.b64encode(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
).decode()
NAMES = sorted(
    {script.title for script in SELECTABLE}
    | {one.label for script in SELECTABLE for one in script.arguments}
    | {axis.label for axis in AXES}
    | {*EmphasisMode, "Crop and Resize", "Resize and Fill"},
    key=len,
    reverse=True,
)
SOURCE = {"init_images": [PIXEL]}


def said(remark: Any) -> str:
    """As remarks.js says it."""
    if not isinstance(remark, dict):
        return str(remark)
    if "number" in remark:
        return f"{remark['number']:.{remark['digits']}f}".replace(".", ",")
    text = GERMAN.get(f"said.{remark['code']}") if remark.get("code") else None
    if text is None:
        return str(remark.get("text", ""))
    values = {name: said(one) for name, one in remark.get("values", {}).items()}
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)


def requests() -> Iterator[tuple[str, dict[str, Any]]]:
    """What is refused by route and body: every field, option and argument with every strange value."""
    for name in TextToImageRequest.model_fields:
        for value in STRANGE:
            yield "/sdapi/v1/txt2img", {**MUCH, name: value}
    for name in set(ImageToImageRequest.model_fields) - set(TextToImageRequest.model_fields):
        for value in STRANGE:
            yield "/sdapi/v1/img2img", {**MUCH, **SOURCE, name: value}
    for option in OPTIONS.values():
        for value in STRANGE if option.rule is not Rule.KEPT else ():
            yield "/sdapi/v1/txt2img", {**MUCH, "override_settings": {option.name: value}}
    for script in SELECTABLE:
        for place in range(len(script.arguments)):
            for value in (-1e9, "1, x"):
                arguments = [None] * place + [value]
                tab, sources = ("txt2img", {}) if "txt2img" in script.tabs else ("img2img", SOURCE)
                body = {**MUCH, **sources, "script_name": script.title, "script_args": arguments}
                yield f"/sdapi/v1/{tab}", body
    for unit in ({"model": "nothing"}, {"weight": 9}, {"module": "x"}, {"image": 3}, {"resize_mode": "x"}, 7):
        yield "/sdapi/v1/txt2img", {**MUCH, "alwayson_scripts": {"ControlNet": {"args": [unit]}}}
    for route, body in (
        ("/sdapi/v1/extra-single-image", {"image": "no base64"}),
        ("/sdapi/v1/extra-single-image", {"image": PIXEL, "upscaler_1": "nothing"}),
        ("/sdapi/v1/extra-single-image", {"image": PIXEL, "upscaling_resize": 99}),
        ("/studio/checkpoint", {"name": "nothing"}),
        ("/studio/checkpoint", {}),
        ("/studio/boards", {"name": ""}),
        ("/studio/boards", {"name": 3}),
        ("/studio/gallery/star", {"pictures": ["2026-01-01/00000-1.png"], "starred": True}),
        ("/studio/parameters", {}),
        ("/studio/shares", {}),
        ("/studio/tokens", {"prompt": 3}),
    ):
        yield route, body


def english(client: httpx.Client, route: str, body: dict[str, Any]) -> str:
    """What of the refusal would be English on the German page; "" where nothing is, or nothing is refused."""
    answer = client.post(route, json=body, headers={"Prefer": "respond-async"})
    if answer.status_code < 400:
        if answer.status_code == 202:  # others would wait for it
            client.delete(answer.headers["Location"]).raise_for_status()
        return ""
    found = said({"text": answer.json()["errors"], **json.loads(answer.headers.get("x-easel-remark", "{}"))})
    # What somebody sent, and what things are called, is in nobody's language.
    plain = re.sub("|".join(map(re.escape, NAMES)), "", re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "", found))
    return f"{answer.status_code} {route} {str(body)[-160:]}: {found}" if ENGLISH.search(plain) else ""


def test_no_refusal_is_english_on_the_german_page(running) -> None:
    """Every field of txt2img and img2img, every option, every argument of every script, and the page's own
    routes."""
    with running.ask("refused") as client:
        found = [words for route, body in requests() if (words := english(client, route, body))]
    assert found == [], "\n".join(found)
