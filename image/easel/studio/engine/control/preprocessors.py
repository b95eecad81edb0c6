"""What makes of a picture the picture that a control model sees.

Names, labels, sliders and arithmetic are those of A1111's ControlNet extension. Some need weights of their
own, of which annotators.py has the files (HED, lineart, OpenPose, MiDaS, …). Others (PiDiNet, DensePose, …)
are not here: their map can be sent as it is, with `none`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from easel.remark import remark
from easel.studio.engine.errors import InvalidRequest

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]
RESOLUTION = 512
MAX_RESOLUTION = 2048
MIN_RESOLUTION = 64
_CALM = 256
# A picture of one pixel by ten thousand has a side of five million at the resolution of 512.
_MAX_SIDE = 8192


class Slider(NamedTuple):
    """A number that a preprocessor takes."""

    label: str
    value: float
    minimum: float
    maximum: float
    step: float = 1


@dataclass(frozen=True)
class Preprocessor:
    """One preprocessor: `module` is its name in requests, `label` on A1111's page, `tags` the control types
    that it serves. `resizes`: it works at a resolution of its own. `masked`: it wants a mask.
    `encodes`: for IP-Adapters, which read the picture themselves: by an image encoder, or its face.
    `keeps_colours`: large colours are held to the picture's in each step (see kept_colours.py).
    `refers`: no model, the UNet itself is shown the picture (see reference_attention.py)."""

    module: str
    label: str
    run: Callable[[Pixels, float, float], Pixels]
    tags: tuple[str, ...] = ()
    slider_a: Slider | None = None
    slider_b: Slider | None = None
    resizes: bool = False
    masked: bool = False
    encodes: bool = False
    keeps_colours: bool = False
    refers: bool = False

    @property
    def sliders(self) -> tuple[Slider, ...]:
        """Its numbers, as A1111's page shows them."""
        resolution = Slider("Resolution", RESOLUTION, MIN_RESOLUTION, MAX_RESOLUTION, 8)
        found = (resolution if self.resizes else None, self.slider_a, self.slider_b)
        return tuple(one for one in found if one is not None)

    def own_a(self, said: float) -> float:
        """`threshold_a`, or the preprocessor's own where that is out of its range."""
        return _own(self.slider_a, said)

    def own_b(self, said: float) -> float:
        """The same of `threshold_b`."""
        return _own(self.slider_b, said)

    def detect(self, image: Image, resolution: int, a: float, b: float) -> Pixels:
        """The map (height, width, 3) of a picture (RGB). Numbers out of range are the preprocessor's own."""
        pixels = at_resolution(image, resolution) if self.resizes else np.asarray(image)
        found = self.run(pixels, self.own_a(a), self.own_b(b))
        return found if found.ndim == 3 else np.repeat(found[..., None], 3, axis=2)


def at_resolution(image: Image, resolution: int) -> Pixels:
    """A picture with its shorter side so many pixels long; `RESOLUTION` where that is out of range."""
    from PIL import Image as pillow

    resolution = resolution if MIN_RESOLUTION <= resolution <= MAX_RESOLUTION else RESOLUTION
    factor = min(resolution / min(image.size), _MAX_SIDE / max(image.size))
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    way = pillow.Resampling.BICUBIC if factor > 1 else pillow.Resampling.BOX
    return np.asarray(image.resize(size, way))


def preprocessor(name: str) -> Preprocessor:
    """The preprocessor of this name or label, in any case. Raises InvalidRequest."""
    wanted = name.strip().lower()
    found = _BY_NAME.get(wanted)
    if found is None:
        raise InvalidRequest(
            "controlnet.module",
            name,
            remark(
                "a_preprocessor",
                "{names}. {why}",
                names=", ".join(one.module for one in PREPROCESSORS),
                why=_why(wanted),
            ),
        )
    return found


def _why(wanted: str) -> str:
    if wanted.startswith(("ip-adapter", "clip_vision", "revision", "instant_id", "pulid")):
        words = "Of pictures as prompts there are IP-Adapters, FaceID and InstantID, and no other"
        return remark("only_adapters", words)
    words = 'Others need networks that are not here: send the map itself as the image, with module "none"'
    return remark("send_the_map", words)


def _own(slider: Slider | None, value: float) -> float:
    if slider is None:
        return 0.0
    return value if slider.minimum <= value <= slider.maximum else slider.value


def _as_it_is(pixels: Pixels, a: float, b: float) -> Pixels:
    return pixels


def _inverted(pixels: Pixels, a: float, b: float) -> Pixels:
    return 255 - pixels


def _canny(pixels: Pixels, a: float, b: float) -> Pixels:
    from easel.studio.engine.control.edges import canny

    return canny(pixels, a, b)


def _threshold(pixels: Pixels, a: float, b: float) -> Pixels:
    return np.where(pixels.min(axis=2) > a, np.uint8(255), np.uint8(0))


def _scribble_xdog(pixels: Pixels, a: float, b: float) -> Pixels:
    """Difference of Gaussians: dark lines where a picture is darker than its surroundings."""
    difference = _blurred(pixels, 5.0) - _blurred(pixels, 0.5)
    darker = (255 - difference.min(axis=2)).clip(0, 255).astype(np.uint8)
    return np.where(2 * (255 - darker.astype(int)) > a, np.uint8(255), np.uint8(0))


def _lineart(pixels: Pixels, a: float, b: float) -> Pixels:
    darker = (_blurred(pixels, 6.0) - pixels).min(axis=2).clip(0, 255)
    seen = darker[darker > 8]
    strength = max(16.0, float(np.median(seen))) if seen.size else 16.0
    return np.asarray((darker / strength * 127).clip(0, 255), np.uint8)


def _tile(pixels: Pixels, a: float, b: float) -> Pixels:
    from PIL import Image as pillow

    if a < 1.1:
        return pixels
    height, width = pixels.shape[:2]
    size = max(1, int(width / a)), max(1, int(height / a))
    return np.asarray(pillow.fromarray(pixels).resize(size, pillow.Resampling.BOX))


def _gaussian(pixels: Pixels, a: float, b: float) -> Pixels:
    return _blurred(pixels, a).round().clip(0, 255).astype(np.uint8)


def _luminance(pixels: Pixels, a: float, b: float) -> Pixels:
    """Lightness (CIE L*) to the power of gamma."""
    from easel.studio.engine.imaging.color import to_lab

    return _raised(to_lab(pixels)[..., 0] / 255.0, a)


def _intensity(pixels: Pixels, a: float, b: float) -> Pixels:
    """The brightest colour (HSV's value) to the power of gamma."""
    return _raised(pixels.max(axis=2) / 255.0, a)


def _raised(share: NDArray[np.float64], gamma: float) -> Pixels:
    return (share**gamma * 255.0).clip(0, 255).astype(np.uint8)


def _colour_grid(pixels: Pixels, a: float, b: float) -> Pixels:
    """One colour for each 64 pixels."""
    from PIL import Image as pillow

    image = pillow.fromarray(pixels)
    few = image.resize((max(1, image.width // 64), max(1, image.height // 64)), pillow.Resampling.BICUBIC)
    return np.asarray(few.resize(image.size, pillow.Resampling.NEAREST))


def _shuffled(pixels: Pixels, a: float, b: float) -> Pixels:
    """The same colours elsewhere, along smooth curves: the same way each time, where the extension takes the
    picture's seed."""
    from scipy import ndimage

    height, width = pixels.shape[:2]
    chance = np.random.default_rng(0)
    places = [
        _smooth_noise(chance, height, width) * (height - 1),
        _smooth_noise(chance, height, width) * (width - 1),
    ]
    moved = [ndimage.map_coordinates(one.astype(np.float32), places, order=1, mode="nearest")
             for one in np.moveaxis(pixels, 2, 0)]  # fmt: skip
    return np.stack(moved, axis=2).round().clip(0, 255).astype(np.uint8)


def _smooth_noise(chance: np.random.Generator, height: int, width: int) -> NDArray[np.float64]:
    """(height, width), 0 to 1: a random number for every 256 pixels, by cubic curves between them, as OpenCV
    draws them."""
    import torch
    import torch.nn.functional as F

    few = torch.from_numpy(chance.uniform(size=(1, 1, height // _CALM + 2, width // _CALM + 2)))
    fine = F.interpolate(few, (height + 2 * _CALM, width + 2 * _CALM), mode="bicubic")
    found: NDArray[np.float64] = fine[0, 0, _CALM : _CALM + height, _CALM : _CALM + width].numpy()
    found = found - found.min()
    return found / max(float(found.max()), 1e-9)


def _blurred(pixels: Pixels, sigma: float) -> NDArray[np.float32]:
    """OpenCV's blur of decimal numbers: it reaches four sigmas, and mirrors without the edge's own pixel."""
    from scipy import ndimage

    reach = int(sigma * 4 + 0.5)
    found: NDArray[np.float32] = ndimage.gaussian_filter(
        pixels.astype(np.float32), (sigma, sigma, 0), mode="mirror", radius=(reach, reach, 0)
    )
    return found


_VARIATION = Slider("Variation", 8.0, 3.0, 32.0)
_GAMMA = Slider("Gamma Correction", 1.0, 0.1, 2.0, 0.001)
_FIDELITY = Slider("Style Fidelity", 0.5, 0.0, 1.0, 0.01)
# Read by InsightFace's networks.
_BY_FACE = (
    ("ip-adapter_face_id", "IP-Adapter"), ("ip-adapter_face_id_plus", "IP-Adapter"),
    ("instant_id_face_embedding", "Instant-ID"),
)  # fmt: skip
_REFERENCES = ("reference_only", "reference_adain", "reference_adain+attn")
# Their networks are annotators.py's, which sets what they run.
_BY_NETWORK = (
    ("softedge_hed", "softedge_hed", "SoftEdge"), ("softedge_hedsafe", "softedge_hedsafe", "SoftEdge"),
    ("softedge_teed", "softedge_teed", "SoftEdge"), ("mlsd", "mlsd", "MLSD"),
    ("lineart", "lineart_realistic", "Lineart"), ("lineart_coarse", "lineart_coarse", "Lineart"),
    ("lineart_anime", "lineart_anime", "Lineart"), ("depth_anything", "depth_anything", "Depth"),
    ("depth_anything_v2", "depth_anything_v2", "Depth"), ("depth_midas", "depth_midas", "Depth"),
    ("depth_leres", "depth_leres", "Depth"), ("depth_leres++", "depth_leres++", "Depth"),
    ("depth_zoe", "depth_zoe", "Depth"),
    ("openpose", "openpose", "OpenPose"), ("openpose_hand", "openpose_hand", "OpenPose"),
    ("openpose_face", "openpose_face", "OpenPose"), ("openpose_faceonly", "openpose_faceonly", "OpenPose"),
    ("openpose_full", "openpose_full", "OpenPose"), ("dw_openpose_full", "dw_openpose_full", "OpenPose"),
    ("scribble_hed", "scribble_hed", "Scribble"), ("oneformer_ade20k", "seg_ofade20k", "Segmentation"),
    ("oneformer_coco", "seg_ofcoco", "Segmentation"), ("segmentation", "seg_ufade20k", "Segmentation"),
    ("normal_bae", "normal_bae", "NormalMap"), ("normal_midas", "normal_midas", "NormalMap"),
    ("instant_id_face_keypoints", "instant_id_face_keypoints", "Instant-ID"),
)  # fmt: skip
_ENDS = (Slider("Remove Near %", 0, 0, 100, 0.1), Slider("Remove Background %", 0, 0, 100, 0.1))
_NUMBERS: dict[str, tuple[Slider, Slider | None]] = {
    "softedge_teed": (Slider("Safe Steps", 2, 0, 10), None),
    "mlsd": (Slider("MLSD Value Threshold", 0.1, 0.01, 2.0, 0.01),
             Slider("MLSD Distance Threshold", 0.1, 0.01, 20.0, 0.01)),
    "depth_leres": _ENDS, "depth_leres++": _ENDS,
    "normal_midas": (Slider("Normal Background Threshold", 0.4, 0.0, 1.0, 0.01), None),
}  # fmt: skip
_NONE = (None, None)
_LINES = "(from white bg & black line)"
PREPROCESSORS: tuple[Preprocessor, ...] = (
    Preprocessor("none", "none", _as_it_is),
    Preprocessor("canny", "canny", _canny, ("Canny",), Slider("Low Threshold", 100, 1, 255),
                 Slider("High Threshold", 200, 1, 255), resizes=True),
    Preprocessor("invert", f"invert {_LINES}", _inverted, ("Canny", "Lineart", "Scribble", "MLSD")),
    Preprocessor("threshold", "threshold", _threshold, (), Slider("Binarization Threshold", 127, 0, 255),
                 resizes=True),
    Preprocessor("scribble_xdog", "scribble_xdog", _scribble_xdog, ("Scribble",),
                 Slider("XDoG Threshold", 32, 1, 64), resizes=True),
    Preprocessor("lineart_standard", f"lineart_standard {_LINES}", _lineart, ("Lineart",), resizes=True),
    Preprocessor("tile_resample", "tile_resample", _tile, ("Tile",),
                 Slider("Down Sampling Rate", 1.0, 1.0, 8.0, 0.01)),
    Preprocessor("tile_colorfix", "tile_colorfix", _as_it_is, ("Tile",), _VARIATION, keeps_colours=True),
    Preprocessor("tile_colorfix+sharp", "tile_colorfix+sharp", _as_it_is, ("Tile",), _VARIATION,
                 Slider("Sharpness", 1.0, 0.0, 2.0, 0.01), keeps_colours=True),
    Preprocessor("blur_gaussian", "blur_gaussian", _gaussian, ("Tile",),
                 Slider("Sigma", 9.0, 0.01, 64.0, 0.01), resizes=True),
    Preprocessor("inpaint", "inpaint_global_harmonious", _as_it_is, ("Inpaint",), masked=True),
    Preprocessor("inpaint_only", "inpaint_only", _as_it_is, ("Inpaint",), masked=True),
    Preprocessor("recolor_luminance", "recolor_luminance", _luminance, ("Recolor",), _GAMMA),
    Preprocessor("recolor_intensity", "recolor_intensity", _intensity, ("Recolor",), _GAMMA),
    Preprocessor("shuffle", "shuffle", _shuffled, ("Shuffle",), resizes=True),
    Preprocessor("color", "t2ia_color_grid", _colour_grid, ("T2I-Adapter",)),
    Preprocessor("ip-adapter-auto", "ip-adapter-auto", _as_it_is, ("IP-Adapter",), encodes=True),
    Preprocessor("ip-adapter_clip_sd15", "ip-adapter_clip_h", _as_it_is, ("IP-Adapter",), encodes=True),
    Preprocessor("ip-adapter_clip_sdxl", "ip-adapter_clip_g", _as_it_is, ("IP-Adapter",), encodes=True),
    *(Preprocessor(one, one, _as_it_is, (tag,), encodes=True) for one, tag in _BY_FACE),
    *(Preprocessor(one, label, _as_it_is, (tag,), _NUMBERS.get(one, _NONE)[0], _NUMBERS.get(one, _NONE)[1],
                   resizes=True) for one, label, tag in _BY_NETWORK),
    *(Preprocessor(one, one, _as_it_is, ("Reference",), _FIDELITY, refers=True) for one in _REFERENCES),
)  # fmt: skip
# What the extension's older releases and Forge call some of them.
_OTHER_NAMES = {
    "hed": "softedge_hed", "hed_safe": "softedge_hedsafe", "fake_scribble": "scribble_hed",
    "depth": "depth_midas", "midas": "depth_midas", "normal_map": "normal_midas",
    "binary": "threshold", "ip-adapter_clip_sdxl_plus_vith": "ip-adapter_clip_sd15",
    "clip-vit-h (ipadapter)": "ip-adapter_clip_sd15", "clip-vit-bigg (ipadapter)": "ip-adapter_clip_sdxl",
    "insightface+clip-h (ipadapter)": "ip-adapter_face_id_plus",
    "insightface (instantid)": "instant_id_face_embedding",
}  # fmt: skip
_BY_NAME = {name.lower(): one for one in PREPROCESSORS for name in (one.module, one.label)}
_BY_NAME |= {name: _BY_NAME[one] for name, one in _OTHER_NAMES.items()}
