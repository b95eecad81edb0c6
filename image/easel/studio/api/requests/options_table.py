"""A1111's options, one row each: what becomes of a value that somebody sets.

The same table decides for `POST /sdapi/v1/options`, for `override_settings` and for what an infotext says;
docs/reference/options.md is checked against it. Nothing is accepted and dropped: a value is followed, or
stored and given back where it changes nothing, or refused in words; where clients send it with every
request, or it is A1111's own default, the answer tells that it was not followed.

Names, defaults and infotext keys are those of A1111 1.10.1 with the extensions that come with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from easel.remark import remark
from easel.studio.api.requests.options_kept import KEPT
from easel.studio.api.requests.refusals import Unsupported


class Rule(StrEnum):
    """What becomes of a value."""

    HONOURED = "honoured"
    KEPT = "kept"
    REFUSED = "refused"
    TOLD = "told"


_NOT_SAID = object()


@dataclass(frozen=True)
class Option:
    """One option: A1111's default, the rule, and why in a few words.

    `here` is what Easel does, and what GET answers for an option that is refused or told; A1111's default
    unless said. `infotext` is A1111's key for it there.
    """

    name: str
    default: Any
    rule: Rule
    why: str
    here: Any = _NOT_SAID
    infotext: str | None = None

    @property
    def value(self) -> Any:
        """What GET answers to somebody who never set it."""
        return self.default if self.here is _NOT_SAID else self.here

    @property
    def settable(self) -> bool:
        """Whether a value is stored for its caller and given back."""
        return self.rule in (Rule.HONOURED, Rule.KEPT)

    def told(self, value: Any, where: str = "") -> str | None:
        """A sentence if `value` is taken but not followed, None if there is nothing to tell.

        Raises Unsupported for a value that is refused; `where` is what its name stands below.
        """
        if self.settable or value is None or same(value, self.value):
            return None
        words = remark(
            "option_not_followed",
            "{name} {value} was not followed: {why}.",
            about=self.name,
            name=self.name,
            value=_short(value),
            why=self.why,
        )
        if self.rule is Rule.TOLD or same(value, self.default):
            return words
        raise Unsupported(
            f"{where}{self.name}",
            remark("only_is", "{why}; only {value} is", why=self.why, value=repr(self.value)),
        )


def same(one: Any, other: Any) -> bool:
    """Whether two values say the same: clients write numbers and yes or no as text."""
    if one == other:
        return True
    if isinstance(one, str) and isinstance(other, str):
        return one.strip().lower() == other.strip().lower()
    if isinstance(one, bool | int | float | str) and isinstance(other, bool | int | float | str):
        left, right = _number(one), _number(other)
        return left is not None and left == right
    return False


def honoured(settings: Mapping[str, Any], where: str = "") -> tuple[dict[str, Any], list[str]]:
    """What of `settings` decides about a picture, and sentences on what of it does not.

    Raises Unsupported for a value that would make another picture than Easel draws.
    """
    found: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in settings.items():
        option = OPTIONS.get(name)
        if option is None:
            words = "{name} is no option of A1111's and changed nothing."
            notes.append(remark("no_option", words, name=_short(name)))
        elif option.rule is Rule.HONOURED:
            found[name] = value
        elif told := option.told(value, where):
            notes.append(told)
    return found, notes


def told_of_infotext(parameters: Mapping[str, str]) -> list[str]:
    """Sentences on what an infotext says about options and Easel does not follow."""
    notes: list[str] = []
    for key, text in parameters.items():
        option = _BY_INFOTEXT.get(key)
        if option is None or option.settable or same(text, option.value):
            continue
        words = "{key} {value} of the infotext was not followed: {why}."
        notes.append(
            remark(
                "infotext_not_followed",
                words,
                about=option.name,
                key=key,
                value=_short(text),
                why=option.why,
            )
        )
    return notes


def options_of_infotext(parameters: Mapping[str, str]) -> dict[str, str]:
    """What an infotext says of options that are honoured, as text; not of models and clip skip, which
    `easel.studio.infotext` reads itself."""
    said = [(_BY_INFOTEXT[key], text) for key, text in parameters.items() if key in _BY_INFOTEXT]
    return {
        option.name: text
        for option, text in said
        if option.rule is Rule.HONOURED and option.name not in _MODELS
    }


def _number(value: bool | float | str) -> float | None:
    words = {"true": 1.0, "false": 0.0}
    text = str(value).strip().lower()
    try:
        return words[text] if text in words else float(text)
    except (ValueError, OverflowError):
        return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_H, _R, _T = Rule.HONOURED, Rule.REFUSED, Rule.TOLD
_OLD = remark("not_as_before", "how A1111 drew in earlier versions is not done")

_TABLE: tuple[Option, ...] = (
    Option("sd_model_checkpoint", None, _H, "the checkpoint, by any of its names", infotext="Model hash"),
    Option("sd_vae", "Automatic", _H, "a VAE's name, Automatic or None", infotext="VAE"),
    Option("forge_additional_modules", [], _H, "Forge's: names of text encoders and of a VAE to draw with"),
    Option("CLIP_stop_at_last_layers", 1, _H, "1 to 12", infotext="Clip skip"),
    Option("sdxl_clip_l_skip", False, _H, "true lets clip skip count for OpenAI's encoder of SDXL",
           infotext="Clip L skip"),
    Option("eta_ddim", 0.0, _H, "0 to 1, for DDIM", infotext="Eta DDIM"),
    Option("eta_ancestral", 1.0, _H, "0 to 1, for samplers that add noise", infotext="Eta"),
    Option("randn_source", "GPU", _H, "CPU, GPU or NV: where noise comes from", here="CPU", infotext="RNG"),
    Option("eta_noise_seed_delta", 0, _H, "added to the seed for later noise", infotext="ENSD"),
    Option("s_churn", 0.0, _H, "0 to 100, for Euler, Heun and DPM2", infotext="Sigma churn"),
    Option("s_tmin", 0.0, _H, "churn from this sigma up", infotext="Sigma tmin"),
    Option("s_tmax", 0.0, _H, "churn up to this sigma; 0 is all", infotext="Sigma tmax"),
    Option("s_noise", 1.0, _H, "0 to 2, the strength of added noise", infotext="Sigma noise"),
    Option("sigma_min", 0.0, _H, "the last noise level; 0 is its own", infotext="Schedule min sigma"),
    Option("sigma_max", 0.0, _H, "the first noise level; 0 is its own", infotext="Schedule max sigma"),
    Option("rho", 0.0, _H, "of Karras and Polyexponential; 0 is their own", infotext="Schedule rho"),
    Option("always_discard_next_to_last_sigma", False, _H, "one noise level more, without the last but one",
           infotext="Discard penultimate sigma"),
    Option("use_old_karras_scheduler_sigmas", False, _H, "Karras from 0.1 to 10",
           infotext="Old Karras sigmas"),
    Option("enable_quantization", False, _H, "whole timesteps",
           infotext="Whole timesteps"),
    Option("sgm_noise_multiplier", False, _H, "the first noise as Stability's SDXL scales it",
           infotext="SGM noise multiplier"),
    Option("uni_pc_variant", "bh1", _H, "bh1, bh2 or vary_coeff", infotext="UniPC variant"),
    Option("uni_pc_skip_type", "time_uniform", _H, "time_uniform, time_quadratic or logSNR",
           infotext="UniPC skip type"),
    Option("uni_pc_order", 3, _H, "1 to 50, less than steps", infotext="UniPC order"),
    Option("uni_pc_lower_order_final", True, _H, "the last steps in a lower order",
           infotext="UniPC lower order final"),
    Option("beta_dist_alpha", 0.6, _H, "of the schedule type Beta", infotext="Beta schedule alpha"),
    Option("beta_dist_beta", 0.6, _H, "of the schedule type Beta", infotext="Beta schedule beta"),
    Option("skip_early_cond", 0.0, _H, "0 to 1, the first steps without the negative prompt",
           infotext="Skip Early CFG"),
    Option("s_min_uncond", 0.0, _H, "below this sigma every other step is without the negative prompt",
           infotext="NGMS"),
    Option("s_min_uncond_all", False, _H, "and then every step", infotext="NGMS all steps"),
    Option("emphasis", "Original", _H, "None, Ignore, Original or No norm", infotext="Emphasis"),
    Option("enable_prompt_comments", True, _H, "`#` and what follows it in a line is no prompt"),
    Option("samples_save", True, _H, "false keeps nothing, even with save_images"),
    Option("enable_pnginfo", True, _H, "false leaves the infotext out of the files; `info` has it still"),
    Option("extra_options_txt2img", [], _H, "what the arguments of the script Extra options set"),
    Option("sd_checkpoint_hash", "", _T, remark("follows_checkpoint", "it follows from sd_model_checkpoint")),
    Option("face_restoration", False, _H, "faces are restored where requests do not say"),
    Option("face_restoration_model", "CodeFormer", _H, "a name of /sdapi/v1/face-restorers"),
    Option("ad_bbox_sortby", "None", _H, "ADetailer's: which face comes first"),
    Option("ad_same_seed_for_each_tab", False, _H, "ADetailer's: no face has another seed than the picture"),
    Option("samples_format", "png", _H, "png, jpg or webp, of what is sent and kept"),
    Option("jpeg_quality", 80, _H, "1 to 100, for jpg and webp"),
    Option("webp_lossless", False, _H, "webp without loss"),
    Option("save_txt", False, _R, remark("infotext_inside", "the infotext is in the picture, not beside it")),
    Option("export_for_4chan", True, _R, remark("kept_once", "pictures are kept once, as PNG"), here=False),
    Option("grid_save", True, _T, remark("grids_not_kept", "grids are sent and not kept"), here=False),
    Option("return_grid", True, _H, "a grid before several pictures that are saved"),
    Option("grid_only_if_multiple", True, _H, "no grid of one picture"),
    Option("grid_prevent_empty_spots", False, _H, "as many rows as leave no spot empty"),
    Option("n_rows", -1, _H, "rows of a grid; -1 a square, 0 a batch for each column"),
    Option("tiling", False, _H, "left edge meets right, top meets bottom", infotext="Tiling"),
    Option("initial_noise_multiplier", 1.0, _H, "0 to 2", infotext="Noise multiplier"),
    Option("img2img_extra_noise", 0.0, _H, "0 to 1", infotext="Extra noise"),
    Option("img2img_color_correction", False, _H, "the source's colours are brought back",
           infotext="Color correction"),
    Option("upscaler_for_img2img", None, _H, "a name of /sdapi/v1/upscalers; in place of Lanczos",
           infotext="Upscaler for img2img"),
    Option("ESRGAN_tile", 192, _H, "16 to 512 pixels that upscalers take at once, or what the device gives"),
    Option("ESRGAN_tile_overlap", 8, _H, "0 to 48, less than the tile"),
    Option("SWIN_tile", 192, _H, "as ESRGAN_tile, of SwinIR and Swin2SR"),
    Option("SWIN_tile_overlap", 8, _H, "0 to 48, less than the tile"),
    Option("DAT_tile", 192, _H, "as ESRGAN_tile, of DAT"),
    Option("DAT_tile_overlap", 8, _H, "0 to 48, less than the tile"),
    Option("SCUNET_tile", 256, _H, "as ESRGAN_tile, of ScuNET"),
    Option("SCUNET_tile_overlap", 8, _H, "0 to 48, less than the tile"),
    Option("interrogate_clip_num_beams", 1, _H, "1 to 16 sentences that are followed at once"),
    Option("interrogate_clip_min_length", 24, _H, "1 to 256 tokens of a sentence, with the four before it"),
    Option("interrogate_clip_max_length", 48, _H, "1 to 256 tokens of a sentence, with the four before it"),
    Option("interrogate_clip_dict_limit", 1500, _H, "lines of each list of words; 0 for all"),
    Option("interrogate_clip_skip_categories", [], _H, "names of lists of words that are left out"),
    Option("interrogate_deepbooru_score_threshold", 0.5, _H, "0 to 1: tags that are as sure"),
    Option("interrogate_return_ranks", False, _H, "each tag, and word of a list, with how sure it is"),
    Option("deepbooru_sort_alpha", True, _H, "tags by the alphabet; else the surest first"),
    Option("deepbooru_use_spaces", True, _H, "spaces in tags; else underscores"),
    Option("deepbooru_escape", True, _H, "a backslash before each bracket of a tag"),
    Option("deepbooru_filter_tags", "", _H, "tags that are left out, with commas between"),
    Option("save_init_img", False, _H, "true tells the source's MD5 in the infotext; it is not kept itself"),
    Option("img2img_background_color", "#ffffff", _H, "what shows where a source is transparent",
           infotext="Background color"),
    Option("inpainting_mask_weight", 1.0, _H, "0 to 1, for inpainting checkpoints",
           infotext="Conditional mask weight"),
    Option("extra_options_img2img", [], _H, "what the arguments of the script Extra options set"),
    Option("img2img_fix_steps", False, _H, "as many steps as are said, whatever the denoising strength",
           infotext="Fix steps"),
    Option("sd_vae_encode_method", "Full", _R,
           remark("encoded_in_full", "pictures are encoded in full"), infotext="VAE Encoder"),
    Option("use_old_hires_fix_width_height", False, _R,
           remark("size_of_first_pass", "width and height are the first pass's")),
    Option("api_enable_requests", True, _R,
           remark("no_address_fetched", "no address is fetched; send pictures as base64"), here=False),
    Option("postprocessing_enable_in_main_ui", [], _R,
           remark("no_postprocessing", "there is no postprocessing")),
    Option("auto_backcompat", True, _R, _OLD, here=False),
    Option("sd_unet", "Automatic", _R, remark("own_unet", "the checkpoint's own UNet draws")),
    Option("sd_hypernetwork", "None", _R, remark("no_hypernetworks", "there are no hypernetworks")),
    Option("sd_lora", "None", _R, remark("lora_in_prompt", "write `<lora:name:weight>` into the prompt")),
    Option("lora_functional", False, _R, _OLD),
    Option("enable_batch_seeds", True, _R,
           remark("same_in_batch", "a picture is the same alone and in a batch")),
    Option("comma_padding_backtrack", 20, _R,
           remark("wraps_at_comma", "texts wrap at one of the last 20 tokens' commas")),
    Option("sdxl_crop_top", 0, _R, remark("not_cropped", "SDXL is told of pictures that were not cropped")),
    Option("sdxl_crop_left", 0, _R, remark("not_cropped", "SDXL is told of pictures that were not cropped")),
    Option("sdxl_refiner_low_aesthetic_score", 2.5, _R, remark("score_fixed", "the score is fixed")),
    Option("sdxl_refiner_high_aesthetic_score", 6.0, _R, remark("score_fixed", "the score is fixed")),
    Option("sd_vae_overrides_per_model_preferences", True, _R,
           remark("chosen_vae", "a VAE that was chosen is used")),
    Option("sd_vae_decode_method", "Full", _R,
           remark("decoded_in_full", "pictures are decoded in full"), infotext="VAE Decoder"),
    Option("token_merging_ratio", 0.0, _R,
           remark("tokens_not_merged", "tokens are not merged"), infotext="Token merging ratio"),
    Option("token_merging_ratio_img2img", 0.0, _R, remark("tokens_not_merged", "tokens are not merged")),
    Option("token_merging_ratio_hr", 0.0, _R,
           remark("tokens_not_merged", "tokens are not merged"), infotext="Token merging ratio hr"),
    Option("overlay_inpaint", True, _R,
           remark("rest_laid_over", "what is not masked is laid over what was drawn")),
    Option("ddim_discretize", "uniform", _R, remark("timesteps_even", "timesteps are spread evenly")),
    Option("hires_fix_use_firstpass_conds", False, _R,
           remark("conds_of_pass", "the second pass reads the prompt by its own steps")),
    Option("hires_fix_refiner_pass", "second pass", _R,
           remark("refiner_in_second_pass", "with a second pass the refiner draws the end of that"),
           infotext="Hires refiner"),
    Option("refiner_switch_by_sample_steps", False, _R,
           remark("refiner_by_level", "the refiner begins by the noise level, not by the number of the step"),
           infotext="Refiner switch by sampling steps"),
    Option("return_mask", False, _T, remark("masks_not_sent", "masks are not sent back")),
    Option("return_mask_composite", False, _T, remark("masks_not_sent", "masks are not sent back")),
    Option("hypertile_enable_unet", False, _R,
           remark("no_hypertile", "there is no hypertile"), infotext="Hypertile U-Net"),
    Option("hypertile_enable_vae", False, _R,
           remark("no_hypertile", "there is no hypertile"), infotext="Hypertile VAE"),
    Option("pad_cond_uncond", False, _R,
           remark("padded_chunks", "texts are padded with empty chunks"), infotext="Pad conds"),
    Option("pad_cond_uncond_v0", False, _R,
           remark("padded_chunks", "texts are padded with empty chunks"), infotext="Pad conds v0"),
    Option("fp8_storage", "Disable", _R,
           remark("not_fp8", "weights are not narrowed to fp8"), infotext="FP8 weight"),
    Option("use_old_emphasis_implementation", False, _R, _OLD),
    Option("no_dpmpp_sde_batch_determinism", False, _R,
           remark("same_in_batch", "a picture is the same alone and in a batch")),
    Option("use_old_scheduling", False, _R, _OLD),
    Option("use_downcasted_alpha_bar", False, _R, _OLD, infotext="Downcast alphas_cumprod"),
    Option("sd_noise_schedule", "Default", _R,
           remark("own_noise_schedule", "the checkpoint's own is used"), infotext="Noise Schedule"),
)  # fmt: skip


def _kept() -> Iterable[Option]:
    for about, defaults in KEPT.items():
        for name, default in defaults.items():
            yield Option(name, default, Rule.KEPT, about)


OPTIONS: dict[str, Option] = {option.name: option for option in (*_TABLE, *_kept())}
_BY_INFOTEXT = {option.infotext: option for option in _TABLE if option.infotext}
# A1111 writes `Beta schedule alpha` and reads this
_BY_INFOTEXT |= {
    "Beta scheduler alpha": OPTIONS["beta_dist_alpha"], "Beta scheduler beta": OPTIONS["beta_dist_beta"],
}  # fmt: skip
_MODELS = {"sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers"}
