"""Face restorers and detectors among the store's files, by the names that A1111's clients know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from easel.models import FileError, Kind, ModelFile, Store, read_header
from easel.remark import remark
from easel.studio.engine.errors import check_range

GFPGAN = "GFPGAN"
_FOLDER = f"models/{Kind.FACE_RESTORER.folder}"
_CODEFORMER = remark(
    "codeformer_licence", "CodeFormer's licence forbids commercial use, so it is not built in"
)


class _Role(StrEnum):
    DETECTOR = "detector"
    GFPGAN = "GFPGAN"
    RESTORER = "restorer"


# One tensor of each that no other has; facexlib's detector has a prefix from its training.
_TELLING = {
    "LandmarkHead.0.conv1x1.weight": _Role.DETECTOR, "module.LandmarkHead.0.conv1x1.weight": _Role.DETECTOR,
    "stylegan_decoder.style_mlp.1.weight": _Role.GFPGAN, "quantize.embedding.weight": _Role.RESTORER,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FaceRestoration:
    """Faces of a picture restored by `model` (a name of `/sdapi/v1/face-restorers`), laid over the picture
    with `visibility`, 0 to 1."""

    model: str = GFPGAN
    visibility: float = 1.0

    def check(self) -> None:
        """Raise InvalidRequest for what cannot be."""
        check_range("gfpgan_visibility", self.visibility, 0, 1)


@dataclass(frozen=True)
class FaceFiles:
    """What restores faces: `name` as infotexts say it, and what finds them. Without a restorer they are only
    looked for."""

    name: str
    restorer: ModelFile | None
    detector: ModelFile


def face_restorers(store: Store) -> dict[str, ModelFile]:
    """Those that are there, by name. Of several GFPGANs the last by name is meant: 1.4 before 1.3."""
    found: dict[str, ModelFile] = {}
    for file in store.files(Kind.FACE_RESTORER):
        role = _role(file)
        if role in (_Role.GFPGAN, _Role.RESTORER):
            found[GFPGAN if role is _Role.GFPGAN else file.stem] = file
    return found


def find_face_detector(store: Store) -> ModelFile | None:
    """What finds faces here, None where nothing does."""
    return next((one for one in store.files(Kind.FACE_RESTORER) if _role(one) is _Role.DETECTOR), None)


def find_face_files(store: Store, wanted: FaceRestoration) -> tuple[FaceFiles | None, str]:
    """The files for it, None where there are none; and what there is to say of the choice."""
    restorers = face_restorers(store)
    detector = find_face_detector(store)
    if not restorers:
        words = "Faces were not restored: there is no face restorer (GFPGANv1.4) in {folder}."
        return None, remark("no_restorer", words, about="restore_faces", folder=_FOLDER)
    if detector is None:
        words = "Faces were not restored: nothing in {folder} finds them (detection_Resnet50_Final)."
        return None, remark("no_face_finder", words, about="restore_faces", folder=_FOLDER)
    names = {name.lower(): name for name in restorers}
    name = names.get(wanted.model.strip().lower())
    note = ""
    if name is None:
        name = GFPGAN if GFPGAN in restorers else next(iter(restorers))
        why = _CODEFORMER if wanted.model.lower() == "codeformer" else remark("not_here", "it is not here")
        note = remark(
            "other_restorer",
            "Faces were restored by {name} and not by {wanted}: {why}.",
            about="restore_faces",
            name=name,
            wanted=wanted.model[:60],
            why=why,
        )
    return FaceFiles(name, restorers[name], detector), note


def _role(file: ModelFile) -> _Role | None:
    try:
        tensors = read_header(file.path).tensors
    except FileError:
        return None
    return next((role for name, role in _TELLING.items() if name in tensors), None)
