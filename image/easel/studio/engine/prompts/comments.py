"""Comments: `#` and what follows it in its line is for people, not for the picture (A1111's option
`enable_prompt_comments`)."""

from __future__ import annotations


def strip_comments(prompt: str) -> str:
    """The prompt without comments; a line that is nothing but one goes with its line break."""
    if "#" not in prompt:
        return prompt
    lines = [line for line in prompt.split("\n") if not line.startswith("#")]
    return "\n".join(line.partition("#")[0] for line in lines)
