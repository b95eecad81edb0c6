"""`civitai://models/ID?version=…&type=…` and the addresses of Civitai's own pages.

The service as its REST v1 says and as its source answers (civitai/civitai, `src/pages/api`): a model has
versions, a version has files; `/api/download/models/VERSION` answers 307 with a signed address on another
host, which refuses a second credential. Errors are JSON for whoever asks for no HTML.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from easel.models.kind import GGUF, SAFETENSORS, Kind
from easel.models.source_errors import BadAddress, SourceError, Unreachable, Unsafe
from easel.models.sources.civitai_refusals import refused
from easel.models.sources.offer import Offer, Source, key_of
from easel.remark import remark

CIVITAI_URL = "https://civitai.com"
CIVITAI_HOSTS = ("civitai.com", "www.civitai.com", "civitai.green", "civitai.red")
_SHAPE = remark(
    "civitai_shape", "write civitai://models/ID?version=VERSION, or paste the address of the model's page"
)
# Civitai's `type` of a model, and where the file belongs.
CIVITAI_KINDS: Mapping[str, Kind] = {
    "Checkpoint": Kind.CHECKPOINT, "LORA": Kind.LORA, "LoCon": Kind.LORA, "DoRA": Kind.LORA,
    "TextualInversion": Kind.EMBEDDING, "VAE": Kind.VAE, "Controlnet": Kind.CONTROLNET,
    "Upscaler": Kind.UPSCALER, "Hypernetwork": Kind.HYPERNETWORK, "TextEncoder": Kind.TEXT_ENCODER,
}  # fmt: skip
# What Civitai calls the formats that are read here, by the ending of the file's name.
_FORMATS = {SAFETENSORS: ("", "SafeTensor"), GGUF: ("", "GGUF", "Other")}
_FILTERS = ("type", "format", "size", "fp", "fileId")
_PARENT = (
    "description",
    "tags",
    "allowNoCredit",
    "allowCommercialUse",
    "allowDerivatives",
    "allowDifferentLicense",
)
# Civitai's rating: 1 is for everybody, 2 is PG-13. Everyone of the team sees it beside the name.
_PREVIEW_RATING = 2
_TRIES = 4


@dataclass(frozen=True, slots=True)
class CivitaiSource(Source):
    """A file of a model. `model` or `version` may be 0: the other one tells; `wanted` chooses the file."""

    model: int
    version: int
    wanted: Mapping[str, str]
    address: str
    key: str
    token: str = field(default="", repr=False)
    service: str = CIVITAI_URL

    def offer(self, client: httpx.Client) -> Offer:
        """Ask which file it is and where it lies. Raises SourceError."""
        info = self.info(client)
        file = self._choose(info)
        self._refuse_unsafe(file)
        hashes = _table(file, "hashes")
        kind = CIVITAI_KINDS.get(str(_table(info, "model").get("type", "")))
        if file.get("type") == "VAE":
            kind = Kind.VAE
        sha256, autov3 = str(hashes.get("SHA256", "")).lower(), str(hashes.get("AutoV3", "")).lower()
        return Offer(
            self._download(info, file),
            name=str(file.get("name", "")),
            secret={"Authorization": f"Bearer {self.token}"} if self.token else {},
            # `sizeKB` is rounded: the exact size comes with the bytes.
            sha256=sha256 if re.fullmatch(r"[0-9a-f]{64}", sha256) else "",
            autov3=autov3[:12] if re.fullmatch(r"[0-9a-f]{12,64}", autov3) else "",
            kind=kind,
            info=info,
            preview=preview_of_info(info),
        )

    def info(self, client: httpx.Client) -> dict[str, Any]:
        """The version with what its model says, as Civitai Helper keeps it. Raises SourceError."""
        version = self.version
        model: dict[str, Any] = {}
        if not version:
            model = self.get(client, f"models/{self.model}")
            versions = [one for one in _list(model, "modelVersions") if isinstance(one.get("id"), int)]
            if not versions:
                raise refused(self.address, 404, {"error": "no versions"}, None, bool(self.token))
            version = int(versions[0]["id"])
        info = self.get(client, f"model-versions/{version}")
        if self.model and info.get("modelId") not in (None, self.model):
            raise SourceError(
                self.address,
                remark(
                    "civitai_other_model",
                    "version {version} belongs to model {model}, not to {named}; check the address",
                    version=version,
                    model=info.get("modelId"),
                    named=self.model,
                ),
            )
        if not model:
            try:
                model = self.get(client, f"models/{info.get('modelId', self.model)}")
            except SourceError:
                model = {}  # archived models show their versions still
        info["model"] = {**_table(info, "model"), **{name: model.get(name, "") for name in _PARENT}}
        info["creator"] = model.get("creator", {})
        return info

    def refusal(self, status: int, said: Mapping[str, object], retry_after: float | None) -> SourceError:
        """What an answer that is no file means, in plain words."""
        return refused(self.address, status, said, retry_after, bool(self.token))

    def _choose(self, info: Mapping[str, Any]) -> dict[str, Any]:
        """The file that was asked for; else the primary one, as far as it is safetensors or GGUF."""
        files = _list(info, "files")
        fitting = [file for file in files if all(_fits(file, *each) for each in self.wanted.items())]
        if not fitting:
            there = ", ".join(dict.fromkeys(_called(file) for file in files)) or "none"
            asked = ", ".join(f"{name}={value}" for name, value in self.wanted.items()) or "any"
            words = "this version has no file with {asked}; it has: {there}"
            raise SourceError(self.address, remark("civitai_no_file", words, asked=asked, there=there))
        safe = [file for file in fitting if _is_tensors(file)]
        if not safe:
            names = ", ".join(str(file.get("name", "")) for file in fitting)[:200]
            raise Unsafe(
                self.address,
                remark(
                    "civitai_pickles",
                    "it is offered only as something else than safetensors or GGUF ({names}); pickles can "
                    "run code when they are opened. Look for another version or file",
                    names=names,
                ),
            )
        if not {"type", "fileId"} & set(self.wanted):
            models = [file for file in safe if file.get("type") in ("Model", "Pruned Model", None)]
            safe = models or safe
        return next((file for file in safe if file.get("primary")), safe[0])

    def _refuse_unsafe(self, file: Mapping[str, Any]) -> None:
        for scan, message in (
            ("virusScanResult", "virusScanMessage"),
            ("pickleScanResult", "pickleScanMessage"),
        ):
            if file.get(scan) == "Danger":
                said = str(file.get(message) or "").strip()[:200]
                raise Unsafe(
                    self.address,
                    remark(
                        "civitai_danger",
                        "Civitai's scan found something dangerous in {name}{said}; it is not downloaded",
                        name=repr(file.get("name")),
                        said=f" ({said})" if said else "",
                    ),
                )

    def _download(self, info: Mapping[str, Any], file: Mapping[str, Any]) -> str:
        metadata = _table(file, "metadata")
        asked = {name: str(value) for name, value in (
            ("type", file.get("type")), ("format", metadata.get("format")), ("size", metadata.get("size")),
            ("fp", metadata.get("fp")), ("fileId", file.get("id"))) if value}  # fmt: skip
        return f"{self.service}/api/download/models/{info['id']}?{urlencode(asked)}"

    def get(self, client: httpx.Client, path: str) -> dict[str, Any]:
        """What the REST API says at `path` ("models/4384"). Raises SourceError."""
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        trouble: SourceError = Unreachable(self.address, "Civitai cannot be reached")
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(0.5 * 2**attempt)
            try:
                answer = client.get(f"{self.service}/api/v1/{path}", headers=headers)
                found = answer.json() if answer.status_code != 204 else {}
            except httpx.TransportError as error:
                trouble = Unreachable(
                    self.address,
                    f"Civitai cannot be reached ({type(error).__name__}); "
                    "check the network, or try again later",
                )
                continue
            except ValueError:
                found = {}
            said = found if isinstance(found, dict) else {}
            if answer.status_code == 200 and said:
                return said
            pause = answer.headers.get("retry-after", "")
            trouble = self.refusal(
                answer.status_code if answer.status_code != 200 else 502,
                said,
                float(pause) if pause.isascii() and pause.isdigit() else None,
            )
            if answer.status_code < 500 and answer.status_code != 200:
                break
        raise trouble


def civitai_source(address: str, token: str, environment: Mapping[str, str] = os.environ) -> CivitaiSource:
    """Read `civitai://…` or the address of a page or a download. Raises BadAddress."""
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query))
    path = f"/{parts.netloc}{parts.path}" if parts.scheme == "civitai" else parts.path
    model = version = 0
    if found := re.match(r"/(?:api/v1/)?models/(\d{1,12})(?:/|$)", path):
        model = int(found[1])
        version = _number(query.get("version") or query.get("modelVersionId") or "0", address)
    elif found := re.match(
        r"/(?:api/download/models|api/v1/model-versions|model-versions)/(\d{1,12})/?$", path
    ):
        version = int(found[1])
    if not model and not version:
        raise BadAddress(
            address[:200], remark("civitai_no_model", "names no model of Civitai; {shape}", shape=_SHAPE)
        )
    wanted = {name: query[name] for name in _FILTERS if query.get(name)}
    service = (environment.get("CIVITAI_ENDPOINT") or CIVITAI_URL).rstrip("/")
    tail = urlencode({**({"version": version} if version else {}), **wanted})
    whole = f"civitai://models/{model}" if model else f"civitai://model-versions/{version}"
    if tail and model:
        whole += f"?{tail}"
    elif wanted:
        whole += f"?{urlencode(wanted)}"
    return CivitaiSource(model, version, wanted, whole, key_of(whole), token, service)


def is_civitai(address: str) -> bool:
    """Whether this is an address of Civitai, in either form."""
    parts = urlsplit(address)
    return parts.scheme == "civitai" or (parts.scheme == "https" and (parts.hostname or "") in CIVITAI_HOSTS)


def _number(text: str, address: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 13):
        words = "its version is {text}, which is no number; {shape}"
        raise BadAddress(address[:200], remark("civitai_version", words, text=repr(text[:40]), shape=_SHAPE))
    return int(text)


def _fits(file: Mapping[str, Any], name: str, value: str) -> bool:
    own = {"type": "type", "fileId": "id"}.get(name)
    said = file.get(own) if own else _table(file, "metadata").get(name)
    return str(said or "").lower() == value.lower()


def _is_tensors(file: Mapping[str, Any]) -> bool:
    said = _table(file, "metadata").get("format") or ""
    name = str(file.get("name", "")).lower()
    return any(name.endswith(ending) and said in formats for ending, formats in _FORMATS.items())


def _called(file: Mapping[str, Any]) -> str:
    metadata = _table(file, "metadata")
    words = [file.get("type"), *(metadata.get(name) for name in ("format", "size", "fp"))]
    return " ".join(str(word) for word in words if word)


def preview_of_info(info: Mapping[str, Any]) -> str:
    """The address of a version's first picture that is for everybody; "" if there is none."""
    for image in _list(info, "images"):
        level, kind = image.get("nsfwLevel", 1), image.get("type", "image")
        url = str(image.get("url", ""))
        if kind == "image" and isinstance(level, int) and level <= _PREVIEW_RATING and url.startswith("http"):
            return url
    return ""


def _table(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _list(found: Mapping[str, Any], name: str) -> Sequence[dict[str, Any]]:
    value = found.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
