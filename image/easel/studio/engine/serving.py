"""The checkpoint that serves, with all that draws by it."""

from __future__ import annotations

from easel.models import FileError, ModelFile
from easel.remark import remark
from easel.studio.engine.calls.device_clock import DeviceClock
from easel.studio.engine.calls.vae_runs import LatentPreviews
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.compiled_blocks import CompiledBlocks
from easel.studio.engine.compiling import Compiling
from easel.studio.engine.control_models.control_cache import ControlCache
from easel.studio.engine.control_models.control_models import ControlModels
from easel.studio.engine.control_models.image_prompt_models import ImagePromptModels
from easel.studio.engine.flow_limits import flow_notes
from easel.studio.engine.loading.vaes import Vaes
from easel.studio.engine.memory.device_memory import DeviceMemory
from easel.studio.engine.networks.adapters import Adapters
from easel.studio.engine.networks.extra_networks import Asked, EmbeddingUse
from easel.studio.engine.queue.job import Job
from easel.studio.engine.recorded.recorded_calls import RecordedCalls
from easel.studio.engine.recorded.recording import Recording
from easel.studio.engine.requests.shown_pictures import check_looks
from easel.studio.engine.sampling.levels import FlowLevels, Levels, NoiseLevels
from easel.studio.engine.text_keys import TextKeys
from easel.studio.engine.texts.conditioning import PromptEncoder
from easel.studio.engine.texts.embeddings import Embedding, Embeddings
from easel.studio.engine.texts.text_encoding import skips_layers
from easel.studio.engine.texts.transformer_prompts import TransformerPrompts
from easel.studio.engine.transformers.shifts import shift, sigmas

# Of one patch, of which transformers make one token: the number that the shift of their levels goes by.
_PATCH_PIXELS = 16 * 16


class Serving:
    """One checkpoint's prompt encoder, VAEs, LoRAs, control models and embeddings. Used from the
    engine's thread only."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        controls: ControlCache | None = None,
        clock: DeviceClock | None = None,
        *,
        compiling: Compiling | None = None,
        recording: Recording | None = None,
        memory: DeviceMemory | None = None,
    ) -> None:
        """`controls` are the control models of all checkpoints on the device; `compiling` says whether
        its repeated blocks are compiled, `recording` whether its calls are recorded. `memory` is the
        device's."""
        memory = memory or DeviceMemory(checkpoint.device)
        self.checkpoint = checkpoint
        family = checkpoint.family
        self.encoder: PromptEncoder | TransformerPrompts = (
            TransformerPrompts(checkpoint, clock) if family.flow else PromptEncoder(checkpoint, clock)
        )
        self.vaes = Vaes(checkpoint)
        self.adapters = Adapters(checkpoint)
        self.text_keys = TextKeys(checkpoint)
        self.compiled: CompiledBlocks | None = None
        if compiling is not None and compiling.begins(checkpoint.file.name, checkpoint.device.type):
            self.compiled = CompiledBlocks(checkpoint, compiling)
        self.recorded: RecordedCalls | None = None
        if recording is not None and recording.begins(checkpoint.file.name, checkpoint.device.type):
            self.recorded = RecordedCalls(checkpoint, recording, memory)
        controls = controls or ControlCache(memory)
        self.control_models = ControlModels(checkpoint, controls)
        self.image_prompts = ImagePromptModels(checkpoint, controls)
        self.previews = LatentPreviews(checkpoint)
        self._levels: NoiseLevels | None = None
        if family.flow is None:
            self._levels = NoiseLevels.of_family(family.scheduler_config, sdxl=family.pooled)
        self._embeddings = Embeddings(checkpoint)

    def let_go(self) -> bool:
        """Forget what can be computed anew, and keep no more of it. Whether there was any."""
        kept = [self.text_keys.let_go(), self.adapters.let_go()]
        if self.recorded is not None:
            kept.append(self.recorded.let_go())
        return any(kept)

    @property
    def noise_levels(self) -> NoiseLevels:
        """Those that the checkpoint was trained at, of one with a UNet."""
        assert self._levels is not None  # noqa: S101 - what is for UNets only is refused before
        return self._levels

    def levels(self, size: tuple[int, int], steps: int) -> Levels:
        """The levels for a picture of this size in pixels and so many steps: of a flow they follow both."""
        if self._levels is not None:
            return self._levels
        family, tokens = self.checkpoint.family, size[0] * size[1] // _PATCH_PIXELS
        config, name = family.scheduler_config, family.name
        factor = shift(steps, tokens, config, name)
        return FlowLevels(factor, lambda count: sigmas(count, tokens, config, name))

    def embeddings_of(self, job: Job, asked: Asked) -> dict[str, Embedding]:
        """The embeddings that a job's prompts name, by names in lower case; of one name, the first that fits.

        One that cannot be used is words like any other, with a note.
        """
        if self.checkpoint.family.flow is not None:
            return {}  # vectors of CLIP's, where most attend to its pooled vector alone or not at all
        found: dict[str, tuple[EmbeddingUse, Embedding]] = {}
        refused: dict[str, FileError] = {}
        twice: dict[str, ModelFile] = {}
        for use in asked.embeddings:
            name = use.name.lower()
            try:
                one = self._embeddings.get(use)
            except FileError as error:
                refused.setdefault(name, error)
                continue
            if found.setdefault(name, (use, one))[0] is not use:
                twice.setdefault(name, use.file)
        texts = (asked.prompt, asked.negative_prompt)
        meant = self.encoder.mentioned(texts, found)
        unmet = self.encoder.mentioned(texts, [name for name in refused if name not in found])
        for name in sorted(unmet):
            job.note(
                remark(
                    "embedding_refused",
                    "{why}. Its name was read as plain words.",
                    about="prompt",
                    why=refused[name],
                )
            )
        for name in sorted(meant):
            use, one = found[name]
            if one.left_out:
                job.note(
                    remark(
                        "embedding_part",
                        "{name}: {parts} in it was left out.",
                        about="prompt",
                        name=use.file.name,
                        parts=", ".join(one.left_out)[:200],
                    )
                )
            if name in twice:
                other = twice[name].name
                job.note(
                    remark(
                        "embedding_twice",
                        "Two embeddings are called {name}: {taken} was taken, {other} not.",
                        about="prompt",
                        name=use.name,
                        taken=use.file.name,
                        other=other,
                    )
                )
        job.embeddings = tuple(
            dict.fromkeys([*job.embeddings, *(found[name][0] for name in found if name in meant)])
        )
        return {name: found[name][1] for name in found if name in meant}

    def look_at(self, job: Job) -> None:
        """Tell of what counts for nothing with this checkpoint. Raises InvalidRequest for what of a request
        cannot be done with it."""
        request, family = job.request, self.checkpoint.family
        check_looks(len(job.shown), family)
        if family.flow is not None:
            for words in flow_notes(job, family):
                job.note(words)
            return
        counts = [
            skips_layers(family, index, clip_l_skip=request.sdxl_clip_l_skip)
            for index in range(len(family.text_encoders))
        ]
        if request.clip_skip > 1 and not any(counts):
            option = ""
            if len(counts) > 1:
                option = remark("clip_skip_option", "; A1111's option sdxl_clip_l_skip changes that")
            job.note(
                remark(
                    "clip_skip_nothing",
                    "Clip skip {n} counts for nothing with {family}, as in A1111: it is "
                    "read at the layer that it was trained on{option}.",
                    about="CLIP_stop_at_last_layers",
                    n=request.clip_skip,
                    family=family.name,
                    option=option,
                )
            )

    @property
    def inpaints(self) -> bool:
        """Whether the UNet takes mask and masked picture as channels of their own."""
        family = self.checkpoint.family
        if family.flow is not None:
            return family.inpaint
        channels: int = self.checkpoint.backbone.config.in_channels
        return channels != family.latent_channels
