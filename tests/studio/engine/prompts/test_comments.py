"""Comments in prompts."""

from __future__ import annotations

import pytest

from easel.studio.engine.prompts.comments import strip_comments


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        ("a cat", "a cat"),
        ("a cat # not a dog", "a cat "),
        ("# all of it", ""),
        ("a\n# b\nc", "a\nc"),
        ("a # b\nc", "a \nc"),
        ("a#b#c", "a"),
        ("#a\n#b\nc", "c"),
    ],
)
def test_comments(prompt: str, meant: str) -> None:
    """From `#` to the end of the line nothing counts; a line that is nothing else goes whole."""
    assert strip_comments(prompt) == meant
