"""A thousand infotexts as the studio writes them, over all that a request can say: read by sd-parsers, which
knows nothing of Easel, and by our own reader."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

from PIL import Image
from sd_parsers import ParserManager

from easel.models import Kind, ModelFile
from easel.studio.engine import (
    RANDN_SOURCES,
    SAMPLERS,
    SCHEDULE_TYPES,
    Drawn,
    EmbeddingUse,
    EmphasisMode,
    HiresFix,
    ImageToImage,
    LoraUse,
    Mask,
    MaskedContent,
    Refiner,
    SamplerSettings,
    TextToImage,
)
from easel.studio.infotext import describe, parameters, parse
from easel.studio.png import encode

BLANK = Image.new("RGB", (8, 8))
WORDS = (
    "a red circle",
    "(blue:1.2)", "[dog|cat]", "[red:green:0.5]", r"escaped \(bracket\)", "größer ★", "赤い丸",
    'say "hi": loudly', "<lora:chalk:0.8>", "two\nlines", "BREAK", "masterpiece AND forest :0.7", "50% off",
    "path\\to\\it", "tab\there", "Size: small", "{a, b}", "'quoted'", "=", "#1", "e.g. this",
)  # fmt: skip
NAMES = ("dream shaper", "anime, v2", "model: final", 'a "b"', "größe", "x-y_z.1", "モデル")


def model_file(r: random.Random, kind: Kind) -> ModelFile:
    name = f"{r.choice(NAMES)}.safetensors"
    digest = r.choice(["", f"{r.getrandbits(256):064x}"])
    return ModelFile(Path(name), name, kind, 1, 1.0, digest)


def prompt(r: random.Random, least: int = 0) -> str:
    return ", ".join(r.sample(WORDS, r.randint(least, 6)))


def maybe(r: random.Random, value: Any, otherwise: Any = None) -> Any:
    return value if r.random() < 0.5 else otherwise


def sampling(r: random.Random) -> SamplerSettings:
    return SamplerSettings(
        eta_ancestral=round(r.random(), 3),
        eta_ddim=round(r.random(), 3),
        s_churn=round(r.uniform(0, 100), 2),
        s_tmin=r.uniform(0, 10),
        s_tmax=r.uniform(0, 1000),
        s_noise=r.uniform(0, 2),
        sigma_min=maybe(r, r.random(), 0.0),
        sigma_max=maybe(r, r.uniform(2, 100), 0.0),
        rho=maybe(r, r.uniform(1, 9), 0.0),
        always_discard_next_to_last_sigma=r.random() < 0.5,
        sgm_noise_multiplier=r.random() < 0.5,
        uni_pc_variant=r.choice(["bh1", "bh2", "vary_coeff"]),
        uni_pc_order=r.randint(1, 5),
        img2img_extra_noise=maybe(r, round(r.random(), 2), 0.0),
        skip_early_cond=maybe(r, round(r.random(), 2), 0.0),
        s_min_uncond=maybe(r, round(r.uniform(0, 15), 2), 0.0),
        s_min_uncond_all=r.random() < 0.5,
    )


def source(r: random.Random) -> ImageToImage:
    blur = r.randint(0, 64)
    mask = Mask(
        image=b"",
        invert=r.random() < 0.5,
        blur_x=blur,
        blur_y=maybe(r, blur, 3),
        content=r.choice(list(MaskedContent)),
        only_masked=r.random() < 0.5,
        padding=r.randint(0, 256),
    )
    return ImageToImage(
        images=(b"",),
        denoising_strength=r.choice([0, 1, 0.75, r.random()]),
        mask=maybe(r, mask),
        noise_multiplier=maybe(r, r.uniform(0, 1.5), 1.0),
        mask_weight=maybe(r, r.random(), 1.0),
        init_hash=maybe(r, f"{r.getrandbits(128):032x}", ""),
    )


def hires(r: random.Random) -> HiresFix:
    return HiresFix(
        denoising_strength=r.random(),
        upscaler=r.choice(["Latent", "Latent (nearest-exact)", "R-ESRGAN 4x+", *NAMES]),
        scale=r.uniform(1, 2),
        resize_x=maybe(r, r.randint(64, 2048), 0),
        resize_y=maybe(r, r.randint(64, 2048), 0),
        steps=maybe(r, r.randint(1, 150), 0),
        sampler=maybe(r, r.choice(SAMPLERS).name),
        checkpoint=maybe(r, r.choice(NAMES)),
        prompt=prompt(r),
        negative_prompt=prompt(r),
        cfg_scale=maybe(r, r.uniform(1, 30)),
    )


def drawn(seed: int) -> Drawn:
    """A picture that nobody drew, of which anything may be so."""
    r = random.Random(seed)
    kind = r.choice(["text", "source", "hires"])
    request = TextToImage(
        prompt=prompt(r, 1),
        negative_prompt=prompt(r),
        sampler=r.choice(SAMPLERS).name,
        schedule_type=r.choice(SCHEDULE_TYPES).label,
        steps=r.randint(1, 150),
        cfg_scale=r.choice([1, 7, 7.5, -3, round(r.uniform(0, 30), 6)]),
        width=r.randrange(64, 2048, 8),
        height=r.randrange(64, 2048, 8),
        subseed_strength=maybe(r, r.random(), 0.0),
        seed_resize_from_w=r.randint(-1, 2048),
        seed_resize_from_h=r.randint(-1, 2048),
        randn_source=r.choice(RANDN_SOURCES),
        eta_noise_seed_delta=maybe(r, r.getrandbits(63), 0),
        sampling=sampling(r),
        emphasis=r.choice(list(EmphasisMode)),
        clip_skip=r.randint(1, 12),
        tiling=r.random() < 0.5,
        source=source(r) if kind == "source" else None,
        hires=hires(r) if kind == "hires" else None,
        refiner=maybe(r, Refiner(checkpoint=r.choice(NAMES), switch_at=r.random())),
    )
    loras = [LoraUse(name, model_file(r, Kind.LORA), 1.0, 1.0, hash=f"{r.getrandbits(48):012x}")
             for name in r.sample(NAMES, r.randint(0, 3))]  # fmt: skip
    embeddings = [EmbeddingUse(name, model_file(r, Kind.EMBEDDING), hash=f"{r.getrandbits(48):012x}")
                  for name in r.sample(NAMES, r.randint(0, 2))]  # fmt: skip
    return Drawn(
        index=0,
        image=BLANK,
        seed=r.getrandbits(r.choice([8, 32, 63])),
        subseed=r.getrandbits(32),
        request=request,
        checkpoint=model_file(r, Kind.CHECKPOINT),
        vae=maybe(r, model_file(r, Kind.VAE)),
        template=maybe(r, (prompt(r), ""), ("", "")),
        loras=tuple(loras),
        embeddings=tuple(embeddings),
    )


def as_read(text: str) -> str:
    """Without the space that A1111 takes off at the ends of lines."""
    return "\n".join(line.strip() for line in text.split("\n")).strip()


def see_that_all_read_it(number: int) -> None:
    picture = drawn(number)
    request, text = picture.request, describe(picture)
    mine = parse(text)
    assert (mine.prompt, mine.negative_prompt) == (as_read(request.prompt), as_read(request.negative_prompt))
    assert mine.parameters == {key: str(value) for key, value in parameters(picture).items()}, text
    fields = mine.request()
    assert (fields["steps"], fields["seed"], fields["sampler_name"]) == (
        request.steps,
        picture.seed,
        request.sampler,
    )
    assert (fields["width"], fields["height"]) == (request.width, request.height)

    theirs = ParserManager().parse(io.BytesIO(encode(BLANK, text)))
    assert [as_read(one.value) for one in theirs.prompts] == [as_read(request.prompt)], text
    negative = [as_read(one.value) for one in theirs.negative_prompts]
    assert negative == [as_read(request.negative_prompt)] * bool(request.negative_prompt), text
    (sampler,) = theirs.samplers
    assert sampler.name == request.sampler
    assert str(sampler.parameters["steps"]) == str(request.steps)
    assert str(sampler.parameters["seed"]) == str(picture.seed)
    name = picture.drawn_with.model_name
    # It knows no quotes, which A1111 writes around such names as well.
    if not set(name) & set(',:"'):
        assert [one.name for one in theirs.models] == [name], text


def test_a_thousand_infotexts() -> None:
    """The same thousand each time, over all fields."""
    for number in range(1000):
        see_that_all_read_it(number)
