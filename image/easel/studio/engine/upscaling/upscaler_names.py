"""Upscalers of pixels by the names that A1111's clients know: its own three, and files of the store."""

from __future__ import annotations

import re
from dataclasses import dataclass

from easel.models import Kind, ModelFile, Store, UnknownModel
from easel.remark import remark
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.imaging import LATENT_UPSCALE_MODES, PIXEL_UPSCALERS

# A1111 fetches these files itself and gives them names of its own, which infotexts and clients say.
_PUBLISHED = {
    "RealESRGAN_x4plus": "R-ESRGAN 4x+",
    "RealESRGAN_x4plus_anime_6B": "R-ESRGAN 4x+ Anime6B",
    "RealESRGAN_x2plus": "R-ESRGAN 2x+",
    "realesr-general-x4v3": "R-ESRGAN General 4xV3",
    "realesr-general-wdn-x4v3": "R-ESRGAN General WDN 4xV3",
    "realesr-animevideov3": "R-ESRGAN AnimeVideo",
    "ESRGAN": "ESRGAN_4x",
    "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN": "SwinIR 4x",
    "DAT_x2": "DAT x2",
    "DAT_x3": "DAT x3",
    "DAT_x4": "DAT x4",
}
_REALESRGAN = "R-ESRGAN"
_SCALE = re.compile(r"(?<![a-z0-9])(?:x(\d)|(\d)x)", re.IGNORECASE)
# What A1111 says of every upscaler that does not tell.
_USUAL_SCALE = 4


@dataclass(frozen=True)
class Upscaler:
    """One upscaler; `file` is None for those that need none."""

    name: str
    file: ModelFile | None = None

    @property
    def scale(self) -> int:
        """How many times larger a pass makes a picture, as far as the names tell; the file itself is not
        opened."""
        for name in (self.name, self.file.stem if self.file else ""):
            if found := _SCALE.search(name):
                return int(found[1] or found[2]) or _USUAL_SCALE
        return _USUAL_SCALE

    @property
    def realesrgan(self) -> bool:
        """Whether it is one of those that A1111 lists as RealESRGAN models."""
        return self.name.startswith(_REALESRGAN)


def upscalers(store: Store) -> list[Upscaler]:
    """All there are: A1111's own, then files by name."""
    files = [Upscaler(_PUBLISHED.get(one.stem, one.model_name), one) for one in store.files(Kind.UPSCALER)]
    return [*(Upscaler(name) for name in PIXEL_UPSCALERS), *files]


def find_upscaler(store: Store, field: str, name: str) -> Upscaler:
    """The upscaler that A1111 would take for `name`, or a file by any of its names. `field` is that of the
    request that it came in, for InvalidRequest."""
    known = upscalers(store)
    for one in known:
        if one.name == name:
            return one
    try:
        file = store.find(Kind.UPSCALER, name)
    except UnknownModel as error:
        latent = list(LATENT_UPSCALE_MODES) if field == "hr_upscaler" else []
        names = ", ".join([*latent, *(one.name for one in upscalers(store))])
        raise InvalidRequest(
            field,
            name,
            remark(
                "an_upscaler_of",
                "{names}; files of {folder} are found by their names",
                names=names,
                folder=f"models/{Kind.UPSCALER.folder}",
            ),
        ) from error
    return next((one for one in upscalers(store) if one.file == file), Upscaler(file.model_name, file))
