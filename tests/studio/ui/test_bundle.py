"""The page's modules as one file, and those that come later."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from posixpath import dirname, join, normpath

import pytest

from easel.studio.ui.assets import assets
from easel.studio.ui.bundle import BUNDLE, NotUnderstood, bundled, linked

NODE = shutil.which("node")
MODULES = {
    "vendor/lib.js": "const a=1;export{a as lib};",
    "deep/names.js": 'export const NAME = "ada";\nexport function greet() { return `hello ${NAME}`; }\n',
    "deep/made.js": 'import { lib } from "../vendor/lib.js";\nexport default { lib };\n'
    "export class Made {}\n",
    "main.js": 'import { greet as hi, NAME } from "./deep/names.js";\n'
    'import made from "./deep/made.js";\nimport "./side.js";\n'
    "export const said = [hi(), NAME, made.lib];\n"
    'export const later = () => import("./later.js");\n',
    "side.js": "globalThis.side = 1;\n",
    "later.js": 'import { NAME } from "./deep/names.js";\nimport { Made } from "./deep/made.js";\n'
    "export const same = { NAME, Made };\n",
}


def test_each_module_stands_once_behind_what_it_needs() -> None:
    """And vendors' files stay files."""
    text, names = bundled(MODULES, "main.js")
    assert names == ["deep/names.js", "deep/made.js", "side.js", "main.js"]
    assert text.count("// deep/names.js") == 1
    assert text.startswith("import * as $")
    assert "./vendor/lib.js" in text


@pytest.mark.skipif(NODE is None, reason="there is no node here")
def test_it_runs_and_what_comes_later_shares_it(tmp_path: Path) -> None:
    """Node is the judge: names, defaults, renamed names, effects, and one instance of each module."""
    text, taken = bundled(MODULES, "main.js")
    (tmp_path / "vendor").mkdir()
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "vendor" / "lib.js").write_text(MODULES["vendor/lib.js"])
    (tmp_path / BUNDLE).write_text(text)
    (tmp_path / "later.js").write_text(linked("later.js", MODULES["later.js"], taken))
    (tmp_path / "judge.js").write_text(
        'import { $modules } from "./first.js";\n'
        'const { said, later } = $modules["main.js"], { same } = await later();\n'
        'const one = same.Made === $modules["deep/made.js"].Made;\n'
        "console.log(JSON.stringify([said, globalThis.side, same.NAME, one]));\n"
    )
    judged = subprocess.run(
        [str(NODE), "judge.js"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert judged.stdout.strip() == '[["hello ada","ada",1],1,"ada",true]', judged.stderr


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("export let counted = 0;", "export let"),
        ('export { a } from "./side.js";', "export {"),
        ("export * from './side.js';", "export *"),
        ("import { a } from 'bare';", "import {"),
        ('import { a } from "./gone.js";', "gone.js, which is not there"),
        ('import "./main.js";', "need each other: main.js → main.js"),
    ],
)
def test_other_forms_are_refused(source: str, words: str) -> None:
    """When the studio is tested and not when somebody opens the page, with the line."""
    with pytest.raises(NotUnderstood, match=re.escape(words)):
        bundled({"main.js": source, "side.js": ""}, "main.js")


def test_the_page_is_understood() -> None:
    """Whatever is loaded later takes what is in the bundle from there: no module is served twice."""
    served = assets()
    text = served[BUNDLE].content.decode()
    inside = set(re.findall(r"^// (\S+\.js)$", text, re.MULTILINE))
    assert "store.js" in inside
    assert not inside & set(served)
    for name, asset in served.items():
        if name.endswith(".js") and name != BUNDLE and not name.startswith("vendor/"):
            for address in re.findall(r'^import [^;]*?"(\.[^"]+)";', asset.content.decode(), re.MULTILINE):
                assert normpath(join(dirname(name), address)) in served
