"""Every word of the page is in a file of its language, and none of them is left over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from easel.studio.api.scripts.plot_axes import AXES
from easel.studio.ui import assets
from tests.studio.ui.conftest import ask_small, generate_button

WEB = Path(assets.__file__).parent / "web"
LANGUAGES = ("en", "de")
# Ends of keys that no script writes out: the studio's names, and the forms that a language counts in.
FROM_ELSEWHERE = {
    "create.shape.": {"square", "portrait", "landscape", "wide", "tall"},
    "editor.resize.": {"just_resize", "crop_and_resize", "resize_and_fill", "latent_upscale"},
    "queue.nth.": {"one", "two", "few", "other"},
    "xyz.axis.": {axis.label for axis in AXES},
}
ASKED = re.compile(r'\bt\(\s*(?:[^"`()]*\?\s*)?"([a-z][\w.-]*)"')
MADE = re.compile(r"`((?:[a-z][\w-]*\.)+)\$\{[^`]*?\}((?:\.[\w-]+)*)`")
# What a browser shows where a key has no words: the key.
BARE_KEY = (
    r"\b(app|bar|checkpoint|connection|create|editor|engine|error|gallery|models|place|queue|shelf|stage|xyz)"
    r"\.[a-z]"
)


def words(language: str) -> dict[str, object]:
    """A language's file."""
    read: dict[str, object] = json.loads((WEB / "texts" / f"{language}.json").read_text())
    return read


@pytest.fixture(scope="module")
def scripts() -> str:
    """All of the page's own scripts."""
    return "\n".join(
        one.read_text() for one in sorted(WEB.rglob("*.js")) if "vendor" not in one.relative_to(WEB).parts
    )


def test_languages_say_the_same_things() -> None:
    """The same keys, the same names to fill in, and forms for one and many where the other has them."""
    english = words("en")
    for language in LANGUAGES[1:]:
        other = words(language)
        assert set(other) == set(english)
        for key, text in english.items():
            theirs = other[key]
            assert type(theirs) is type(text), key
            for mine, its in forms(text, theirs):
                assert set(re.findall(r"\{(\w+)\}", mine)) == set(re.findall(r"\{(\w+)\}", its)), key


def forms(one: object, other: object) -> list[tuple[str, str]]:
    """The texts that have to go together: both, or the last of several forms of each."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [(one["other"], other["other"])]
    return [(str(one), str(other))]


def test_every_key_that_is_asked_for_has_words(scripts: str) -> None:
    """Written out, or made of a beginning that keys have."""
    english = words("en")
    assert [one for one in ASKED.findall(scripts) if one not in english] == []
    for before, after in MADE.findall(scripts):
        if before.split(".")[0] in {key.split(".")[0] for key in english}:
            assert [one for one in english if one.startswith(before) and one.endswith(after)], before + after


def test_no_words_are_left_over(scripts: str) -> None:
    """Each key stands in a script: whole, or as a beginning whose end is a name in some script, or comes from
    the studio."""
    written = set(re.findall(r'"([a-z][\w.-]*)"', scripts))
    names = set(re.findall(r"[\w-]+", scripts))
    made = set(MADE.findall(scripts))

    def is_made(key: str) -> bool:
        for before, after in made:
            if key.startswith(before) and key.endswith(after):
                end = key[len(before) : len(key) - len(after)]
                if end in names or end in FROM_ELSEWHERE.get(before, ()):
                    return True
        return False

    # What the server says has codes: tests/studio/test_remarks.py.
    own = [key for key in words("en") if not key.startswith("said.")]
    assert [key for key in own if key not in written and not is_made(key)] == []


def test_german_from_the_menu_to_the_picture(visit) -> None:
    """Chosen in the person's menu it is spoken at once, in every place, and still after a reload; so is what
    the server says of the request."""
    page: Page = visit("spricht-deutsch")
    # Twenty steps beside other programs take longer than anybody waits here, and no words come of them.
    ask_small(page, "")
    page.get_by_role("button", name=re.compile("^Settings and help")).click()
    page.get_by_label("Language").select_option("de")
    page.keyboard.press("Escape")
    german = {key: str(text) for key, text in words("de").items()}
    expect(page.locator("html")).to_have_attribute("lang", "de")
    # The door's own pages go by it.
    assert ("easel-language", "de") in [(one["name"], one["value"]) for one in page.context.cookies()]
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(generate_button(page)).to_contain_text(german["create.generate"])
    page.get_by_label(german["create.prompt"], exact=True).fill("ein roter Kreis <lora:gibt_es_nicht:1>")
    generate_button(page).click()
    expect(page.locator("#said-prompt")).to_contain_text("LoRA nicht gefunden: 'gibt_es_nicht'")
    expect(page.locator("#said-prompt")).to_contain_text("Es blieb weg.")
    expect(page.locator(".easel .view img")).to_be_visible()
    seen = [page.locator("body").inner_text()]
    for place in ("gallery", "models"):
        page.get_by_role("link", name=german[f"place.{place}"], exact=True).click()
        expect(page.locator(f".place[data-place={place}]")).to_be_visible()
        page.wait_for_timeout(300)
        seen.append(page.locator("body").inner_text())
    assert german["place.models"] in seen[0]
    assert "Strg" in seen[0]
    assert re.findall(BARE_KEY, "\n".join(seen)) == []
    assert page.faults == []
