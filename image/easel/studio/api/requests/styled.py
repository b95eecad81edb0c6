"""Styles in a request's prompts."""

from __future__ import annotations

from easel.remark import remark
from easel.studio.api.requests.drawing_request import AnyRequest
from easel.studio.api.requests.text_to_image_request import TextToImageRequest
from easel.studio.engine import apply_styles
from easel.studio.settings import is_name
from easel.studio.styles import Styles


def styled(asked: AnyRequest, known: Styles) -> tuple[AnyRequest, list[str]]:
    """The request with its styles in its prompts, and a sentence on those that are not here."""
    names = [name for name in asked.styles if is_name(name)]
    found, missing = known.find(names)
    some = ", ".join(name[:60] for name in missing[:10])
    words = "There are no styles of these names, so they were passed over: {names}."
    notes: list[str] = [remark("no_styles", words, about="styles", names=some)] if missing else []
    if not found:
        return asked, notes
    prompt, negative_prompt = apply_styles(found, asked.prompt, asked.negative_prompt)
    fields = {"prompt": prompt, "negative_prompt": negative_prompt}
    if isinstance(asked, TextToImageRequest):
        hr_prompt, hr_negative_prompt = apply_styles(
            found, asked.hr_prompt, asked.hr_negative_prompt, ("hr_prompt", "hr_negative_prompt")
        )
        # What is empty is the first pass's, and has its styles already.
        fields |= {"hr_prompt": hr_prompt} if asked.hr_prompt else {}
        fields |= {"hr_negative_prompt": hr_negative_prompt} if asked.hr_negative_prompt else {}
    return asked.model_copy(update=fields), notes
