"""From a request to a job of the engine: what it leaves unsaid, options, styles, names of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from easel.models import Kind, ModelFile, Store
from easel.remark import remark
from easel.studio import infotext
from easel.studio.api.requests.always_on_scripts import scripted
from easel.studio.api.requests.answer_format import AnswerFormat
from easel.studio.api.requests.control_infotext import filled_units
from easel.studio.api.requests.detailer import Detailing, detailing, is_detailer
from easel.studio.api.requests.detailer_infotext import detailer_script, detailer_units
from easel.studio.api.requests.drawing_request import AnyRequest, DrawingRequest
from easel.studio.api.requests.result import PictureToEnlarge, PictureToInterrogate
from easel.studio.api.requests.styled import styled
from easel.studio.checkpoint_defaults import checkpoint_defaults
from easel.studio.control_title import control_title
from easel.studio.drawing_settings import upscaler_tiles
from easel.studio.engine import (
    Enlargement,
    Job,
    TextToImage,
    UpscalerTiles,
    Watcher,
    find_face_detector,
    find_part,
    find_upscaler,
    upscalers,
)
from easel.studio.engine.imaging import LATENT_UPSCALE_MODES
from easel.studio.infotext_request import request_from_infotext
from easel.studio.png import encode
from easel.studio.settings import is_name, name_in
from easel.studio.studio import Studio
from easel.studio.styles import Styles

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class PreparedRequest:
    """A request as it was understood, the options it is drawn by, and what the engine is to be given."""

    body: DrawingRequest
    settings: dict[str, Any]
    request: TextToImage
    notes: list[str]


@dataclass(frozen=True)
class SubmittedRequest:
    """A request as it was understood, with the options it is drawn by, and its job."""

    body: DrawingRequest
    settings: dict[str, Any]
    job: Job
    parameters: Mapping[str, object] = field(default_factory=dict)
    """What its pictures' infotexts have besides what they were drawn by."""


class Ordering:
    """What becomes of the requests of one call, which are one or, with a script, many."""

    def __init__(self, studio: Studio, owner: str, own: dict[str, Any] | None = None) -> None:
        """`own` are the owner's options, where those of another time than now count."""
        self._studio = studio
        self._owner = owner
        self.own = studio.options.read(owner) if own is None else own
        self.notes: list[str] = []
        self.detailing: Detailing | None = None
        self._styles = Styles(studio.outputs, owner)
        self._jobs: tuple[Job, ...] = ()
        self._tiles: tuple[UpscalerTiles, ...] = ()

    def begin(self, asked: AnyRequest) -> AnyRequest:
        """The request with what its always-on scripts and its infotext say. Raises as those do."""
        asked.check_texts()
        asked, notes = scripted(asked, self.own)
        self.notes += notes
        if asked.infotext:
            units, found = filled_units(asked.alwayson_scripts, infotext.parse(asked.infotext))
            if not any(is_detailer(title) for title in asked.alwayson_scripts):
                found_units, found = detailer_units(found)
                units |= detailer_script(found_units)
            fields, missing = request_from_infotext(self._studio, found, asked.TAB, self.own)
            units = _beside(fields.pop("alwayson_scripts", {}), units)
            asked = asked.filled(fields)
            asked.check_texts()
            if units:
                asked = asked.model_copy(update={"alwayson_scripts": units})
            self.notes += missing
        faces = find_face_detector(self._studio.engine.store) is not None
        self.detailing, notes = detailing(asked.alwayson_scripts, faces=faces)
        self.notes += notes
        self._tiles = upscaler_tiles(asked.settings(self.own)[0])
        return asked

    @property
    def parameters(self) -> dict[str, object]:
        """What infotexts have besides what pictures are drawn by."""
        return self.detailing.parameters() if self.detailing else {}

    def settle(self, body: AnyRequest) -> tuple[AnyRequest, dict[str, Any], list[str]]:
        """The request with nothing left unsaid, the options that it is drawn by, and what to tell of them."""
        settings, told = body.settings(self.own)
        checkpoint = self._studio.checkpoint_for(name_in(settings, "sd_model_checkpoint"))
        defaults = checkpoint_defaults(checkpoint)
        if body.distilled_cfg_scale is not None and defaults.distilled_guidance is None:
            words = (
                "Distilled CFG scale counts for nothing here: {name} was not distilled, or is told nothing."
            )
            told = [*told, remark("not_distilled", words, about="cfg_scale", name=checkpoint.name)]
        return body.settled(defaults), settings, told

    def options(self, body: DrawingRequest) -> dict[str, Any]:
        """The options that a request is drawn by. Raises Unsupported."""
        return body.settings(self.own)[0]

    def prepare(self, body: DrawingRequest) -> PreparedRequest:
        """What the engine is to be given for a request. Raises Unsupported, and what the engine raises of
        requests that it cannot draw."""
        body, settings, told = self.settle(body)
        AnswerFormat.of(settings)  # raises before anything is drawn
        styled_body, notes = styled(body, self._styles)
        request = self._named(styled_body.to_engine(settings)).resolved()
        return PreparedRequest(body, settings, request, [*told, *notes])

    def submit(
        self,
        prepared: PreparedRequest,
        *,
        only: tuple[int, ...] | None = None,
        watcher: Watcher | None = None,
    ) -> SubmittedRequest:
        """Hand a request to the engine: all of its pictures, or `only` these. Raises what `Engine.submit`
        raises."""
        body = prepared.body
        job = self._studio.engine.submit(self._owner, prepared.request, only=only, watcher=watcher)
        for words in (*self.notes, *prepared.notes, *body.passed_over()):
            job.note(words)
        self._studio.tasks.name(job, body.force_task_id, before=self._jobs)
        self._jobs = (*self._jobs, job)
        return SubmittedRequest(body, prepared.settings, job, self.parameters)

    def look_at(self, body: DrawingRequest) -> None:
        """Raise what `prepare` and `submit` would, but for what a full queue raises."""
        self._studio.engine.check(self._owner, self.prepare(body).request)

    def upscaler(self, field: str, said: str | int) -> str:
        """The name of the upscaler that is meant, by one of its names or by its place in the list. Raises
        InvalidRequest."""
        store = self._studio.engine.store
        known = upscalers(store)
        if isinstance(said, int) and 0 <= said < len(known):
            return known[said].name
        return find_upscaler(store, field, str(said)).name

    def enlarge(self, wanted: PictureToEnlarge) -> Job:
        """Hand a picture over to be made larger: a job as those that draw. Raises what `Engine.submit`
        raises."""
        return self._enlarge(wanted.image, upscaler=wanted.upscaler, factor=wanted.factor)

    def find_faces(self, image: Image, sure: float) -> Job:
        """Have a picture looked at for faces: a job as those that draw. Raises what `Engine.submit`
        raises."""
        return self._enlarge(image, upscaler="None", sure=sure)

    def interrogate(self, wanted: PictureToInterrogate) -> Job:
        """Have a picture put into words: a job as those that draw. Raises what `Engine.submit` raises."""
        width, height = wanted.size
        return self._aside(
            Enlargement(
                image=wanted.file, width=width, height=height, upscaler="None", interrogation=wanted.asked
            )
        )

    def _enlarge(self, image: Image, **said: Any) -> Job:
        return self._aside(Enlargement(image=encode(image), width=image.width, height=image.height, **said))

    def _aside(self, enlargement: Enlargement) -> Job:
        job = self._studio.engine.submit(
            self._owner, TextToImage(enlargement=enlargement, upscaler_tiles=self._tiles)
        )
        self._studio.tasks.name(job, before=self._jobs)
        self._jobs = (*self._jobs, job)
        return job

    def _named(self, request: TextToImage) -> TextToImage:
        """The request with checkpoints and upscaler of later passes and the ControlNets by the names that
        infotexts have. Raises UnknownModel and InvalidRequest."""
        store = self._studio.engine.store
        if request.refiner:
            file = store.find_checkpoint(request.refiner.checkpoint)
            request = replace(request, refiner=replace(request.refiner, checkpoint=_short_title(file)))
        if request.hires and request.hires.checkpoint:
            file = store.find_checkpoint(request.hires.checkpoint)
            request = replace(request, hires=replace(request.hires, checkpoint=_short_title(file)))
        if request.hires and request.hires.modules:
            modules = tuple(find_part(store, one).stem for one in request.hires.modules)
            request = replace(request, hires=replace(request.hires, modules=modules))
        if request.hires and request.hires.upscaler not in LATENT_UPSCALE_MODES:
            upscaler = find_upscaler(store, "hr_upscaler", request.hires.upscaler).name
            request = replace(request, hires=replace(request.hires, upscaler=upscaler))
        if request.controls:
            named = [replace(one, model=_control_title(store, one.model)) for one in request.controls]
            request = replace(request, controls=tuple(named))
        return request


def _beside(said: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Always-on scripts of an infotext beside those that were sent, which come first."""
    titles = {title.strip().lower() for title in sent}
    return {**{title: one for title, one in said.items() if title.lower() not in titles}, **sent}


def _control_title(store: Store, name: str) -> str:
    """The file's name and hash; None is refused later, with every other unit that cannot be."""
    if not is_name(name):
        return name
    return control_title(store.find(Kind.CONTROLNET, name))


def _short_title(file: ModelFile) -> str:
    return f"{file.model_name} [{file.hash}]" if file.hash else file.model_name
