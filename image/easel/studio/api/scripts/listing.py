"""The scripts that there are, as A1111 lists them."""

from __future__ import annotations

from typing import Any

from easel.studio.api.requests.always_on_scripts import ALWAYS_ON, AlwaysOnScript
from easel.studio.api.requests.script_argument import TABS
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.api.scripts.selectable import SELECTABLE

_ALL: tuple[SelectableScript | AlwaysOnScript, ...] = (*SELECTABLE, *ALWAYS_ON)


def script_names() -> dict[str, list[str]]:
    """Names by tab: those to choose from first."""
    return {tab: [one.name for one in _ALL if tab in one.tabs] for tab in TABS}


def script_infos() -> list[dict[str, Any]]:
    """Each script of each tab with its arguments in order."""
    return [
        {
            "name": script.name,
            "is_alwayson": isinstance(script, AlwaysOnScript),
            "is_img2img": tab == "img2img",
            "args": [argument.described() for argument in script.arguments],
        }
        for tab in TABS
        for script in _ALL
        if tab in script.tabs
    ]
