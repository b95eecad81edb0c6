"""What a prompt asks for beside words: `<lora:name:weight>` tags, and embeddings by their names.

Written from A1111's published behaviour: tags stand in the prompt only, are taken out before it is encoded,
and a name that is not there is passed over with a note. Light: imports no torch.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from easel.models import FileError, Kind, ModelFile, Store, UnknownModel, read_header
from easel.remark import remark
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.networks.bundled_embeddings import bundled_in
from easel.studio.engine.networks.bundled_loras import adapters_called
from easel.studio.engine.networks.lora_tag import LoraLimits, read_tag
from easel.studio.engine.prompts.emphasis import spans
from easel.studio.engine.prompts.schedule import readings

# The bound keeps the search linear on a prompt of ten thousand "<a:".
_TAG = re.compile(r"<(\w{1,40}):([^<>\n]{1,400})>")
# Each one costs memory and time in every step; nobody mixes as many to any good.
MAX_LORAS = 20
_SHOWN = 80
_NOWHERE_LIMITED = LoraLimits()
_PICKLES = (".pt", ".bin", ".ckpt", ".pth")


@dataclass(frozen=True, slots=True)
class LoraUse:
    """One LoRA of a request: the file, its name in the prompt, its weights, and what it is limited to.

    `te` is for the text encoders, `unet` for the UNet. `hash` is AutoV3 once known, else "".
    """

    name: str
    file: ModelFile
    te: float
    unet: float
    limits: LoraLimits = _NOWHERE_LIMITED
    hash: str = field(default="", compare=False)

    def unet_in(self, block: int | None) -> float:
        """Its weight in a block of the UNet (block_weights.py), or in what is in none."""
        return self.unet * self.limits.weight_in(block)

    @property
    def in_unet(self) -> Hashable:
        """What it does to the UNet: equal for two that do the same."""
        return self.file, self.unet, self.limits.blocks, self.limits.rank

    @property
    def in_text_encoders(self) -> Hashable:
        """What it does to the text encoders."""
        return self.file, self.te, self.limits.rank


@dataclass(frozen=True, slots=True)
class EmbeddingUse:
    """A textual inversion that a prompt names, or may name.

    `bundled`: `file` is that of a LoRA, which holds it under its name. `hash` is 12 digits of the SHA-256
    once known, else ""; of one that is bundled the name of its LoRA, as in A1111.
    """

    name: str
    file: ModelFile
    bundled: bool = False
    hash: str = field(default="", compare=False)


@dataclass(frozen=True)
class Asked:
    """A pair of prompts, understood: the words that are left, the files, and what was passed over and why.

    `embeddings` are those that may be meant, several of one name too: the checkpoint's tokenizer and text
    encoders tell which are.
    """

    prompt: str
    negative_prompt: str
    loras: tuple[LoraUse, ...] = ()
    embeddings: tuple[EmbeddingUse, ...] = ()
    notes: tuple[str, ...] = ()


def understand(prompt: str, negative_prompt: str, store: Store, *, active: bool = True) -> Asked:
    """Find what both prompts name in `store`. With `active` False tags are taken out and count for nothing.

    Raises InvalidRequest for more LoRAs than one picture takes.
    """
    notes: list[str] = []
    loras = list(_loras(prompt, store, notes)) if active else []
    if active and _TAG.search(negative_prompt):
        notes.append(
            remark(
                "tags_in_negative",
                "Tags such as <lora:…> count in the prompt only; those in the negative prompt were left out.",
                about="negative_prompt",
            )
        )
    words, unwanted = without_tags(prompt), without_tags(negative_prompt)
    merged = _merged(loras)
    if len(merged) > MAX_LORAS:
        raise InvalidRequest(
            "prompt",
            remark("counted_loras", "{n} LoRAs", n=len(merged)),
            remark("up_to_loras", "up to {n} LoRAs", n=MAX_LORAS),
        )
    embeddings = tuple(_embeddings((words, unwanted), store, merged, notes)) if active else ()
    return Asked(words, unwanted, merged, embeddings, tuple(dict.fromkeys(notes)))


def without_tags(prompt: str) -> str:
    """The words of a prompt, without `<lora:…>` and the like."""
    return _TAG.sub("", prompt)


def mentions(names: Sequence[str]) -> re.Pattern[str] | None:
    """What finds any of these embeddings' names in a text, as words of their own, in any case."""
    if not names:
        return None
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


def alias_of(file: ModelFile) -> str:
    """The name that the trainer gave a LoRA (kohya's `ss_output_name`), else its file's stem."""
    try:
        return read_header(file.path).metadata.get("ss_output_name") or file.stem
    except FileError:
        return file.stem


def _loras(prompt: str, store: Store, notes: list[str]) -> Iterator[LoraUse]:
    for kind, said in _TAG.findall(prompt):
        tag = _short(f"<{kind}:{said}>")
        if kind.lower() != "lora" and kind.lower() != "lyco":
            notes.append(
                remark(
                    "no_such_tag",
                    "{tag} was left out: there are LoRAs here, written <lora:name:weight>, and no {kind}s.",
                    about="prompt",
                    tag=tag,
                    kind=kind,
                )
            )
            continue
        try:
            read = read_tag(said)
        except ValueError as error:
            words = "{tag} was left out: {why}; write <lora:name:0.8>."
            notes.append(remark("tag_unreadable", words, about="prompt", tag=tag, why=error))
            continue
        try:
            file = find_lora(read.name, store)
        except UnknownModel as error:
            end = "" if str(error).endswith("?") else "."
            notes.append(
                remark("lora_left_out", "{why}{end} It was left out.", about="prompt", why=error, end=end)
            )
            continue
        notes += [
            remark(
                "tag_ignored", "In {tag} this counts for nothing: {part}.", about="prompt", tag=tag, part=part
            )
            for part in read.ignored
        ]
        yield LoraUse(file.stem, file, read.te, read.unet, read.limits)


def find_lora(name: str, store: Store) -> ModelFile:
    """The LoRA of this name: the file's, the one its trainer gave it, the one within an IP-Adapter of this
    name, or one that it had before. Raises UnknownModel.

    A piece of a name is not enough, as in A1111: a typing error must not draw with another LoRA.
    """
    # A1111 on Windows writes `sub\name`.
    wanted = name.strip().lower().replace("\\", "/")
    found = _called(wanted, store)
    if not found:
        store.refresh()
        found = _called(wanted, store) or store.called_before(Kind.LORA, wanted)
    # a file whose whole path is meant comes before one in a folder that has the same name
    whole = [one for one in found if one.name.lower() in (wanted, f"{wanted}.safetensors")]
    found = whole or found
    if len(found) == 1:
        return found[0]
    some = ", ".join(repr(one.name.removesuffix(".safetensors")) for one in found[:5])
    why = f"it could be {some}; name one of them in full" if found else ""
    raise UnknownModel(Kind.LORA.words, name, [one.stem for one in store.files(Kind.LORA)], why)


def _called(wanted: str, store: Store) -> list[ModelFile]:
    files = store.files(Kind.LORA)
    by_file = [
        one
        for one in files
        if wanted in (one.name.lower().removesuffix(".safetensors"), *map(str.lower, one.aliases))
    ]
    by_alias = by_file or [one for one in files if alias_of(one).lower() == wanted]
    return by_alias or adapters_called(wanted, store)


def _merged(loras: Sequence[LoraUse]) -> tuple[LoraUse, ...]:
    """One use for each file and limit: a LoRA named twice counts with the sum of its weights."""
    found: dict[Hashable, LoraUse] = {}
    for one in loras:
        before = found.get((one.file, one.limits))
        if before is not None:
            one = replace(before, te=before.te + one.te, unet=before.unet + one.unet)
        found[one.file, one.limits] = one
    return tuple(found.values())


def _embeddings(
    texts: Sequence[str], store: Store, loras: Sequence[LoraUse], notes: list[str]
) -> Iterator[EmbeddingUse]:
    """Every embedding that a prompt may name, those in its LoRAs behind the files of their own; which it
    does name the engine tells, by tokens."""
    # As the tokenizer sees it: brackets and escapes taken off, in small letters, spaces of no account.
    said = [span.text for text in texts for reading in readings(text) for span in spans(reading) if span.text]
    said = list(dict.fromkeys(said))
    condensed = [_condensed(span) for span in said]
    files = store.files(Kind.EMBEDDING)
    bundled = [
        EmbeddingUse(name, lora.file, bundled=True) for lora in loras for name in bundled_in(lora.file)
    ]
    for use in dict.fromkeys([*(EmbeddingUse(file.stem, file) for file in files), *bundled]):
        name = _condensed(use.name)
        if name and any(name in span for span in condensed):
            yield use
    known = {file.stem.lower() for file in files}
    pickled = {path.stem.lower(): path.name for path in pickles(store) if path.stem.lower() not in known}
    unsafe = mentions(list(pickled))
    for span in said if unsafe is not None else ():
        for name in unsafe.findall(span) if unsafe is not None else ():
            notes.append(
                remark(
                    "embedding_pickle",
                    "The embedding {name} was left out: it is a pickle, which can run "
                    "code when it is opened; put the .safetensors file of it into models/embeddings.",
                    about="prompt",
                    name=_short(pickled[name.lower()]),
                )
            )


def _condensed(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).lower().split())


def pickles(store: Store) -> list[Path]:
    """Embeddings that are no safetensors, so not used."""
    try:
        names = sorted(os.listdir(store.folder(Kind.EMBEDDING)))
    except OSError:
        return []
    return [store.folder(Kind.EMBEDDING) / one for one in names if one.lower().endswith(_PICKLES)]


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
