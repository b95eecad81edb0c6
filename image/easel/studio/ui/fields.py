"""What fills the page's fields besides the person at it: the checkpoint, and pictures drawn before."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from easel.models import Kind, ModelError, ModelFile
from easel.studio.checkpoint_defaults import checkpoint_defaults
from easel.studio.engine import EngineError
from easel.studio.example_prompts import examples
from easel.studio.infotext import Infotext
from easel.studio.outputs import NotSaved
from easel.studio.owner import owner_of
from easel.studio.settings import is_name
from easel.studio.studio import Studio
from easel.studio.ui import gallery, live_preview
from easel.studio.ui.form import FIELDS
from easel.studio.ui.networks import cards

# A1111's words: a VAE called as the checkpoint, if there is one; and the checkpoint's own in any case.
AUTOMATIC, NONE = "Automatic", "None"
_ASK = "What do you want to see?"


class Fields:
    """The events that fill fields."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def open(self, request: gr.Request) -> tuple[Any, ...]:
        """A tab is opened: the person's checkpoint, its size, and the pictures drawn before."""
        owner = owner_of(request.headers)
        chosen, problem = self._chosen(owner)
        side = checkpoint_defaults(chosen).side
        paths = gallery.recent(self._studio, owner)
        first = paths[0] if paths else ""
        now = self._studio.engine.status()
        if not problem and now.phase == "failed":
            problem = now.detail
        problem = problem or self._studio.note(owner)
        return (
            *self._models(chosen, self._vae(owner)),
            side,
            side,
            _ask(chosen),
            gr.Row(visible=bool(examples(chosen))),
            gr.Gallery(value=paths, selected_index=0 if paths else None),
            paths,
            first,
            gallery.text_of(first) if first else "",
            (live_preview.notice(problem, bad=True) if problem else "")
            + "".join(
                live_preview.notice(one.words, bad=one.bad) for one in self._studio.durable_jobs.news(owner)
            ),
            gr.Button(interactive=True),
        )

    def reload(self, checkpoint: str | None, vae: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Look for new files of every kind; what is chosen stays while it is there."""
        store = self._studio.engine.store
        store.refresh()
        owner = owner_of(request.headers)
        known = store.checkpoints()
        chosen = next((file for file in known if file.name == checkpoint), None)
        if chosen is None:
            chosen, problem = self._chosen(owner)
            if problem:
                gr.Warning(escape(problem))
        if vae not in {AUTOMATIC, NONE, *(file.name for file in store.vaes())}:
            vae = self._vae(owner)
        found = [
            (len(known), "checkpoint"),
            (len(store.vaes()), "VAE"),
            (len(store.files(Kind.LORA)), "LoRA"),
        ]
        words = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in found)
        gr.Info(f"Found: {words}.", duration=3)
        return self._models(chosen, str(vae))

    def choose_vae(self, vae: str | None, request: gr.Request) -> Any:
        """A VAE was chosen: it is this person's from now on."""
        owner = owner_of(request.headers)
        try:
            self._studio.options.update(owner, {"sd_vae": vae or AUTOMATIC})
        except NotSaved as e:
            gr.Warning(escape(str(e)))
        return gr.skip()

    def choose(
        self, checkpoint: str | None, width: float | None, height: float | None, request: gr.Request
    ) -> tuple[Any, ...]:
        """A checkpoint was chosen: it is this person's from now on; the size follows if nobody changed it."""
        owner = owner_of(request.headers)
        before, _ = self._chosen(owner)
        try:
            wanted = self._studio.engine.store.find_checkpoint(checkpoint or "")
            self._studio.options.update(owner, {"sd_model_checkpoint": checkpoint})
            self._studio.engine.prefetch(owner, wanted)
            chosen: ModelFile | None = wanted
        except (ModelError, NotSaved) as e:
            gr.Warning(escape(str(e)))
            chosen = before
        untouched = width == height == checkpoint_defaults(before).side
        side = checkpoint_defaults(chosen).side if untouched else gr.skip()
        return side, side, _ask(chosen), gr.Row(visible=bool(examples(chosen)))

    def select(self, paths: list[str], event: gr.SelectData) -> tuple[str, str]:
        """A picture was chosen: its path and its parameters."""
        index = event.index if isinstance(event.index, int) else 0
        path = paths[index] if 0 <= index < len(paths) else ""
        return path, gallery.text_of(path) if path else ""

    def seed_of(self, shown: str) -> Any:
        """The seed of the picture that is shown."""
        found = gallery.understood(gallery.text_of(shown)) if shown else None
        if found is None or "seed" not in found.request():
            gr.Warning("There is no picture to take a seed from yet.")
            return gr.skip()
        return found.request()["seed"]

    def from_picture(self, shown: str) -> list[Any]:
        """All fields as they were for the picture that is shown."""
        return self._fill(gallery.understood(gallery.text_of(shown)) if shown else None, "this picture")

    def from_prompt(self, prompt: str | None, shown: str) -> list[Any]:
        """All fields from an infotext pasted into the prompt, else from the picture shown, as in A1111."""
        found = gallery.understood(prompt or "")
        return self._fill(found, "the prompt") if found or not shown else self.from_picture(shown)

    def from_text(self, text: str | None) -> list[Any]:
        """All fields as they were for a picture somebody has as a file, by the text in it."""
        return self._fill(gallery.understood(text or ""), "that file")

    def _fill(self, found: Infotext | None, where: str) -> list[Any]:
        if found is None:
            gr.Warning(f"There are no generation parameters in {where}.")
            return [gr.skip()] * (len(FIELDS) + 2)
        values, notes = gallery.field_values(self._studio, found)
        if notes:
            gr.Warning(escape(" ".join(notes)))
        return [values.get(name, gr.skip()) for name in ("checkpoint", "vae", *FIELDS)]

    def _chosen(self, owner: str) -> tuple[ModelFile | None, str]:
        try:
            return self._studio.checkpoint(owner), ""
        except ModelError as e:
            return None, f"{e}. Choose another checkpoint above."
        except EngineError as e:
            return None, str(e)

    def _vae(self, owner: str) -> str:
        """The VAE that `owner` draws with: a file's name, or one of A1111's two words."""
        chosen = str(self._studio.options.read(owner).get("sd_vae") or AUTOMATIC)
        if chosen.strip().lower() == NONE.lower():
            return NONE
        try:
            return self._studio.engine.store.find_vae(chosen).name if is_name(chosen) else AUTOMATIC
        except ModelError:
            gr.Warning(escape(f"The VAE {chosen} is not here any more; Automatic is taken instead."))
            return AUTOMATIC

    def _models(self, chosen: ModelFile | None, vae: str) -> tuple[Any, ...]:
        """What is chosen from: checkpoints, VAEs, cards."""
        store = self._studio.engine.store
        known, vaes = store.checkpoints(), [file.name for file in store.vaes()]
        return (
            gr.Dropdown(
                choices=[(file.title, file.name) for file in known], value=chosen.name if chosen else None
            ),
            gr.Dropdown(choices=[AUTOMATIC, NONE, *vaes], value=vae),
            cards(self._studio),
        )


def _ask(chosen: ModelFile | None) -> Any:
    prompts = examples(chosen)
    return gr.Textbox(placeholder=f"{_ASK} For example: {prompts[0]}" if prompts else _ASK)
