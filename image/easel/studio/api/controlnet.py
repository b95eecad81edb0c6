"""The routes of A1111's ControlNet extension."""

from __future__ import annotations

import base64
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from easel.models import Kind
from easel.remark import remark
from easel.studio.api.errors import RESPONSES
from easel.studio.api.requests.fields import Liberal, Text, WholeNumber
from easel.studio.api.requests.sent_picture import decoded
from easel.studio.control_title import control_title
from easel.studio.engine import (
    MAX_UNITS,
    PREPROCESSORS,
    InvalidRequest,
    Preprocessor,
    detected_map,
    preprocessor,
)
from easel.studio.png import encode
from easel.studio.studio import Studio

# The extension's API, since 2023; clients choose the shape of units by it.
_VERSION = 3
_MOST_PICTURES = 16
# Control types of the extension's page, and words in the names of the models that belong to each.
_TYPES: dict[str, tuple[str, ...]] = {
    "All": ("",), "Canny": ("canny",), "Depth": ("depth",), "IP-Adapter": ("ip-adapter", "ip_adapter"),
    "Inpaint": ("inpaint",), "Instant-ID": ("instant_id", "instant-id", "instantid"),
    "InstructP2P": ("ip2p", "instructp2p"), "Lineart": ("lineart",),
    "MLSD": ("mlsd",), "NormalMap": ("normal",), "OpenPose": ("openpose", "densepose"),
    "Recolor": ("recolor",), "Reference": (), "Scribble": ("scribble",), "Segmentation": ("seg",),
    "Shuffle": ("shuffle",),
    "SoftEdge": ("softedge", "hed", "pidi"), "T2I-Adapter": ("t2i-adapter", "t2i_adapter", "t2ia"),
    "Tile": ("tile", "blur"),
}  # fmt: skip
# A Union model does all of these.
_UNION = {
    "OpenPose",
    "Depth",
    "SoftEdge",
    "Scribble",
    "Canny",
    "Lineart",
    "MLSD",
    "NormalMap",
    "Segmentation",
}


class DetectRequest(Liberal):
    """Pictures to make maps of."""

    controlnet_module: Text = Field("none", description="a name of /controlnet/module_list")
    controlnet_input_images: list[Text] = Field([], description="as base64, bare or as data: URIs")
    controlnet_images: list[Text] = Field([], description="webuiapi's name of controlnet_input_images")
    controlnet_processor_res: WholeNumber = Field(
        -1, description="pixels of the shorter side; 512 if not said"
    )
    controlnet_threshold_a: float = -1.0
    controlnet_threshold_b: float = -1.0
    controlnet_masks: list[Text] = Field([], description="taken: a mask says nothing to these preprocessors")
    low_vram: bool = False


class DetectResponse(BaseModel):
    """The maps in order, as bare base64 of PNG files."""

    images: list[str]
    info: str = "Success"


def controlnet(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/controlnet")

    @routes.get("/version")
    def version() -> dict[str, int]:
        """The version of the extension's API that is spoken here."""
        return {"version": _VERSION}

    @routes.get("/model_list")
    def model_list(update: bool = True) -> dict[str, list[str]]:
        """ControlNets, T2I-Adapters and the like. `update` looks at the folder again."""
        if update:
            studio.engine.store.refresh()
        return {"model_list": _models(studio)}

    @routes.get("/module_list")
    def module_list(alias_names: bool = False) -> dict[str, Any]:
        """Preprocessors, those whose files are missing too. `alias_names`: as A1111's page calls them."""
        names = [one.label if alias_names else one.module for one in PREPROCESSORS]
        details = [_detail(one) for one in PREPROCESSORS]
        return {"module_list": names, "module_detail": dict(zip(names, details, strict=True))}

    @routes.get("/control_types")
    def control_types() -> dict[str, dict[str, Any]]:
        """Control types, with the preprocessors and models that go together."""
        return {"control_types": {name: _control_type(studio, name) for name in _TYPES}}

    @routes.get("/settings")
    def settings() -> dict[str, int]:
        """How many units a request may have."""
        return {"control_net_unit_count": MAX_UNITS}

    @routes.post("/detect", responses=RESPONSES)
    def detect(asked: DetectRequest) -> DetectResponse:
        """The maps that a preprocessor makes of pictures, without drawing."""
        way = _module(asked.controlnet_module)
        pictures = asked.controlnet_input_images or asked.controlnet_images
        if not pictures:
            raise HTTPException(422, "No image selected")
        if len(pictures) > _MOST_PICTURES:
            raise InvalidRequest(
                "controlnet_input_images", f"{len(pictures)} pictures", f"up to {_MOST_PICTURES}"
            )
        maps = [
            detected_map(
                way, studio.engine.store, decoded(one, "controlnet_input_images")[0],
                asked.controlnet_processor_res, asked.controlnet_threshold_a, asked.controlnet_threshold_b,
            )
            for one in pictures
        ]  # fmt: skip
        return DetectResponse(images=[base64.b64encode(encode(one)).decode() for one in maps])

    return routes


def _module(name: str) -> Preprocessor:
    try:
        way = preprocessor(name)
    except InvalidRequest as error:
        raise InvalidRequest("controlnet_module", name, error.allowed) from error
    if way.encodes:
        words = "a preprocessor that makes maps; this one reads for IP-Adapters"
        raise InvalidRequest(
            "controlnet_module",
            name,
            remark("makes_maps_itself", words),
        )
    return way


def _models(studio: Studio) -> list[str]:
    return [control_title(one) for one in studio.engine.store.files(Kind.CONTROLNET)]


def _control_type(studio: Studio, name: str) -> dict[str, Any]:
    modules = [one.label for one in PREPROCESSORS if name in ("All", *one.tags) or one.module == "none"]
    models = [one for one in _models(studio) if _is_for(one.lower(), name)]
    return {
        "module_list": modules,
        "model_list": ["None", *models],
        "default_option": modules[1] if name != "All" and len(modules) > 1 else "none",
        "default_model": models[0] if name != "All" and models else "None",
    }


def _is_for(model: str, type_name: str) -> bool:
    return any(word in model for word in _TYPES[type_name]) or ("union" in model and type_name in _UNION)


def _detail(one: Preprocessor) -> dict[str, Any]:
    sliders = [
        {
            "name": slider.label,
            "value": slider.value,
            "min": slider.minimum,
            "max": slider.maximum,
            "step": slider.step,
        }
        for slider in one.sliders
    ]
    return {"model_free": one.refers, "sliders": sliders}
