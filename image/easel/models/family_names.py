"""The families that the studio draws with, by name."""

from __future__ import annotations

from enum import StrEnum


class Architecture(StrEnum):
    """The families that the studio draws with.

    The value is the name of the family's folder in the package.
    """

    STARTER = "starter"
    SD1 = "sd1"
    SD1_INPAINT = "sd1-inpaint"
    SD2 = "sd2"
    SD2_V = "sd2-v"
    SD2_INPAINT = "sd2-inpaint"
    SDXL = "sdxl"
    SDXL_V = "sdxl-v"
    SDXL_INPAINT = "sdxl-inpaint"
    SDXL_REFINER = "sdxl-refiner"
    SD3 = "sd3"
    SD35_MEDIUM = "sd35-medium"
    SD35_LARGE = "sd35-large"
    FLUX_DEV = "flux-dev"
    FLUX_SCHNELL = "flux-schnell"
    FLUX_FILL = "flux-fill"
    FLUX_KONTEXT = "flux-kontext"
    CHROMA = "chroma"
    Z_IMAGE = "z-image"
    Z_IMAGE_TURBO = "z-image-turbo"
    FLUX2 = "flux2"
    FLUX2_KLEIN_4B = "flux2-klein-4b"
    FLUX2_KLEIN_9B = "flux2-klein-9b"
    QWEN_IMAGE = "qwen-image"
    QWEN_IMAGE_EDIT = "qwen-image-edit"

    @property
    def flow(self) -> bool:
        """Whether its transformer predicts a flow; else its UNet predicts the noise or the velocity."""
        return self not in _UNETS

    @property
    def family(self) -> str:
        """The family without what was trained differently: what LoRAs and the like are made for.

        A LoRA of SD 1.x fits its inpainting models, one of FLUX.1 dev also Kontext and Fill.
        """
        return _FAMILIES.get(self, self.value)


_UNETS = frozenset({
    Architecture.STARTER, Architecture.SD1, Architecture.SD1_INPAINT, Architecture.SD2, Architecture.SD2_V,
    Architecture.SD2_INPAINT, Architecture.SDXL, Architecture.SDXL_V, Architecture.SDXL_INPAINT,
    Architecture.SDXL_REFINER,
})  # fmt: skip
_FAMILIES = {
    Architecture.SD1_INPAINT: "sd1",
    Architecture.SD2_V: "sd2",
    Architecture.SD2_INPAINT: "sd2",
    Architecture.SDXL_V: "sdxl",
    Architecture.SDXL_INPAINT: "sdxl",
    Architecture.SD35_MEDIUM: "sd3",
    Architecture.SD35_LARGE: "sd3",
    Architecture.FLUX_DEV: "flux",
    Architecture.FLUX_SCHNELL: "flux",
    Architecture.FLUX_FILL: "flux",
    Architecture.FLUX_KONTEXT: "flux",
    Architecture.Z_IMAGE_TURBO: "z-image",
    Architecture.FLUX2_KLEIN_4B: "flux2",
    Architecture.FLUX2_KLEIN_9B: "flux2",
    Architecture.QWEN_IMAGE_EDIT: "qwen-image",
}
