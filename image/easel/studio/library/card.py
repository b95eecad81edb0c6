"""A model as its source describes it, before it is downloaded: versions, files, what one may do with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from easel.models import CIVITAI_KINDS, Kind
from easel.remark import remark
from easel.studio.coded_text import CodedText
from easel.studio.library.plain_text import line, prose

# Civitai's rating: 1 is for everybody, 2 is PG-13; from 4 on a picture is for adults.
EVERYBODY = 2
_MOST_VERSIONS, _MOST_FILES, _MOST_PICTURES, _MOST_WORDS = 100, 30, 4, 60

Keep = Callable[[str, bool], str]
"""Takes a picture's address and whether it is mature, gives its key."""


class PreviewImage(BaseModel):
    """A preview, fetched by the studio at `/studio/models/previews/KEY`."""

    key: str
    width: int = 0
    height: int = 0
    mature: bool = Field(False, description="rated above PG-13, or not rated: blurred unless asked for")


class File(BaseModel):
    """One file of a version."""

    id: int
    name: str
    type: str = Field("", description="Civitai's: Model, Pruned Model, VAE, …")
    size: int | None = Field(None, description="bytes, about")
    format: str = Field("", description="SafeTensor, PickleTensor, …")
    pruned: str = Field("", description="full or pruned")
    precision: str = Field("", description="fp16, fp32, …")
    scan: str = Field(description="what Civitai's scans found: clean, pending, error, danger")
    primary: bool = False
    sha256: str = ""
    address: str = Field(description="what a download is started with")
    problem: str = Field("", description="why it cannot be downloaded; empty if it can")
    remark: CodedText | None = Field(None, description="`problem` by its code")


class Version(BaseModel):
    """One version, newest first in a card."""

    id: int
    name: str
    base_model: str = ""
    published: str = Field("", description="the day, YYYY-MM-DD")
    early_access: bool = False
    trained_words: list[str] = []
    description: str = ""
    files: list[File] = []
    pictures: list[PreviewImage] = []


class Permission(BaseModel):
    """One thing that its creator allows or not; `allowed` is null where nothing is said."""

    what: str
    allowed: bool | None


class Card(BaseModel):
    """What is known of a model."""

    source: str = Field(description="civitai, hub or web")
    address: str
    name: str
    model: int = Field(0, description="Civitai's number of the model; 0 elsewhere")
    page: str = Field("", description="the model's page")
    type: str = Field("", description="Civitai's word: Checkpoint, LORA, …")
    kind: str | None = Field(
        None, description="where it belongs: checkpoint, lora, …; null if it must be said"
    )
    mature: bool = False
    creator: str = ""
    description: str = ""
    tags: list[str] = []
    licence: list[Permission] = []
    versions: list[Version] = []
    version: int = Field(0, description="the version that the address names, else the newest")


def word_of(kind: Kind) -> str:
    """The word for a kind in the API, as on the command line: "lora"."""
    return kind.name.lower()


def describe(found: Mapping[str, Any], version: int, page: str, keep: Keep, kind: Kind | None = None) -> Card:
    """Civitai's JSON of a model as a card."""
    model = _number(found.get("id"))
    type_ = line(found.get("type"), 40)
    kind = kind or CIVITAI_KINDS.get(type_)
    versions = [
        _version(one, model, found.get("nsfw") is True, keep)
        for one in tables(found.get("modelVersions"))[:_MOST_VERSIONS]
        if _number(one.get("id"))
    ]
    ids = [one.id for one in versions]
    creator = found.get("creator")
    return Card(
        source="civitai",
        address=f"civitai://models/{model}",
        name=line(found.get("name")) or f"model {model}",
        model=model,
        page=f"{page}/models/{model}",
        type=type_,
        kind=word_of(kind) if kind else None,
        mature=found.get("nsfw") is True,
        creator=line(creator.get("username"), 80) if isinstance(creator, Mapping) else "",
        description=prose(found.get("description")),
        tags=_lines(found.get("tags"), 30),
        licence=_licence(found),
        versions=versions,
        version=version if version in ids else ids[0] if ids else 0,
    )


def _version(found: Mapping[str, Any], model: int, mature: bool, keep: Keep) -> Version:
    number = _number(found.get("id"))
    pictures = [
        one
        for one in tables(found.get("images"))
        if one.get("type", "image") == "image" and str(one.get("url", "")).startswith("http")
    ]
    return Version(
        id=number,
        name=line(found.get("name")) or str(number),
        base_model=line(found.get("baseModel"), 60),
        published=line(found.get("publishedAt") or found.get("createdAt"), 10),
        early_access=found.get("availability") == "EarlyAccess",
        trained_words=_lines(found.get("trainedWords"), _MOST_WORDS),
        description=prose(found.get("description"), 1500),
        files=[
            _file(one, f"civitai://models/{model}?version={number}&fileId={one['id']}")
            for one in tables(found.get("files"))[:_MOST_FILES]
            if _number(one.get("id"))
        ],
        pictures=[
            PreviewImage(
                key=keep(str(one["url"]), is_mature(one, mature)),
                width=_number(one.get("width")),
                height=_number(one.get("height")),
                mature=is_mature(one, mature),
            )
            # The mildest first: it is what is shown beside the name.
            for one in sorted(pictures, key=lambda each: is_mature(each, mature))[:_MOST_PICTURES]
        ],
    )


def is_mature(picture: Mapping[str, Any], model: bool) -> bool:
    """Whether a picture is not for everybody. One without a rating goes by its model and is no good sign."""
    level, old = picture.get("nsfwLevel"), picture.get("nsfw")
    if isinstance(level, int) and not isinstance(level, bool) and level > 0:
        return level > EVERYBODY
    if isinstance(level, str) or isinstance(old, str):
        return model or str(old if isinstance(old, str) else level) != "None"
    return True


def _file(found: Mapping[str, Any], address: str) -> File:
    data = found.get("metadata")
    metadata: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    hashes = found.get("hashes")
    sha256 = line(hashes.get("SHA256"), 64).lower() if isinstance(hashes, Mapping) else ""
    name, scan = line(found.get("name")), _scan(found)
    kilobytes = found.get("sizeKB")
    problem = _problem(name, line(metadata.get("format"), 40), scan)
    return File(
        id=_number(found.get("id")),
        name=name,
        type=line(found.get("type"), 40),
        size=_bytes(kilobytes),
        format=line(metadata.get("format"), 40),
        pruned=line(metadata.get("size"), 40),
        precision=line(metadata.get("fp"), 40),
        scan=scan,
        primary=found.get("primary") is True,
        sha256=sha256 if re.fullmatch(r"[0-9a-f]{64}", sha256) else "",
        address=address,
        problem=problem,
        remark=CodedText.of(problem) if problem else None,
    )


def _bytes(kilobytes: object) -> int | None:
    if isinstance(kilobytes, bool) or not isinstance(kilobytes, int | float) or not 0 < kilobytes < 1e12:
        return None
    return round(kilobytes * 1024)


def _problem(name: str, format_: str, scan: str) -> str:
    if scan == "danger":
        return remark("scanned_danger", "Civitai's scan found something dangerous in it")
    if not name.lower().endswith((".safetensors", ".gguf")) or format_ not in ("", "SafeTensor", "GGUF"):
        return remark("not_safetensors", "not safetensors: other files can run code when they are opened")
    return ""


def _scan(found: Mapping[str, Any]) -> str:
    said = {line(found.get(each), 20) for each in ("pickleScanResult", "virusScanResult")}
    for result, word in (("Danger", "danger"), ("Error", "error"), ("Pending", "pending"), ("", "pending")):
        if result in said:
            return word
    return "clean" if said == {"Success"} else "pending"


def _licence(found: Mapping[str, Any]) -> list[Permission]:
    uses: set[str] | None = None
    if isinstance(said := found.get("allowCommercialUse"), list | str):
        uses = set(re.findall(r"[A-Za-z]+", " ".join(map(str, said)) if isinstance(said, list) else said))

    def commercial(*names: str) -> bool | None:
        return None if uses is None else bool(uses & set(names))

    def plain(name: str) -> bool | None:
        value = found.get(name)
        return value if isinstance(value, bool) else None

    return [
        Permission(what="Use without crediting the creator", allowed=plain("allowNoCredit")),
        # In Civitai's order each one includes those before it: Image, RentCivit, Rent, Sell.
        Permission(what="Sell pictures made with it", allowed=commercial("Image", "Sell")),
        Permission(what="Run it on services that charge for pictures", allowed=commercial("Rent", "Sell")),
        Permission(what="Sell the model or merges of it", allowed=commercial("Sell")),
        Permission(what="Share merges of it", allowed=plain("allowDerivatives")),
        Permission(what="Share merges under another licence", allowed=plain("allowDifferentLicense")),
    ]


def _lines(value: object, most: int) -> list[str]:
    return [text for each in (value if isinstance(value, list) else [])[:most] if (text := line(each))]


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**12 else 0


def tables(value: object) -> Sequence[dict[str, Any]]:
    """The tables of what should be a list of them."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
