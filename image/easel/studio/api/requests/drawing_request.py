"""What A1111's txt2img and img2img requests have in common, and what of it the engine is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar

from pydantic import Field, model_validator

from easel.remark import remark
from easel.studio.api.requests.control_units import control_units
from easel.studio.api.requests.fields import Liberal, Text, WholeNumber
from easel.studio.api.requests.options_table import OPTIONS, honoured
from easel.studio.api.requests.sent_picture import decoded
from easel.studio.checkpoint_defaults import CheckpointDefaults
from easel.studio.drawing_settings import drawing_fields
from easel.studio.engine import (
    DEEP,
    DEEP_EVERY,
    FaceRestoration,
    InvalidRequest,
    Refiner,
    TextToImage,
    check_length,
)
from easel.studio.infotext import MAX_INFOTEXT
from easel.studio.prompt_comments import without_comments
from easel.studio.settings import is_name, modules_in, name_in, vae_in, yes_in

_SAMPLER_FIELDS = ("s_min_uncond", "s_churn", "s_tmax", "s_tmin", "s_noise")
_SAMPLERS = ("sampler_name", "sampler_index")
_REFINER_AT = 0.8
_SIDE = (
    "pixels, rounded down to a multiple of 8 (16 with a transformer); the checkpoint's own side if not said"
)


class DrawingRequest(Liberal):
    """Draw pictures. Every field may be left out; fields not listed here are kept and echoed."""

    TAB: ClassVar[str]
    """A1111's name for this kind of request."""
    PROMPTS: ClassVar[tuple[str, ...]] = ("prompt", "negative_prompt")
    """Its fields that are prompts."""

    prompt: Text = Field("", description="words, embeddings' names and `<lora:name:weight>`")
    negative_prompt: Text = ""
    styles: list[Text] = Field([], description="names of /sdapi/v1/prompt-styles")
    seed: WholeNumber = Field(-1, description="-1 draws one at random; picture n of a request uses seed + n")
    subseed: WholeNumber = -1
    subseed_strength: float = Field(0.0, description="0 to 1")
    seed_resize_from_h: WholeNumber = Field(
        -1, description="pixels: the seed's noise at that size, in the middle"
    )
    seed_resize_from_w: WholeNumber = -1
    sampler_name: Text | None = Field(None, description="a name or alias of /sdapi/v1/samplers")
    scheduler: Text | None = Field(None, description="a name or label of /sdapi/v1/schedulers")
    batch_size: WholeNumber = 1
    n_iter: WholeNumber = Field(1, description="how many batches")
    steps: WholeNumber | None = Field(None, description="1 to 150; the checkpoint's own if not said")
    cfg_scale: float | None = Field(None, description="-100 to 100; the checkpoint's own if not said")
    distilled_cfg_scale: float | None = Field(
        None, description="Forge's: what a guidance-distilled model (Flux) is told; its own if not said"
    )
    width: WholeNumber | None = Field(None, description=_SIDE)
    height: WholeNumber | None = Field(None, description=_SIDE)
    reference_images: list[Text] = Field(
        [],
        description="as base64: pictures that FLUX.1 Kontext, FLUX.2 and Qwen-Image-Edit look at, behind "
        "init_images; up to 8",
    )
    restore_faces: bool = Field(False, description="by face_restoration_model; without its files told")
    tiling: bool | None = Field(None, description="left edge meets right, top meets bottom")
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    eta: float | None = Field(None, ge=0, le=1, description="in the place of eta_ancestral and eta_ddim")
    denoising_strength: float | None = Field(
        None, description="0 to 1; how much is drawn anew. 0.75 if not said"
    )
    s_min_uncond: float | None = Field(None, description="in the place of the option, as the four below")
    s_churn: float | None = None
    s_tmax: float | None = None
    s_tmin: float | None = None
    s_noise: float | None = None
    override_settings: dict[str, Any] = Field(
        {}, description="options for this request only, by the rules of /sdapi/v1/options"
    )
    override_settings_restore_afterwards: bool = Field(
        True, description="false keeps override_settings as the caller's own options"
    )
    refiner_checkpoint: Text | None = Field(None, description="another checkpoint that draws the end")
    refiner_switch_at: float | None = Field(None, description="0 to 1, of the steps; 0.8 if not said")
    disable_extra_networks: bool = Field(
        False, description="take `<lora:…>` out of the prompt and use neither LoRAs nor embeddings"
    )
    exact: bool = Field(
        False,
        description="the same bits in any company: it shares no call with others, and is slower",
    )
    cache: Text = Field(
        "", description="deep: the whole UNet in each third call only; quicker, and less exact"
    )
    comments: dict[str, Any] = Field({})
    force_task_id: Text | None = Field(None, max_length=200, description="a name for /internal/progress")
    sampler_index: Text | None = Field(None, description="older name of sampler_name")
    script_name: Text | None = Field(None, description="a script of /sdapi/v1/scripts that is not always on")
    script_args: list[Any] = Field([], description="its arguments by /sdapi/v1/script-info, in order")
    send_images: bool = True
    save_images: bool = False
    alwayson_scripts: dict[str, Any] = Field(
        {}, description="A1111's own and ControlNet (see /sdapi/v1/scripts), and such as are switched off"
    )
    controlnet_units: list[Any] = Field([], description="older place of alwayson_scripts.ControlNet.args")
    infotext: Text | None = Field(None, description="fills every field that is not sent")

    @model_validator(mode="before")
    @classmethod
    def _no_sampler_is_unset(cls, values: Any) -> Any:
        """Programs that know no sampler send an empty name; A1111 takes `sampler_index` then."""
        if not isinstance(values, dict):
            return values
        empty = {name for name in _SAMPLERS if isinstance(said := values.get(name), str) and not said.strip()}
        return {name: value for name, value in values.items() if name not in empty}

    def check_texts(self) -> None:
        """Raise InvalidRequest for a text that is longer than any is: before a script makes a thousand
        requests of it, and a reader reads it."""
        for field in self.PROMPTS:
            check_length(field, len(getattr(self, field)))
        check_length("infotext", len(self.infotext or ""), MAX_INFOTEXT)

    def filled(self, said: Mapping[str, Any]) -> Self:
        """The request with `said`, what an infotext asks for, in the places of fields that were not sent.

        What this kind of request has no field for is left out.
        """
        theirs = dict(said.get("override_settings", {}))
        if "prompt" in self.model_fields_set:
            theirs.pop("enable_prompt_comments", None)  # which speaks of the text's own words
        overrides = theirs | self.override_settings
        said = {name: value for name, value in said.items() if name in type(self).model_fields}
        said["override_settings"] = overrides
        sent = {name: getattr(self, name) for name in self.model_fields_set if name != "override_settings"}
        if "sampler_index" in self.model_fields_set:
            said.pop("sampler_name", None)
        return type(self)(**{**said, **sent, **(self.model_extra or {})})

    def settings(self, own: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The options that this request is drawn with, the caller's `own` below its overrides, and what to
        tell about them.

        Raises Unsupported for one that would make another picture than is drawn here.
        """
        asked = {key: value for key, value in self.override_settings.items() if value is not None}
        overrides, notes = honoured(asked, "override_settings.")
        # What is stored was told about when it was set.
        stored = {key: value for key, value in own.items() if key in OPTIONS and OPTIONS[key].settable}
        return {**stored, **overrides}, notes

    def settled(self, defaults: CheckpointDefaults) -> Self:
        """The request with the checkpoint's own in the places of what it does not say."""
        width, height = self.own_size(defaults.side)
        multiple = defaults.multiple
        own = {
            "width": width,
            "height": height,
            "steps": defaults.steps,
            "cfg_scale": defaults.cfg_scale,
            "sampler_name": self.sampler_index or defaults.sampler,
            "distilled_cfg_scale": defaults.distilled_guidance,
        }
        unsaid = {name: value for name, value in own.items() if getattr(self, name) is None}
        settled = self.model_copy(update=unsaid)
        own = {name: getattr(settled, name) // multiple * multiple for name in ("width", "height")}
        if defaults.distilled_guidance is None:  # nobody is told, and no infotext says it
            own["distilled_cfg_scale"] = None
        return settled.model_copy(update=own)

    def own_size(self, side: int) -> tuple[int, int]:
        """Width and height where they are not said, in pixels; `side` is the checkpoint's own."""
        return side, side

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fields of the engine's request that this kind of request has besides."""
        return {}

    def echo(self) -> dict[str, Any]:
        """The request as it is sent back, without pictures that are looked at."""
        return {**self.model_dump(), "reference_images": []}

    def to_engine(self, settings: Mapping[str, Any]) -> TextToImage:
        """What the engine shall draw, of a request that is settled.

        Raises Unsupported for what would be drawn differently from what was asked, and InvalidRequest.
        """
        said = {name: getattr(self, name) for name in ("steps", "cfg_scale", "width", "height", "batch_size")}
        fields = {name: value for name, value in said.items() if value is not None} | self.parts(settings)
        return without_comments(
            TextToImage(
                prompt=self.prompt,
                negative_prompt=self.negative_prompt,
                sampler=self.sampler_name or "",
                schedule_type=self.scheduler or "Automatic",
                tiling=yes_in(settings, "tiling", default=False) if self.tiling is None else self.tiling,
                refiner=self._refiner(),
                faces=self._faces(settings),
                controls=control_units(self.alwayson_scripts, self.controlnet_units),
                seed=self.seed,
                subseed=self.subseed,
                subseed_strength=self.subseed_strength,
                seed_resize_from_w=self.seed_resize_from_w,
                seed_resize_from_h=self.seed_resize_from_h,
                batch_count=self.n_iter,
                **drawing_fields({**settings, **self._own_settings()}),
                checkpoint=name_in(settings, "sd_model_checkpoint"),
                vae=vae_in(settings),
                modules=modules_in(settings),
                extra_networks=not self.disable_extra_networks,
                distilled_guidance=self.distilled_cfg_scale,
                exact=self.exact,
                cache_every=self._cache_every(),
                shown=tuple(decoded(text, "reference_images")[0] for text in self.reference_images),
                **fields,
            ),
            settings,
        )

    def _faces(self, settings: Mapping[str, Any]) -> FaceRestoration | None:
        """What restores faces, if anything: by the request, and where it does not say by the option."""
        said = "restore_faces" in self.model_fields_set
        if not (self.restore_faces if said else yes_in(settings, "face_restoration", default=False)):
            return None
        return FaceRestoration(model=str(settings.get("face_restoration_model") or "CodeFormer"))

    def _cache_every(self) -> int:
        if self.cache not in ("", DEEP):
            raise InvalidRequest("cache", self.cache, DEEP)
        return DEEP_EVERY if self.cache else 1

    def _refiner(self) -> Refiner | None:
        if not is_name(self.refiner_checkpoint):
            return None
        at = _REFINER_AT if self.refiner_switch_at is None else self.refiner_switch_at
        return Refiner(checkpoint=str(self.refiner_checkpoint), switch_at=at)

    def _own_settings(self) -> dict[str, float]:
        """What the request says itself of what else options say."""
        said = {name: getattr(self, name) for name in _SAMPLER_FIELDS} | {
            "eta_ancestral": self.eta,
            "eta_ddim": self.eta,
        }
        return {name: value for name, value in said.items() if value is not None}

    def passed_over(self) -> Iterator[str]:
        """Sentences on what the request says and nothing here does."""
        if self.model_extra:
            some = _some(sorted(self.model_extra))
            yield remark("unknown_fields", "Unknown fields were passed over: {names}.", names=some)


AnyRequest = TypeVar("AnyRequest", bound=DrawingRequest)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(name[:60] for name in names[:10])
    return shown + (f" and {len(names) - 10} more" if len(names) > 10 else "")
