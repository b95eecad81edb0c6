"""Civitai as documented: the REST API, downloads by 307 to signed addresses elsewhere, errors in JSON.

After developer.civitai.com and the service's own source (`src/pages/api`): a signed address refuses a second
credential with 400, libraries' own User-Agents get 403 from the front, Early Access is a 403 with a deadline.
"""

from __future__ import annotations

import re
from typing import Any

from tests.models.serving import Request, Serving, model_bytes, sha256

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
TOKEN = "civitai-token"
CONTENT = model_bytes(1_500_000, seed=3)


def version(number: int = 128713, model: int = 4384, kind: str = "Checkpoint", **said: Any) -> dict[str, Any]:
    """One version, with the fields that the REST API gives."""
    return {
        "id": number,
        "modelId": model,
        "name": "8",
        "baseModel": "SD 1.5",
        "baseModelType": "Standard",
        "air": f"urn:air:sd1:checkpoint:civitai:{model}@{number}",
        "status": "Published",
        "availability": "Public",
        "nsfwLevel": 1,
        "trainedWords": ["dreamy", "soft light"],
        "description": "<p>what is new</p>",
        "stats": {"downloadCount": 1},
        "model": {"name": "DreamShaper", "type": kind, "nsfw": False, "poi": False},
        "files": [file()],
        "images": [],
        "downloadUrl": f"https://civitai.com/api/download/models/{number}",
        **said,
    }


def file(content: bytes = CONTENT, **said: Any) -> dict[str, Any]:
    return {
        "id": 92139,
        "name": "dreamshaper_8.safetensors",
        "type": "Model",
        "sizeKB": round(len(content) / 1024, 2),
        "metadata": {"format": "SafeTensor", "size": "pruned", "fp": "fp16"},
        "pickleScanResult": "Success",
        "virusScanResult": "Success",
        "scannedAt": "2023-07-29T00:00:00Z",
        "primary": True,
        "hashes": {
            "AutoV2": sha256(content)[:10].upper(),
            "AutoV3": sha256(content[512:])[:12].upper(),
            "SHA256": sha256(content).upper(),
        },
        **said,
    }


class Civitai:
    """The service on one server, its storage on another."""

    def __init__(self, service: Serving, storage: Serving) -> None:
        self.service, self.storage = service, storage
        self.versions: dict[int, dict[str, Any]] = {}
        self.contents: dict[int, bytes] = {}
        self.refusals: dict[int, tuple[int, dict[str, Any]]] = {}
        self.needs_login = False
        self.pauses: list[int] = []
        """The next questions by hash are answered 429, with so many seconds to wait."""
        self.model_says: dict[str, Any] = {}
        """Fields of every model beside or in place of the usual ones."""
        self.models_gone = False
        self.signed = 0
        self.rate = 0.0
        service.fallback = self.answer
        storage.put("/preview.png", PNG)

    def publish(self, found: dict[str, Any], content: bytes = CONTENT) -> dict[str, Any]:
        found["images"] = found["images"] or [
            {"url": f"{self.storage.url}/nsfw.png", "nsfwLevel": 16, "type": "image"},
            {
                "url": f"{self.storage.url}/preview.png",
                "nsfwLevel": 1,
                "width": 512,
                "height": 768,
                "type": "image",
            },
        ]
        self.versions[found["id"]] = found
        self.contents[found["id"]] = content
        return found

    def answer(self, request: Request) -> bool:
        if re.match(r"python|$", request.headers.get("user-agent", "").lower()):
            return request.answer(403, b"error code: 1010")
        token = request.headers.get("authorization")
        if token not in (None, f"Bearer {TOKEN}"):
            return request.json(401, {"error": "Unauthorized"})
        if found := re.match(r"/api/v1/model-versions/(\d+)$", request.path):
            known = self.versions.get(int(found[1]))
            return request.json(200, known) if known else request.json(404, {"error": "Model not found"})
        if found := re.match(r"/api/v1/model-versions/by-hash/([0-9A-Fa-f]+)$", request.path):
            return self._by_hash(request, found[1].upper())
        if found := re.match(r"/api/v1/models/(\d+)$", request.path):
            return self._model(request, int(found[1]))
        if found := re.match(r"/api/download/models/(\d+)(\?|$)", request.path):
            return self._download(request, int(found[1]), token)
        return request.json(404, {"error": "Not found"})

    def _by_hash(self, request: Request, wanted: str) -> bool:
        if self.pauses:
            return request.json(429, {"error": "Too many requests"}, Retry_After=str(self.pauses.pop(0)))
        for known in self.versions.values():
            if any(wanted in each.get("hashes", {}).values() for each in known["files"]):
                return request.json(200, known)
        return request.json(404, {"error": "Model not found"})

    def _model(self, request: Request, number: int) -> bool:
        versions = [each for each in self.versions.values() if each["modelId"] == number]
        if not versions or self.models_gone:
            return request.json(404, {"error": f"No model with id {number}"})
        return request.json(
            200,
            {
                "id": number,
                "name": "DreamShaper",
                "description": "<p>about</p>",
                "type": versions[0]["model"]["type"],
                "tags": ["style"],
                "creator": {"username": "Lykon", "image": None},
                "allowNoCredit": True,
                "allowCommercialUse": ["Image"],
                "allowDerivatives": True,
                "allowDifferentLicense": True,
                "modelVersions": sorted(versions, key=lambda each: -each["id"]),
                **self.model_says,
            },
        )

    def _download(self, request: Request, number: int, token: str | None) -> bool:
        if number in self.refusals:
            status, said = self.refusals[number]
            return request.json(status, said)
        if number not in self.contents:
            return request.json(404, {"error": "File not found"})
        if self.needs_login and token is None:
            said = {
                "error": "Unauthorized",
                "message": "The creator of this asset requires you to be logged in",
            }
            return request.json(401, said)
        self.signed += 1
        path = f"/bucket/{number}-{self.signed}.safetensors"

        def signed(inner: Request) -> bool:
            if "authorization" in inner.headers:
                return inner.answer(
                    400, b"<Error><Code>InvalidArgument</Code></Error>", Content_Type="application/xml"
                )
            return False

        self.storage.put(path, self.contents[number], before=signed, rate=self.rate)
        return request.answer(
            307, Location=f"{self.storage.url}{path}?X-Amz-Expires=86400&X-Amz-Signature=abc"
        )
