"""Pictures and masks around the drawing, as A1111 1.10 computes them: PIL and NumPy, no model, no torch.

`prepare` and `Prepared.finished` are img2img and inpainting from end to end; the rest is for scripts,
upscaling and grids.
"""

from easel.studio.engine.imaging.color import corrected, flattened
from easel.studio.engine.imaging.face_areas import AreaChoice, AreaOrder, FaceArea, MergedAreas, area_masks
from easel.studio.engine.imaging.fill import MaskedContent, latent_noise, latent_nothing
from easel.studio.engine.imaging.grid import image_grid, rows_of_grid
from easel.studio.engine.imaging.inpaint import BLANK_MASK, Inpainting, Prepared, prepare
from easel.studio.engine.imaging.mask import CropRegion, mask_from
from easel.studio.engine.imaging.outpaint import (
    Margins,
    Mk2Step,
    OutpaintTile,
    PoorMansOutpainting,
    Side,
    margins,
    mk2_step,
    poor_mans,
)
from easel.studio.engine.imaging.resize import Enlarger, ResizeMode, resized
from easel.studio.engine.imaging.soft_inpainting import INFOTEXT_KEYS, SoftInpainting, blended, overlay_mask
from easel.studio.engine.imaging.tiling import TileGrid, tile_grid
from easel.studio.engine.imaging.upscale import (
    LATENT_UPSCALE_MODES,
    MAX_PIXELS,
    PIXEL_UPSCALERS,
    LatentUpscaleMode,
    TooManyPixels,
    upscaled,
    upscaled_size,
    upscaling,
)
