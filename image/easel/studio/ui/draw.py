"""Generate and Interrupt: a job of one tab, from the button to the gallery."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr
import structlog

from easel.models import ModelError
from easel.studio.completion import finished
from easel.studio.drawing_settings import drawing_fields
from easel.studio.durable_jobs import DurableJob
from easel.studio.engine import EngineError, InvalidRequest, Job
from easel.studio.example_prompts import examples
from easel.studio.owner import owner_of
from easel.studio.png import encode
from easel.studio.prompt_comments import without_comments
from easel.studio.studio import Studio
from easel.studio.ui import gallery, live_preview
from easel.studio.ui.form import Form, label
from easel.studio.ui.tab_jobs import TabJobs

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.2


class Drawing:
    """The events of the two big buttons.

    Outputs: stage, gallery, paths, parameters, prompt, interrupt button.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._tab_jobs = TabJobs()

    async def generate(
        self, request: gr.Request, checkpoint: str | None, vae: str | None, *fields: Any
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Draw what the fields say, showing how far it is."""
        owner, tab = owner_of(request.headers), request.session_hash or ""
        form = Form(*fields)
        prompt: Any = gr.skip()
        if not (form.prompt or "").strip() and (example := self._example(checkpoint)):
            # Somebody new pressed the button: the example that the empty field shows is what they get.
            prompt = example
            form = Form(example, *fields[1:])
        durable = await _cancelled_with_us(self._submit(owner, form, checkpoint, vae))
        job = durable.job
        self._tab_jobs.begin(owner, tab, job)
        ended = finished(job)
        seen, shown = None, ""
        try:
            while not ended.is_set():
                now = job.progress(preview=True)
                if now.preview is not None and now.preview is not seen:
                    seen, shown = now.preview, await asyncio.to_thread(live_preview.data_uri, now.preview)
                look = live_preview.running(now, shown, job.request.width, job.request.height)
                yield look, gr.skip(), gr.skip(), gr.skip(), prompt, gr.Button(interactive=True)
                prompt = gr.skip()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), LOOK_EVERY)
            yield await self._finish(owner, durable)
        finally:
            # The tab was closed, or something failed: nobody waits for this job any more.
            job.cancel()
            self._tab_jobs.end(owner, tab, job)

    def interrupt(self, request: gr.Request) -> None:
        """Stop this tab's job now; what is there by then is kept."""
        self._tab_jobs.stop(owner_of(request.headers), request.session_hash or "", keep_partial=True)

    def leave(self, request: gr.Request) -> None:
        """The tab is closed."""
        self._tab_jobs.stop(owner_of(request.headers), request.session_hash or "", keep_partial=False)

    async def _submit(self, owner: str, form: Form, checkpoint: str | None, vae: str | None) -> DurableJob:
        options = self._studio.options.read(owner)
        try:
            said = replace(form.request(checkpoint, vae), **drawing_fields(options))
            asked = without_comments(said, options)
            durable = await asyncio.to_thread(self._studio.durable_jobs.submit, owner, asked)
        except InvalidRequest as e:
            raise _error(
                f"{label(e.field)} is {e.value!r}; allowed: {e.allowed}", "Check the settings"
            ) from e
        except (EngineError, ModelError) as e:
            raise _error(str(e), "Not drawn") from e
        self._studio.tasks.name(durable.job)
        return durable

    async def _finish(self, owner: str, durable: DurableJob) -> tuple[Any, ...]:
        job = durable.job
        off = gr.Button(interactive=False)
        try:
            pictures = await asyncio.shield(asyncio.wrap_future(durable.saved))
        except (EngineError, ModelError, OSError) as e:
            log.info("not drawn", job=job.id, error=type(e).__name__, reason=str(e))
            words = live_preview.notice(f"Not drawn: {e}", bad=True)
            return words, gr.skip(), gr.skip(), gr.skip(), gr.skip(), off
        log.info("drawn", job=job.id, pictures=len(pictures), state=job.state)
        if not pictures:
            words = live_preview.notice("Interrupted before there was anything to see.")
            return words, gr.skip(), gr.skip(), gr.skip(), gr.skip(), off
        look = _noted(job)
        if lost := [one for one in pictures if one.path is None]:
            # Not gone yet: they stay on the stage, from where the browser can save them.
            words = f"Drawn, but not saved: {lost[0].problem}. Save it from here, or it is gone."
            files = await asyncio.to_thread(lambda: [encode(one.drawn.image, one.text) for one in lost])
            look += live_preview.notice(words, bad=True) + live_preview.unsaved(files)
        elif pictures[-1].drawn.partial:
            look += live_preview.notice("Interrupted: this is how far it came.")
        paths = await asyncio.to_thread(gallery.recent, self._studio, owner)
        first = next((one for one in pictures if paths and str(one.path) == paths[0]), None)
        if first is None:
            return look, gr.skip(), gr.skip(), pictures[0].text, gr.skip(), off
        return look, gr.Gallery(value=paths, selected_index=0), paths, first.text, gr.skip(), off

    def _example(self, checkpoint: str | None) -> str:
        try:
            prompts = examples(self._studio.engine.store.find_checkpoint(checkpoint or ""))
        except ModelError:
            return ""
        return prompts[0] if prompts else ""


async def _cancelled_with_us(submitting: Coroutine[Any, Any, DurableJob]) -> DurableJob:
    """What is submitted. Where we are cancelled meanwhile so is its job: the thread that submits goes on."""
    task = asyncio.create_task(submitting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_cancel_what_came)
        raise


def _cancel_what_came(done: asyncio.Task[DurableJob]) -> None:
    if not done.cancelled() and done.exception() is None:
        done.result().job.cancel()


def _noted(job: Job) -> str:
    """What of the prompt was passed over, so that nobody wonders why a LoRA shows nothing."""
    return live_preview.notice(" ".join(job.notes), bad=True) if job.notes else ""


def _error(words: str, title: str) -> gr.Error:
    # Gradio shows messages as HTML.
    return gr.Error(escape(words), title=title, duration=20, print_exception=False)
