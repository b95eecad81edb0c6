"""Options of callers."""

from __future__ import annotations

from pathlib import Path

import pytest

from easel.studio.caller_options import CallerOptions, TooMany
from easel.studio.outputs import Outputs


def test_each_has_own(tmp_path: Path) -> None:
    """What one sets, another does not see, and it outlives the process."""
    defaults = CallerOptions(Outputs(tmp_path))
    defaults.update("ada", {"CLIP_stop_at_last_layers": 2, "strange": {"a": [1, None]}})
    defaults.update("ada", {"other": "x"})
    assert defaults.read("bob") == {}
    again = CallerOptions(Outputs(tmp_path))
    assert again.read("ada") == {"CLIP_stop_at_last_layers": 2, "strange": {"a": [1, None]}, "other": "x"}


def test_a_broken_file_is_no_options(tmp_path: Path) -> None:
    """A file somebody broke counts as nothing set, and can be written again."""
    outputs = Outputs(tmp_path)
    defaults = CallerOptions(outputs)
    defaults.update("ada", {"a": 1})
    (outputs.owned("ada") / "options.json").write_text("{")
    assert defaults.read("ada") == {}
    defaults.update("ada", {"b": 2})
    assert defaults.read("ada") == {"b": 2}


def test_options_are_bounded(tmp_path: Path) -> None:
    """Nobody fills the disk with options."""
    defaults = CallerOptions(Outputs(tmp_path))
    with pytest.raises(TooMany):
        defaults.update("ada", {"a": "x" * 300_000})
    assert defaults.read("ada") == {}
