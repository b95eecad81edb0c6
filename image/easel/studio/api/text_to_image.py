"""A1111's txt2img request, and what of it the engine is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field

from easel.models import ModelFile
from easel.studio.api.errors import Unsupported
from easel.studio.api.fields import Liberal, Text, WholeNumber
from easel.studio.engine import TextToImage
from easel.studio.infotext import Infotext, parse
from easel.studio.settings import clip_l_skip, clip_skip, is_name, name_in, vae_in


class TextToImageRequest(Liberal):
    """Draw pictures from words. Every field may be left out; fields not listed here are kept and echoed."""

    prompt: Text = Field("", description="words, embeddings' names and `<lora:name:weight>`")
    negative_prompt: Text = ""
    styles: list[Text] = Field([], description="there are none here: only an empty list is taken")
    seed: WholeNumber = Field(-1, description="-1 draws one at random; picture n of a request uses seed + n")
    subseed: WholeNumber = -1
    subseed_strength: float = Field(0.0, description="0 to 1")
    seed_resize_from_h: WholeNumber = -1
    seed_resize_from_w: WholeNumber = -1
    sampler_name: Text | None = Field(None, description="a name or alias of /sdapi/v1/samplers")
    scheduler: Text | None = Field(None, description="a name or label of /sdapi/v1/schedulers")
    batch_size: WholeNumber = 1
    n_iter: WholeNumber = Field(1, description="how many batches")
    steps: WholeNumber = Field(50, description="1 to 150")
    cfg_scale: float = 7.0
    width: WholeNumber = Field(512, description="pixels, rounded down to a multiple of 8")
    height: WholeNumber = Field(512, description="pixels, rounded down to a multiple of 8")
    restore_faces: bool = False
    tiling: bool = False
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    eta: float | None = None
    denoising_strength: float | None = Field(None, description="kept; means something with enable_hr only")
    s_min_uncond: float | None = None
    s_churn: float | None = None
    s_tmax: float | None = None
    s_tmin: float | None = None
    s_noise: float | None = None
    override_settings: dict[str, Any] = Field(
        {}, description="options for this request only: sd_model_checkpoint, sd_vae, CLIP_stop_at_last_layers"
    )
    override_settings_restore_afterwards: bool = Field(
        True, description="false keeps override_settings as the caller's own options"
    )
    refiner_checkpoint: Text | None = None
    refiner_switch_at: float | None = None
    disable_extra_networks: bool = Field(
        False, description="take `<lora:…>` out of the prompt and use neither LoRAs nor embeddings"
    )
    comments: dict[str, Any] = Field({})
    enable_hr: bool = False
    firstphase_width: WholeNumber = 0
    firstphase_height: WholeNumber = 0
    hr_scale: float = 2.0
    hr_upscaler: Text | None = None
    hr_second_pass_steps: WholeNumber = 0
    hr_resize_x: WholeNumber = 0
    hr_resize_y: WholeNumber = 0
    hr_checkpoint_name: Text | None = None
    hr_sampler_name: Text | None = None
    hr_scheduler: Text | None = None
    hr_prompt: Text = ""
    hr_negative_prompt: Text = ""
    force_task_id: Text | None = Field(None, max_length=200, description="a name for /internal/progress")
    sampler_index: Text = Field("Euler", description="older name of sampler_name")
    script_name: Text | None = None
    script_args: list[Any] = Field([])
    send_images: bool = True
    save_images: bool = False
    alwayson_scripts: dict[str, Any] = Field({})
    infotext: Text | None = Field(None, description="fills every field that is not sent")

    def filled(self, checkpoint_of: Callable[[Infotext], ModelFile | None]) -> TextToImageRequest:
        """The request with what `infotext` says in the places of fields that were not sent.

        `checkpoint_of` finds the checkpoint that an infotext names.
        """
        if not self.infotext:
            return self
        found = parse(self.infotext)
        said = found.request()
        settings = said.pop("override_settings", {}) | self.override_settings
        if "sd_model_checkpoint" not in self.override_settings and (file := checkpoint_of(found)):
            settings["sd_model_checkpoint"] = file.name
        said["override_settings"] = settings
        sent = {name: getattr(self, name) for name in self.model_fields_set if name != "override_settings"}
        if "sampler_index" in self.model_fields_set:
            said.pop("sampler_name", None)
        return TextToImageRequest(**{**said, **sent, **(self.model_extra or {})})

    def to_engine(self, options: Mapping[str, Any]) -> TextToImage:
        """What the engine shall draw, with the caller's `options` where the request does not say.

        Raises Unsupported for what would be drawn differently from what was asked, and InvalidRequest.
        """
        self._refuse_unsupported()
        settings = {
            **options,
            **{key: value for key, value in self.override_settings.items() if value is not None},
        }
        refuse_settings(self.override_settings)
        return TextToImage(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            sampler=self.sampler_name or self.sampler_index,
            schedule_type=self.scheduler or "Automatic",
            steps=self.steps,
            cfg_scale=self.cfg_scale,
            width=self.width,
            height=self.height,
            seed=self.seed,
            subseed=self.subseed,
            subseed_strength=self.subseed_strength,
            batch_size=self.batch_size,
            batch_count=self.n_iter,
            eta=self.eta,
            clip_skip=clip_skip(settings),
            sdxl_clip_l_skip=clip_l_skip(settings),
            checkpoint=name_in(settings, "sd_model_checkpoint"),
            vae=vae_in(settings),
            extra_networks=not self.disable_extra_networks,
        )

    def _refuse_unsupported(self) -> None:
        active = {
            "enable_hr": (
                self.enable_hr,
                "there is no second pass yet; ask for the full size instead",
            ),
            "styles": (bool(self.styles), "there are no saved styles; write them into the prompt"),
            "restore_faces": (self.restore_faces, "there is no face restoration yet"),
            "tiling": (self.tiling, "pictures that tile are not drawn yet"),
            "refiner_checkpoint": (is_name(self.refiner_checkpoint), "there is no refiner pass yet"),
            "script_name": (is_name(self.script_name), "there are no scripts"),
            "seed_resize_from_w": (self.seed_resize_from_w > 0, "noise is drawn for the picture's own size"),
            "seed_resize_from_h": (self.seed_resize_from_h > 0, "noise is drawn for the picture's own size"),
            "s_churn": (bool(self.s_churn), "samplers add no churn; leave it at 0"),
            "s_min_uncond": (
                bool(self.s_min_uncond),
                "the negative prompt counts in every step",
            ),
            "s_noise": (self.s_noise not in (None, 1.0), "noise has its own strength; leave it at 1"),
        }
        for field, (asked, why) in active.items():
            if asked:
                raise Unsupported(field, why)
        for name, script in self.alwayson_scripts.items():
            if _script_active(script):
                raise Unsupported(f"alwayson_scripts.{name[:60]}", "there is no such script here")


# A1111's options that change pictures and that the engine does not have, at the value that changes nothing.
_FIXED_SETTINGS: dict[str, object] = {
    "eta_noise_seed_delta": 0,
    "token_merging_ratio": 0,
    "token_merging_ratio_hr": 0,
    "initial_noise_multiplier": 1,
    "s_churn": 0,
    "s_noise": 1,
    "sd_noise_schedule": "Default",
    "tiling": False,
    "face_restoration": False,
    "randn_source": "CPU",
}


def refuse_settings(settings: Mapping[str, Any]) -> None:
    """Raise Unsupported for a setting that the engine does not have and that is not at its neutral value."""
    for key, neutral in _FIXED_SETTINGS.items():
        if settings.get(key) not in (None, neutral):
            raise Unsupported(f"override_settings.{key}", f"only {neutral!r} is")


def _script_active(script: Any) -> bool:
    """Whether a script's arguments switch it on; clients send `{"args": [false]}` for one that is off."""
    args = script.get("args", []) if isinstance(script, dict) else script
    units = list(args.values()) if isinstance(args, dict) else args
    if not isinstance(units, list):
        return bool(units)
    if not units or units[0] is False:
        return False
    return any(not (isinstance(unit, dict) and unit.get("enabled") is False) for unit in units)
