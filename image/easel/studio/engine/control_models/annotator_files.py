"""Which files of the store each preprocessor needs, and how its map is read from what they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from easel.models import Kind, ModelFile, Store
from easel.remark import remark
from easel.studio.engine.control.ade_colours import ADE_COLOURS
from easel.studio.engine.control.annotator_networks import AnimeDrawing, Depth, LineDrawing, SoftEdges
from easel.studio.engine.control.body_pose import BodyPose
from easel.studio.engine.control.boosted_depth import BoostedDepth, DepthMerging
from easel.studio.engine.control.coco_colours import COCO_COLOURS
from easel.studio.engine.control.distilled_pose import DistilledPose, PersonPoints
from easel.studio.engine.control.face_identity import FaceIdentity
from easel.studio.engine.control.face_map import FaceMap
from easel.studio.engine.control.face_points import FacePoints
from easel.studio.engine.control.leres_depth import LeresDepth, without_ends
from easel.studio.engine.control.map_reading import as_scribble, in_safe_steps, in_steps
from easel.studio.engine.control.midas_depth import MidasDepth, as_nearness, as_normals
from easel.studio.engine.control.oneformer_segments import OneformerSegments
from easel.studio.engine.control.person_boxes import PersonBoxes
from easel.studio.engine.control.pose_parts import PartMaps
from easel.studio.engine.control.preprocessors import Pixels
from easel.studio.engine.control.straight_lines import StraightLines, drawn_lines
from easel.studio.engine.control.surface_normals import SurfaceNormals
from easel.studio.engine.control.thin_edges import ThinEdges
from easel.studio.engine.control.uniformer_segments import UniformerSegments
from easel.studio.engine.control.whole_pose import WholePose
from easel.studio.engine.control.zoe_depth import ZoeDepth, nearness
from easel.studio.engine.errors import InvalidRequest

_CONVERTED = (
    "`easel models convert --type image_encoder` makes it of the published file, in lllyasviel/Annotators"
)


@dataclass(frozen=True)
class AnnotatorFile:
    """One file: how its name may begin, what to tell who has none, and its network."""

    stems: tuple[str, ...]
    named: str
    build: Callable[[Mapping[str, torch.Tensor]], Any]

    def fits(self, stem: str) -> bool:
        """Whether a file of this name is one."""
        return stem.lower().replace("-", "_") in self.stems

    def first(self, store: Store) -> ModelFile | None:
        """The first of the store that fits."""
        return next((one for one in store.files(Kind.IMAGE_ENCODER) if self.fits(one.stem)), None)

    def find(self, store: Store, module: str) -> ModelFile:
        """The same. Raises InvalidRequest that says which to add."""
        found = self.first(store)
        if found is not None:
            return found
        raise InvalidRequest(
            "controlnet.module",
            module,
            remark(
                "needs_annotator",
                "a preprocessor whose file is in {folder}: this one needs {file}. Or send the map itself as "
                'the image, with module "none"',
                folder=f"models/{Kind.IMAGE_ENCODER.folder}",
                file=self.named,
            ),
        )


@dataclass(frozen=True)
class Annotator:
    """What a preprocessor is made of. With several files, `together` makes one network of theirs. `read`
    makes a map, 0 to 1 or bytes, of what it gives, by the preprocessor's two numbers; `finish` another one.
    """

    files: tuple[AnnotatorFile, ...]
    together: Callable[..., Any] | None = None
    read: Callable[[torch.Tensor, float, float], torch.Tensor] | None = None
    finish: Callable[[Pixels], Pixels] | None = None


def _sizes(*starts: str) -> tuple[str, ...]:
    """Names of Depth Anything's files, of each size."""
    ends = ("", "_small", "_base", "_large", "_small_hf", "_base_hf", "_large_hf", "_vits", "_vitb", "_vitl")
    return tuple(start + end for start in starts for end in ends)


def _published(name: str, build: Callable[[Mapping[str, torch.Tensor]], Any], *others: str) -> AnnotatorFile:
    stems = tuple(one.lower().replace("-", "_") for one in (name, *others))
    return AnnotatorFile(stems, f"{name}.safetensors ({_CONVERTED})", build)


def _onnx(
    name: str, build: Callable[[Mapping[str, torch.Tensor]], Any], where: str, *others: str
) -> AnnotatorFile:
    words = f"{name}.safetensors (`easel models convert` makes it of {name}.onnx, in {where})"
    stems = tuple(one.lower().replace("-", "_") for one in (name, *others))
    return AnnotatorFile(stems, words, build)


def _oneformer(
    data: str, published: str, colours: NDArray[np.uint8], sides: tuple[int, int]
) -> AnnotatorFile:
    name = f"oneformer_{data}_swin_large"
    words = (
        f"{name}.safetensors (`easel models convert --type image_encoder` makes it of pytorch_model.bin of "
        f"shi-labs/{name}, or of {published}.pth in lllyasviel/Annotators)"
    )
    build = partial(OneformerSegments, colours=colours, sides=sides)
    return AnnotatorFile((name, f"oneformer_{data}", published), words, build)


_HED = (_published("ControlNetHED", SoftEdges, "network_bsds500"),)
_MIDAS = (_published("dpt_hybrid-midas-501f0c75", MidasDepth, "dpt_hybrid_midas", "dpt_hybrid"),)
_TEED = AnnotatorFile(
    ("7_model", "5_model", "teed"),
    "7_model.safetensors (`easel models convert --type image_encoder` makes it of TEED's 7_model.pth)",
    ThinEdges,
)
_SEGMENTS = AnnotatorFile(
    ("upernet_global_small",),
    "upernet_global_small.safetensors (`easel models convert --type image_encoder` makes it of the published "
    "file, in lllyasviel/ControlNet's annotator/ckpts)",
    UniformerSegments,
)
_OF_ADE20K = _oneformer("ade20k", "250_16_swin_l_oneformer_ade20k_160k", ADE_COLOURS, (640, 2560))
_OF_COCO = _oneformer("coco", "150_16_swin_l_oneformer_coco_100ep", COCO_COLOURS, (800, 1333))
_LERES = _published("res101", LeresDepth)
_BODY = _published("body_pose_model", BodyPose)
_HANDS, _FACE = _published("hand_pose_model", PartMaps), _published("facenet", PartMaps)
_DWPOSE = "yzd-v/DWPose"
# InsightFace's two packs have the same network for points under two names.
_BUFFALO, _ANTELOPE = (
    f"InsightFace's {name}; its weights are for non-commercial use" for name in ("buffalo_l", "antelopev2")
)
FACE_ID = (
    _onnx("det_10g", FacePoints, _BUFFALO, "scrfd_10g_bnkps"), _onnx("w600k_r50", FaceIdentity, _BUFFALO)
)  # fmt: skip
"""Points and numbers of a face, for FaceID."""
INSTANT_ID = (
    _onnx("scrfd_10g_bnkps", FacePoints, _ANTELOPE, "det_10g"), _onnx("glintr100", FaceIdentity, _ANTELOPE)
)  # fmt: skip
"""The same for InstantID."""
ANNOTATORS: Mapping[str, Annotator] = {
    "softedge_hed": Annotator(_HED),
    "softedge_hedsafe": Annotator(_HED, read=in_safe_steps),
    "scribble_hed": Annotator(_HED, finish=as_scribble),
    "softedge_teed": Annotator((_TEED,), read=in_steps),
    "lineart": Annotator((_published("sk_model", LineDrawing),)),
    "lineart_coarse": Annotator((_published("sk_model2", LineDrawing),)),
    "lineart_anime": Annotator((_published("netG", AnimeDrawing),)),
    "openpose": Annotator((_BODY,)),
    "openpose_hand": Annotator((_BODY, _HANDS), WholePose),
    "openpose_face": Annotator((_BODY, _FACE), lambda body, face: WholePose(body, face=face)),
    "openpose_faceonly": Annotator(
        (_BODY, _FACE), lambda body, face: WholePose(body, face=face, bodies=False)
    ),
    "openpose_full": Annotator((_BODY, _HANDS, _FACE), WholePose),
    "dw_openpose_full": Annotator(
        (
            _onnx("yolox_l", PersonBoxes, _DWPOSE),
            _onnx("dw-ll_ucoco_384", PersonPoints, _DWPOSE),
        ), DistilledPose
    ),
    "instant_id_face_keypoints": Annotator(INSTANT_ID[:1], FaceMap),
    "mlsd": Annotator((_published("mlsd_large_512_fp32", StraightLines),), read=drawn_lines),
    "normal_bae": Annotator((_published("scannet", SurfaceNormals),)),
    "depth_midas": Annotator(_MIDAS, read=as_nearness),
    "depth_leres": Annotator((_LERES,), read=without_ends),
    "depth_leres++": Annotator(
        (_LERES, _published("latest_net_G", DepthMerging)), BoostedDepth, read=without_ends
    ),
    "depth_zoe": Annotator((_published("ZoeD_M12_N", ZoeDepth, "zoedepth_nyu"),), read=nearness),
    "oneformer_ade20k": Annotator((_OF_ADE20K,)),
    "oneformer_coco": Annotator((_OF_COCO,)),
    "segmentation": Annotator((_SEGMENTS,)),
    "normal_midas": Annotator(_MIDAS, read=as_normals),
    "depth_anything": Annotator((
        AnnotatorFile(
            _sizes("depth_anything", "depth_anything_v1"),
            "depth_anything_small.safetensors: model.safetensors of LiheYoung/depth-anything-small-hf or one "
            "of its sizes",
            partial(Depth, second=False),
        ),
    )),
    "depth_anything_v2": Annotator((
        AnnotatorFile(
            _sizes("depth_anything_v2"),
            "depth_anything_v2_small.safetensors: model.safetensors of "
            "depth-anything/Depth-Anything-V2-Small-hf or one of its sizes",
            partial(Depth, second=True),
        ),
    )),
}  # fmt: skip
