"""The `info` of an answer: A1111's record of what was drawn."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from easel.studio.api.requests.ordering import SubmittedRequest
from easel.studio.api.requests.result import Result
from easel.studio.checkpoint_defaults import predicts_flow
from easel.studio.infotext import VERSION, lora_hashes, ti_hashes
from easel.studio.infotext_drawing import sampling_parameters, schedule_type
from easel.studio.infotext_passes import pass_parameters, strength


def information(
    first_request: SubmittedRequest, result: Result, notes: list[str], started: datetime
) -> dict[str, Any]:
    """All keys that A1111 gives, of the pictures that were drawn."""
    job = first_request.job
    request = job.request
    pictures = [one.drawn for one in result.drawn]
    first = pictures[0] if pictures else job
    checkpoint, vae = first.drawn_with, first.vae
    flow = predicts_flow(checkpoint)
    seeds = [picture.seed for picture in pictures]
    subseeds = [picture.subseed for picture in pictures]
    extra: dict[str, Any] = {
        "Schedule type": schedule_type(request, flow=flow),
        **sampling_parameters(request, flow=flow, others=first_request.parameters),
        **pass_parameters(request, flow=flow),
        **first_request.parameters,
    }
    if pictures:
        extra |= {
            key: text
            for key, text in (
                ("Lora hashes", lora_hashes(pictures[0])),
                ("TI hashes", ti_hashes(pictures[0])),
            )
            if text
        }
    return {
        "prompt": request.prompt,
        "all_prompts": [one.request.prompt for one in pictures],
        "negative_prompt": request.negative_prompt,
        "all_negative_prompts": [one.request.negative_prompt for one in pictures],
        "seed": seeds[0] if seeds else request.seed,
        "all_seeds": seeds,
        "subseed": subseeds[0] if subseeds else request.subseed,
        "all_subseeds": subseeds,
        "subseed_strength": request.subseed_strength,
        "width": request.width,
        "height": request.height,
        "sampler_name": request.sampler,
        "cfg_scale": request.cfg_scale,
        "steps": request.steps,
        "batch_size": request.batch_size,
        "restore_faces": request.faces is not None,
        "face_restoration_model": request.faces.model if request.faces else None,
        "sd_model_name": checkpoint.model_name,
        "sd_model_hash": checkpoint.hash,
        "sd_vae_name": vae.name if vae else None,
        "sd_vae_hash": vae.hash if vae else None,
        "seed_resize_from_w": request.seed_resize_from_w,
        "seed_resize_from_h": request.seed_resize_from_h,
        "denoising_strength": strength(request),
        "extra_generation_params": extra,
        "index_of_first_image": len(result.grids),
        "infotexts": [one.text for one in result.listed],
        "styles": first_request.body.styles,
        "job_timestamp": started.strftime("%Y%m%d%H%M%S"),
        "clip_skip": request.clip_skip,
        "is_using_inpainting_conditioning": False,
        "version": VERSION,
        # Ours: what of the prompt was passed over, and why.
        "comments": notes,
    }
