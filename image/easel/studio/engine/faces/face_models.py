"""Face restorers (by spandrel) and detectors at hand on one device: loaded when they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file

from easel.models import FileError, ModelFile, WrongKind, path_now
from easel.studio.engine.faces.face_detector import load_face_detector
from easel.studio.engine.faces.face_files import FaceFiles
from easel.studio.engine.memory.networks_at_hand import NetworksAtHand, first_line

KEPT_BYTES = 500_000_000
"""Of weights: GFPGAN and the detector, in single precision."""


@dataclass(frozen=True)
class LoadedFaces:
    """A detector, and a restorer as spandrel describes it, if it takes one; both in single precision, as they
    were made."""

    detector: Any
    restorer: Any

    @torch.inference_mode()
    def restored(self, face: torch.Tensor) -> torch.Tensor:
        """(1, 3, 512, 512), 0 to 1, as the face came."""
        given = face.to(self.restorer.device)
        if self.restorer.architecture.id != "GFPGAN":
            found: torch.Tensor = self.restorer(given)
        else:
            # spandrel's own call shows it 0 to 1 where it was trained with -1 to 1; and the noise of the
            # file in the place of new, so that a picture is the same when it is drawn again
            answer, _ = self.restorer.model(given * 2 - 1, return_rgb=False, randomize_noise=False)
            found = (answer + 1) / 2
        return found.float().clamp(0, 1)


class FaceModels:
    """Those at hand. Used from the engine's thread only."""

    def __init__(self, device: torch.device) -> None:
        self._networks = NetworksAtHand(device, "face model")

    def get(self, files: FaceFiles | None) -> LoadedFaces | None:
        """The networks of these files. Raises a FileError."""
        if files is None:
            return None
        restorer = self._networks.get(files.restorer, _restorer) if files.restorer else None
        found = LoadedFaces(self._networks.get(files.detector, _detector), restorer)
        self._networks.keep(2, KEPT_BYTES)
        return found

    def clear(self) -> bool:
        """Forget all of them; whether there were any."""
        return self._networks.clear()


def _detector(file: ModelFile) -> Any:
    try:
        return load_face_detector(load_file(path_now(file.path)))
    except Exception as error:  # safetensors and torch have errors of their own for a damaged file
        raise FileError(file.name, f"this face detector cannot be loaded ({first_line(error)})") from error


def _restorer(file: ModelFile) -> Any:
    import spandrel

    try:
        model = spandrel.ModelLoader().load_from_state_dict(load_file(path_now(file.path)))
    except Exception as error:  # each architecture trips over a damaged file in a way of its own
        raise FileError(file.name, f"this face restorer cannot be loaded ({first_line(error)})") from error
    if not isinstance(model, spandrel.ImageModelDescriptor) or model.purpose != "FaceSR":
        raise WrongKind(
            file.name, f"a {model.architecture.name} for {model.purpose}", None, "a face restorer"
        )
    return model
