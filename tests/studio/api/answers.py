"""What is in an answer of the API that draws, and a picture as requests carry it."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import httpx
from PIL import Image


def pictures(answer: httpx.Response) -> list[Image.Image]:
    """Its pictures, in order."""
    assert answer.status_code == 200, answer.text[:500]
    return [Image.open(io.BytesIO(base64.b64decode(one, validate=True))) for one in answer.json()["images"]]


def info(answer: httpx.Response) -> dict[str, Any]:
    """A1111's record of what was drawn."""
    assert answer.status_code == 200, answer.text[:500]
    assert isinstance(answer.json()["info"], str)
    return json.loads(answer.json()["info"])


def sent(image: Image.Image) -> str:
    """A picture as a PNG file in base64."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
