"""Sentences of the server that the page says in its own languages: by codes that each language has."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import easel
from easel.remark import remark
from easel.studio.api.requests import field_faults
from easel.studio.coded_text import CodedText, coded
from easel.studio.engine import InvalidRequest

ROOT = Path(easel.__file__).parent
TEXTS = ROOT / "studio" / "ui" / "web" / "texts"
BEFORE = "said."


def remarks() -> Iterator[tuple[str, set[str], str]]:
    """Each call of `remark` in the tree: its code, the names of its values, and where it stands. What
    pydantic says has codes by a table."""
    for kind, values in field_faults.KINDS.items():
        yield field_faults.CODE.format(kind), set(values), "api/requests/field_faults.py"
    for path in sorted(ROOT.rglob("*.py")):
        for one in ast.walk(ast.parse(path.read_text())):
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "remark":
                where, code = f"{path.relative_to(ROOT)}:{one.lineno}", one.args[0]
                assert isinstance(code, ast.Constant), f"{where}: a code that nobody can look up"
                yield str(code.value), {str(each.arg) for each in one.keywords} - {"about"}, where


def test_every_code_is_in_both_languages() -> None:
    """With the places that its values fill, and no others; no language says what has no code."""
    found = list(remarks())
    assert len(found) > 100
    for language in ("en", "de"):
        texts = json.loads((TEXTS / f"{language}.json").read_text())
        for code, values, where in found:
            text = texts.get(BEFORE + code)
            assert text, f"{where}: {language}.json does not say {code}"
            assert set(re.findall(r"\{(\w+)\}", text)) == values, f"{where}: {code} in {language}.json"
        said = {key.removeprefix(BEFORE) for key in texts if key.startswith(BEFORE)}
        assert said == {code for code, _, _ in found}


def test_a_remark_is_a_text() -> None:
    """To whoever knows nothing of codes; copied and pickled it is the same remark."""
    one = remark("left_out", "{what} was left out.", about="prompt", what="{braces}")
    assert one == "{braces} was left out."
    assert json.loads(json.dumps([one])) == [str(one)]
    for same in (pickle.loads(pickle.dumps(one)), copy.copy(one)):
        assert (same, same.code, same.values, same.about) == (one, one.code, one.values, "prompt")


def test_a_remark_within_a_remark_keeps_its_code() -> None:
    """Errors say what they were given; a text without a code stays a text, and is said once."""
    error = InvalidRequest("steps", 0, remark("from_to", "{low} to {high}", low=1, high=150))
    said = CodedText.of(remark("of_part", "{what}: {why}", what="a", why=error))
    assert said.text == "a: steps is 0; allowed: 1 to 150"
    assert said.values["why"]["code"] == "not_allowed"
    assert said.values["why"]["values"]["allowed"]["values"] == {"low": 1, "high": 150}
    assert coded(["plain", "plain"]) == [CodedText(text="plain")]
