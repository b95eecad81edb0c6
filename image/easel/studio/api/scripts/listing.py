"""The scripts that there are, as A1111 lists them."""

from __future__ import annotations

from typing import Any

from easel.models import Store
from easel.studio.api.requests.always_on_scripts import ALWAYS_ON, DETAILER, AlwaysOnScript
from easel.studio.api.requests.script_argument import TABS
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.api.scripts.selectable import SELECTABLE
from easel.studio.engine import find_face_detector


def script_names(store: Store) -> dict[str, list[str]]:
    """Names by tab: those to choose from first."""
    return {tab: [one.name for one in _scripts(store) if tab in one.tabs] for tab in TABS}


def script_infos(store: Store) -> list[dict[str, Any]]:
    """Each script of each tab with its arguments in order."""
    scripts = _scripts(store)
    return [
        {
            "name": script.name,
            "is_alwayson": isinstance(script, AlwaysOnScript),
            "is_img2img": tab == "img2img",
            "args": [argument.described() for argument in script.arguments],
        }
        for tab in TABS
        for script in scripts
        if tab in script.tabs
    ]


def _scripts(store: Store) -> tuple[SelectableScript | AlwaysOnScript, ...]:
    return (*SELECTABLE, *ALWAYS_ON, *([DETAILER] if find_face_detector(store) else []))
