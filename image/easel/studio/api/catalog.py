"""Lists: samplers, checkpoints, and what else clients ask for before they draw."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel
from starlette.responses import Response

from easel.models import Kind, ModelFile
from easel.studio.api.networks import EmbeddingLists, embedding_lists, metadata_of, preview
from easel.studio.api.scripts.listing import script_infos, script_names
from easel.studio.engine import SAMPLERS, SCHEDULE_TYPES, alias_of, face_restorers, upscalers
from easel.studio.engine.imaging import LATENT_UPSCALE_MODES
from easel.studio.owner import owner_of
from easel.studio.studio import Studio


class SamplerItem(BaseModel):
    """A sampler under A1111's name."""

    name: str
    aliases: list[str]
    options: dict[str, str]


class SchedulerItem(BaseModel):
    """A schedule type."""

    name: str
    label: str
    aliases: list[str] | None = None
    default_rho: float | None = None
    need_inner_model: bool | None = False


class ModelItem(BaseModel):
    """A checkpoint. `hash` and `sha256` are empty until they have been computed, never null."""

    title: str
    model_name: str
    hash: str
    sha256: str
    filename: str
    config: str | None = None


class VaeItem(BaseModel):
    """A VAE file."""

    model_name: str
    filename: str


class ModuleItem(BaseModel):
    """A file for Forge's `forge_additional_modules`."""

    model_name: str
    filename: str


class LoraItem(BaseModel):
    """A LoRA file. `alias` is the name its trainer gave it; `<lora:…>` takes either."""

    name: str
    alias: str
    path: str
    metadata: dict[str, Any]


class UpscalerItem(BaseModel):
    """An upscaler of pixels. `scale` is what its names say, else 4."""

    name: str
    model_name: str | None = None
    model_path: str | None = None
    model_url: str | None = None
    scale: float | None = 4


class FaceRestorerItem(BaseModel):
    """A face restorer, and its folder below the store's."""

    name: str
    cmd_dir: str


class RealesrganItem(BaseModel):
    """A RealESRGAN model."""

    name: str
    path: str | None = None
    scale: int | None = 4


def catalog(studio: Studio) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/sdapi/v1")
    for add in (_methods, _files, _networks, _extensions, _empty, _actions):
        add(routes, studio)
    return routes


def _methods(routes: APIRouter, studio: Studio) -> None:
    """How pictures are drawn: samplers and schedule types."""

    @routes.get("/samplers")
    def samplers() -> list[SamplerItem]:
        """All samplers."""
        return [
            SamplerItem(
                name=one.name,
                aliases=list(one.aliases),
                options={"second_order": "True"} if one.second_order else {},
            )
            for one in SAMPLERS
        ]

    @routes.get("/schedulers")
    def schedulers() -> list[SchedulerItem]:
        """All schedule types."""
        return [
            SchedulerItem(
                name=one.name, label=one.label, aliases=list(one.aliases) or None, default_rho=one.default_rho
            )
            for one in SCHEDULE_TYPES
        ]


def _files(routes: APIRouter, studio: Studio) -> None:
    """What is drawn with: checkpoints and VAEs."""

    @routes.get("/sd-models")
    def checkpoints() -> list[ModelItem]:
        """All checkpoints. Each may be named by title, file name, model_name, hash or sha256."""
        return [
            ModelItem(
                title=one.title,
                model_name=one.model_name,
                hash=one.hash,
                sha256=one.sha256,
                filename=_below_store(one),
            )
            for one in studio.engine.store.checkpoints()
        ]

    @routes.get("/sd-vae")
    def vaes() -> list[VaeItem]:
        """All VAE files."""
        return [
            VaeItem(model_name=one.name, filename=_below_store(one)) for one in studio.engine.store.vaes()
        ]

    @routes.get("/sd-modules")
    def modules() -> list[ModuleItem]:
        """All VAEs and text encoders, for the option `forge_additional_modules`."""
        store = studio.engine.store
        return [
            ModuleItem(model_name=one.name, filename=_below_store(one))
            for one in (*store.vaes(), *store.files(Kind.TEXT_ENCODER))
        ]


def _networks(routes: APIRouter, studio: Studio) -> None:
    """What prompts name: LoRAs and embeddings."""

    @routes.get("/loras")
    def loras() -> list[LoraItem]:
        """All LoRA files, under the names that `<lora:name:weight>` takes."""
        return [
            LoraItem(name=one.stem, alias=alias_of(one), path=_below_store(one), metadata=metadata_of(one))
            for one in studio.engine.store.files(Kind.LORA)
        ]

    @routes.get("/loras/preview", include_in_schema=False)
    def lora_preview(name: str) -> Response:
        """The picture beside a LoRA, small."""
        picture = preview(studio.engine.store, name)
        if picture is None:
            raise HTTPException(404, "Not Found")
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    @routes.get("/embeddings")
    def embeddings(request: Request) -> EmbeddingLists:
        """Textual inversions: those that fit the caller's checkpoint, and those made for another kind."""
        return embedding_lists(studio, owner_of(request.headers))


def _extensions(routes: APIRouter, studio: Studio) -> None:
    """Scripts and upscalers, and how A1111 was started."""

    @routes.get("/scripts")
    def scripts() -> dict[str, list[str]]:
        """The scripts of txt2img and of img2img, always on or chosen by `script_name`."""
        return script_names(studio.engine.store)

    @routes.get("/script-info")
    def script_info() -> list[dict[str, Any]]:
        """The scripts' arguments, in order."""
        return script_infos(studio.engine.store)

    @routes.get("/upscalers")
    def all_upscalers() -> list[UpscalerItem]:
        """Upscalers of pixels, for `hr_upscaler` and the extras: A1111's own, and files of the store."""
        return [
            UpscalerItem(
                name=one.name,
                model_name=one.file.model_name if one.file else None,
                model_path=_below_store(one.file) if one.file else None,
                scale=one.scale,
            )
            for one in upscalers(studio.engine.store)
        ]

    @routes.get("/face-restorers")
    def restorers() -> list[FaceRestorerItem]:
        """What restores faces, for the option `face_restoration_model`."""
        return [
            FaceRestorerItem(name=name, cmd_dir=file.kind.folder)
            for name, file in face_restorers(studio.engine.store).items()
        ]

    @routes.get("/realesrgan-models")
    def realesrgan_models() -> list[RealesrganItem]:
        """Those of the upscalers that A1111 knows as RealESRGAN models."""
        return [
            RealesrganItem(name=one.name, path=_below_store(one.file), scale=one.scale)
            for one in upscalers(studio.engine.store)
            if one.file and one.realesrgan
        ]

    @routes.get("/latent-upscale-modes")
    def latent_upscale_modes() -> list[dict[str, Any]]:
        """Ways to upscale latents, for `hr_upscaler`."""
        return [{"name": name} for name in LATENT_UPSCALE_MODES]

    @routes.get("/cmd-flags")
    def flags() -> dict[str, Any]:
        """A1111's command line, as far as there is anything to say."""
        return {
            **{"api": True, "listen": False, "share": False, "nowebui": False, "gradio_queue": True},
            **{
                "api_log": False,
                "api_server_stop": False,
                "medvram": False,
                "lowvram": False,
                "no_half": False,
            },
        }


def _empty(routes: APIRouter, studio: Studio) -> None:
    """Lists of what there is none of here."""
    for path, words in _EMPTY.items():
        routes.add_api_route(path, _nothing(words), methods=["GET"], name=path)


def _actions(routes: APIRouter, studio: Studio) -> None:
    """What A1111 does to its lists and its one checkpoint."""
    for path, words in _REFRESH.items():
        routes.add_api_route(path, _refresh(studio, words), methods=["POST"], name=path)
    for path in ("/unload-checkpoint", "/reload-checkpoint"):
        routes.add_api_route(path, _kept, methods=["POST"], name=path)


_EMPTY = {
    "/hypernetworks": "Hypernetworks: none.",
    "/extensions": "Extensions: none.",
}
_REFRESH = {
    "/refresh-checkpoints": "Look for new checkpoints.",
    "/refresh-vae": "Look for new VAE files.",
    "/refresh-loras": "Look for new LoRA files.",
    "/refresh-embeddings": "Look for new embeddings.",
}


def _nothing(words: str) -> Any:
    def nothing() -> list[dict[str, Any]]:
        return []

    nothing.__doc__ = words
    return nothing


def _refresh(studio: Studio, words: str) -> Any:
    def refresh() -> None:
        studio.engine.store.refresh()

    refresh.__doc__ = words
    return refresh


def _kept() -> dict[str, Any]:
    """Does nothing: the checkpoint in memory is everyone's, and the engine switches it as requests need."""
    return {}


def _below_store(file: ModelFile) -> str:
    """Where the store's folder is on the server is nobody's business."""
    return file.below_store
