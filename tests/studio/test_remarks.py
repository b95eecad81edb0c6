"""Sentences of the server that the pages of studio and gateway say in their own languages: by codes that each
has."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import easel
from easel.models.sizes import part_of_whole
from easel.remark import Remark, as_json, figure, from_json, remark
from easel.studio.api.requests import field_faults
from easel.studio.coded_text import CodedText, coded
from easel.studio.engine import InvalidRequest

ROOT = Path(easel.__file__).parent
BEFORE = "said."
# Where the sentences of a part have their texts. Those of models and engine are said by the studio's.
TEXTS = {"studio": ROOT / "studio" / "ui" / "web" / "texts", "gateway": ROOT / "gateway" / "texts"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Each call of `remark` in the tree, and where it stands."""
    for path in sorted(ROOT.rglob("*.py")):
        for one in ast.walk(ast.parse(path.read_text())):
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "remark":
                yield f"{path.relative_to(ROOT)}:{one.lineno}", one


def remarks(part: str) -> Iterator[tuple[str, set[str], str]]:
    """Each call of `remark` in a part: its code, the names of its values, and where it stands. What pydantic
    says has codes by a table."""
    for kind, values in field_faults.KINDS.items() if part == "studio" else ():
        yield field_faults.CODE.format(kind), set(values), "api/requests/field_faults.py"
    for where, one in calls():
        if where.startswith("gateway/") != (part == "gateway"):
            continue
        code = one.args[0]
        assert isinstance(code, ast.Constant), f"{where}: a code that nobody can look up"
        yield str(code.value), {str(each.arg) for each in one.keywords} - {"about"}, where


@pytest.mark.parametrize("part", TEXTS)
def test_every_code_is_in_both_languages(part: str) -> None:
    """With the places that its values fill, and no others; no language says what has no code."""
    found = list(remarks(part))
    assert len(found) > 100
    for language in ("en", "de"):
        texts = json.loads((TEXTS[part] / f"{language}.json").read_text())
        for code, values, where in found:
            text = texts.get(BEFORE + code)
            assert text, f"{where}: {language}.json does not say {code}"
            assert set(re.findall(r"\{(\w+)\}", text)) == values, f"{where}: {code} in {language}.json"
        said = {key.removeprefix(BEFORE) for key in texts if key.startswith(BEFORE)}
        assert said == {code for code, _, _ in found}


def test_no_code_is_of_two_parts() -> None:
    """The gateway says what replicas say, by the studio's texts: one code would be two sentences."""
    assert not {code for code, _, _ in remarks("studio")} & {code for code, _, _ in remarks("gateway")}


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


def test_a_remark_crosses_from_one_process_to_another() -> None:
    """With all that stands in it, figures too; of what a stranger sends, no more than a text is taken."""
    inner = remark("of_part", "{n} of {what}", n=figure(1024.5, ",.1f"), what=remark("file_gone", "a file"))
    said = remark("of_file", "{name}: {problem}", name="x", problem=inner)
    found = from_json(json.loads(json.dumps(as_json(said))))
    assert isinstance(found, Remark)
    assert (found, found.code) == ("x: 1,024.5 of a file", "of_file")
    assert (found.values["problem"].values["n"].number, found.values["problem"].values["what"].code) == (
        1024.5,
        "file_gone",
    )
    assert from_json(as_json("plain")) == "plain"
    deep: dict[str, object] = {"text": "a"}
    for _ in range(50):
        deep = {"text": "a", "code": "x", "values": {"a": deep}}
    for strange in (
        None, 3, [], {}, {"text": 3}, {"code": "x", "values": {}},
        {"text": "a", "code": "../x", "values": {}},
        {"text": "a", "code": "x", "values": 3}, {"text": "a", "number": 1e300, "digits": 2}, deep,
        {"text": "a", "number": 1, "digits": "x"},
        {"text": "a" * 9999, "code": "x", "values": {"a": "b" * 9999}},
        {"text": "a", "code": "x", "values": dict.fromkeys(map(str, range(99)), "b")},
    ):  # fmt: skip
        taken = from_json(strange)
        assert taken is None or len(json.dumps(as_json(taken))) < 20_000


def test_numbers_are_written_by_the_page() -> None:
    """A figure is English in the text, and a number for the page: "0,1 von 19,1 MB"."""
    said = CodedText.of(part_of_whole(100_000, 19_100_000))
    assert said.text == "0.1 of 19.1 MB"
    assert said.values["part"] == {"text": "0.1", "number": 0.1, "digits": 1}
    assert said.values["whole"]["values"]["n"] == {"text": "19.1", "number": 19.1, "digits": 1}
    assert figure(1234567) == "1,234,567"
    assert type(figure(1e30, "g")) is str
    kept = pickle.loads(pickle.dumps(figure(0.5, "g")))
    assert (kept, kept.number, kept.digits) == ("0.5", 0.5, 1)


def test_no_number_is_english_for_every_language() -> None:
    """Nothing of a remark is a number that was put into form already, in its values or by its template."""
    for where, one in calls():
        for node in ast.walk(one):
            formed = isinstance(node, ast.FormattedValue) and node.format_spec is not None
            assert not formed, f"{where}: figure() writes numbers"
        template = one.args[1]
        if isinstance(template, ast.Constant):
            assert not re.search(r"\{\w+:", str(template.value)), f"{where}: figure() writes numbers"
