"""What a file says about how its model was trained: whether it predicts the noise or the velocity, and
whether the noise of the last step hides everything (zero-terminal SNR).

Drawn with the other prediction, a checkpoint gives brown fog and no error. Trainers, mergers and interfaces
have each their own spelling, so a statement is known by its key's last word, whatever stands before it:
`ss_zero_terminal_snr` (kohya), `modelspec.prediction_type` (the ModelSpec standard), `ztsnr` (a tensor of the
model NoobAI, read by A1111 and ComfyUI), `rescale_betas_zero_snr` (diffusers), `parameterization` (the
original training configuration).
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from easel.models import evidence
from easel.remark import remark

EPSILON, VELOCITY = "epsilon", "v_prediction"
DRAWN = (EPSILON, VELOCITY)

_WORDS = {
    "v": VELOCITY, "v_prediction": VELOCITY, "v_pred": VELOCITY, "vpred": VELOCITY, "velocity": VELOCITY,
    "v_parameterization": VELOCITY, "vprediction": VELOCITY,
    "epsilon": EPSILON, "eps": EPSILON, "noise": EPSILON, "eps_prediction": EPSILON,
    "sample": "sample", "x0": "sample", "x": "sample", "x_start": "sample", "image": "sample",
    "flow": "flow", "flow_matching": "flow", "flow_prediction": "flow", "rectified_flow": "flow",
    "rf": "flow", "edm": "edm",
}  # fmt: skip
# Keys that hold one of these words, and keys that are one and hold yes or no.
_SPOKEN = ("prediction_type", "predict_key", "parameterization", "predictiontype")
_V_FLAGS = ("v_parameterization", "v_pred", "vpred", "v_prediction", "use_v_prediction", "force_v_prediction")
_EPSILON_FLAGS = ("force_epsilon_prediction", "epsilon_prediction")
# ztsnr, zsnr, use_zero_snr, zero_terminal_snr, rescale_betas_zero_snr, use_rescale_betas_zero_snr, …
_ZERO = re.compile(r"(?:^|_)(?:ztsnr|zsnr|zero_snr|zero_terminal_snr)(?:_|$)")
_YES, _NO = ("true", "1", "1.0", "yes", "on"), ("false", "0", "0.0", "no", "off")
# Civitai's names of base models that exist in one form only.
_BASES = {"sd 2.0 768": VELOCITY, "sd 2.1 768": VELOCITY, "sd_v2_v": VELOCITY}
# ModelSpec's names of architectures that tell the prediction, by their beginning.
_ARCHITECTURES = {"stable-diffusion-v2-768-v": VELOCITY, "stable-diffusion-v2-512": EPSILON}
# Of the sgm code: which class stands where.
_SCALINGS = {("scaling_config", "vscaling"): VELOCITY, ("scaling_config", "epsscaling"): EPSILON}
_METADATA_FIRST = ("easel.", "modelspec.prediction_type", "modelspec.predict_key", "modelspec.", "ss_")
# A trainer's whole configuration, as JSON in one entry. No others: ComfyUI leaves whole graphs in a file.
_TABLES = ("ot_config", "ss_training_args", "easel")
_DEEPEST, _MOST, _LONGEST = 8, 10_000, 200


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement, and where it stands ("m.yaml beside it").

    `prediction` is "epsilon", "v_prediction", "sample", "flow" or "edm", or the file's own word where that is
    none of ours. One of both fields says something.
    """

    source: str
    prediction: str = ""
    zero_snr: bool | None = None

    @property
    def understood(self) -> bool:
        """Whether the word is known at all; one that is not counts for nothing."""
        return not self.prediction or self.prediction in _WORDS.values()


@dataclass(frozen=True, slots=True)
class TrainingVerdict:
    """What counts of many facts: the first that says something. `prediction` is "" where none does.

    `notes` are sentences on what else was said and does not count.
    """

    prediction: str = ""
    prediction_by: str = ""
    zero_snr: bool | None = None
    zero_by: str = ""
    notes: tuple[str, ...] = ()


def weigh(facts: Iterable[Fact]) -> TrainingVerdict:
    """The verdict of facts in the order of their weight."""
    prediction = zero = None
    notes: dict[str, None] = {}
    for fact in facts:
        if not fact.understood:
            notes.setdefault(
                remark(
                    "prediction_unknown",
                    "{source} names the prediction {word}, which is not known",
                    source=fact.source,
                    word=repr(fact.prediction[:40]),
                )
            )
            continue
        if fact.prediction:
            prediction = prediction or fact
            if fact.prediction != prediction.prediction:
                notes.setdefault(
                    remark(
                        "predictions_differ",
                        "{one} says {first} and {other} {second}; the first counts",
                        one=prediction.source,
                        first=prediction.prediction,
                        other=fact.source,
                        second=fact.prediction,
                    )
                )
        if fact.zero_snr is not None:
            zero = zero or fact
            if fact.zero_snr != zero.zero_snr:
                notes.setdefault(_zero_differs(zero, fact))
    return TrainingVerdict(
        prediction.prediction if prediction else "",
        prediction.source if prediction else "",
        zero.zero_snr if zero else None,
        zero.source if zero else "",
        tuple(notes),
    )


def _zero_differs(first: Fact, other: Fact) -> str:
    if first.zero_snr:
        words = "{one} says that it has zero-terminal SNR and {other} that it has no; the first counts"
        return remark("zero_snr_first", words, one=first.source, other=other.source)
    words = "{one} says that it has no zero-terminal SNR and {other} that it has; the first counts"
    return remark("zero_snr_second", words, one=first.source, other=other.source)


def facts_of_table(table: object, source: str) -> list[Fact]:
    """What a configuration says: the original code's YAML, diffusers' JSON, a trainer's settings."""
    return [fact for key, value in _entries(table) for fact in _facts(key, value, source)]


def facts_of_metadata(metadata: Mapping[str, str]) -> list[Fact]:
    """What the text in a file's header says: our own first, then ModelSpec's, then the trainers'."""
    found: list[Fact] = []
    for key in sorted(metadata, key=_weight):
        source = evidence.metadata(key)
        if key in _TABLES and metadata[key].lstrip()[:1] == "{":
            try:
                found += facts_of_table(json.loads(metadata[key]), source)
            except (ValueError, RecursionError):
                continue
        else:
            found += _facts(key, metadata[key], source)
    return found


def facts_of_markers(names: Iterable[str]) -> list[Fact]:
    """What the tensors say that are there only to be found."""
    there = {"v_pred", "ztsnr"} & set(names)
    return [
        *([Fact(evidence.tensor("v_pred"), prediction=VELOCITY)] if "v_pred" in there else []),
        *([Fact(evidence.tensor("ztsnr"), zero_snr=True)] if "ztsnr" in there else []),
    ]


def _weight(key: str) -> tuple[int, str]:
    places = (n for n, start in enumerate(_METADATA_FIRST) if key.startswith(start))
    return next(places, len(_METADATA_FIRST)), key


def _entries(table: object) -> Iterator[tuple[str, object]]:
    """Keys with their values, of all tables in it. Bounded: aliases make YAML of a kilobyte endless."""
    left = _MOST
    inside = deque([(table, 0)])
    seen = {id(table)}
    while inside:
        one, depth = inside.popleft()
        for key, value in one.items() if isinstance(one, dict) else ():
            left -= 1
            if left < 0:
                return
            if not isinstance(value, dict):
                yield str(key), value
                continue
            if depth < _DEEPEST and id(value) not in seen:
                seen.add(id(value))
                inside.append((value, depth + 1))
            if "target" in value:
                yield f"{key}.target", value["target"]


def _facts(key: str, value: object, source: str) -> Iterator[Fact]:
    if not isinstance(value, str | bool | int | float) or len(key) > _LONGEST:
        return
    if isinstance(value, str) and len(value) > _LONGEST:
        return
    place, said = key.lower().strip(), str(value).strip().lower()
    word = _plain(place.removesuffix(".target").rpartition(".")[2]).removeprefix("ss_")
    if place.endswith(".target"):
        yield from _facts_of_class(word, said.rpartition(".")[2], source)
    elif prediction := _prediction(word, said):
        yield Fact(source, prediction=prediction)
    elif _ZERO.search(word) and said in (*_YES, *_NO):
        yield Fact(source, zero_snr=said in _YES)


def _facts_of_class(word: str, name: str, source: str) -> Iterator[Fact]:
    """What the sgm code's classes say: `sgm.modules.diffusionmodules.denoiser_scaling.VScaling` and so on."""
    if prediction := _SCALINGS.get((word, name)):
        yield Fact(source, prediction=prediction)
    if word == "discretization_config" and "zerosnr" in name:
        yield Fact(source, zero_snr=True)


def _prediction(word: str, said: str) -> str:
    """What an entry says of the prediction, in our words or its own; "" where it says nothing."""
    if word in _SPOKEN:
        return "" if said in ("", "none", "null") else _WORDS.get(_plain(said), said[:60])
    if word in _V_FLAGS and said in _YES:
        return VELOCITY
    if (word == "v_parameterization" and said in _NO) or (word in _EPSILON_FLAGS and said in _YES):
        return EPSILON
    if word in ("base_model_version", "basemodel"):
        return _BASES.get(said, "")
    if word == "architecture":
        return next((says for start, says in _ARCHITECTURES.items() if said.startswith(start)), "")
    return ""


def _plain(word: str) -> str:
    return word.replace("-", "_").replace(" ", "_")
