"""The door and the console speak the visitor's language: every sentence has its German text, and is said
in it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import easel
from easel.gateway.language import COOKIE, LANGUAGES, language, language_of
from easel.remark import figure, remark
from tests.gateway.conftest import NAVIGATES, House, until
from tests.studio.test_remarks import BEFORE, calls

GATEWAY = Path(easel.__file__).parent / "gateway"
TEXTS = {code: json.loads((GATEWAY / "texts" / f"{code}.json").read_text()) for code in LANGUAGES}
GERMAN = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.8"}
# What gives a sentence to people: its arguments are remarks, or come from one.
SPEAKERS = {
    "add", "say", "event", "once", "_say", "_once", "_place", "_crashed", "ended", "NotNow", "Refusal",
    "LoginFailed", "PodState", "Observed", "Notice", "ModelStatus", "Say", "GiveUp", "AddPlaceholder",
    "NoteRollout", "refused", "refusal", "TokenRefused", "TokenConflict", "NoRoom", "UnknownEndpoint",
    "SyncRefused", "ReplicaStatus", "ask", "_note", "HttpFailed", "BadToken", "UnknownKey", "SecretMissing",
    "_failed",
}  # fmt: skip
# Words of one language that the other does not have.
ENGLISH = re.compile(
    r"\b(the|is|are|of|or|and|not|no|to|with|should|must|which|it|this|again|for|by|from|after|ago|nobody)\b"
)
# Alike in both: names, and what people of both say.
ALIKE = {
    "Token",
    "Tokens",
    "Log",
    "Stop",
    "April",
    "August",
    "September",
    "November",
    "{n} min",
    "{kind} in {zone}",
}


# ── every sentence has a text ────────────────────────────────────────────────────────────────────


def keys() -> Iterator[tuple[str, str]]:
    """Each key that a template or module asks for, and where; of one that is put together the first part."""
    for path in sorted([*GATEWAY.rglob("*.html"), *GATEWAY.rglob("*.py")]):
        for found in re.finditer(r"\b(?:t|text|markup)\(\s*f?\"([\w.]+)(?:[\"{])", path.read_text()):
            yield found[1], str(path.relative_to(GATEWAY))
        for found in re.finditer(r"\bt\(\"([\w.]+)\" if .*? else \"([\w.]+)\"", path.read_text()):
            yield found[2], str(path.relative_to(GATEWAY))
        for found in re.finditer(r"\"(refused\.(?!html)\w+)\"|f\"(refused\.)", path.read_text()):
            yield found[1] or found[2], str(path.relative_to(GATEWAY))


def test_every_key_of_the_pages_is_in_both_languages() -> None:
    """And no language has one that nobody asks for."""
    asked = dict(keys())
    assert len(asked) > 60
    for code, texts in TEXTS.items():
        for key, where in asked.items():
            known = any(one.startswith(key) for one in texts) if key.endswith(".") else key in texts
            assert known, f"{where}: {code}.json does not say {key}"
        begun = tuple(key for key in asked if key.endswith("."))
        unasked = {key for key in texts if not key.startswith((BEFORE, *begun)) and key not in asked}
        assert not unasked - {"number.group", "number.point"}, code


def test_both_languages_have_the_same_keys_and_places() -> None:
    """A text that has a form for one has one for many; no place is lost in translation."""
    assert TEXTS["en"].keys() == TEXTS["de"].keys()

    def forms(text: object) -> list[str]:
        return [*text.values()] if isinstance(text, dict) else [str(text)]

    for key, english in TEXTS["en"].items():
        german = forms(TEXTS["de"][key])
        assert not isinstance(english, dict) or set(english) == {"one", "other"}, key
        places = {frozenset(re.findall(r"\{(\w+)\}", one)) for one in (*forms(english), *german)}
        assert len(places) == 1, key


def test_german_is_german() -> None:
    """No text is the English one, but of names and what is all places and marks; none has English words."""
    for key, english in TEXTS["en"].items():
        for form in english.values() if isinstance(english, dict) else [english]:
            german = TEXTS["de"][key]
            words = re.findall(r"[A-Za-z]{3,}", re.sub(r"\{\w+\}|`[^`]*`|AWS|ConfigMap", "", form))
            assert german != form or not words or form in ALIKE, key
        said = german if isinstance(german, str) else " ".join(german.values())
        plain = re.sub(r"\{\w+\}|`[^`]*`|„[^“]*“|\([^)]*\.md\)", "", said)
        assert not ENGLISH.search(plain), f"{key}: {german}"


def test_the_english_texts_are_what_the_remarks_say() -> None:
    """Who reads `texts/en.json` reads what programs are told."""
    checked = 0
    for where, one in calls():
        template = one.args[1]
        if where.startswith("gateway/") and isinstance(template, ast.Constant):
            assert isinstance(one.args[0], ast.Constant)
            assert TEXTS["en"][f"{BEFORE}{one.args[0].value}"] == template.value, where
            checked += 1
    assert checked > 100


def test_nobody_is_told_a_sentence_without_a_code() -> None:
    """Words that are given to a page, an event or a refusal as plain text would be English for everybody."""
    found = []
    for path in sorted(GATEWAY.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name not in SPEAKERS or _logs(call):
                continue
            # The first of `once` is a name for what is said.
            given_words = call.args[name in ("once", "_once") :]
            for given in [
                *given_words,
                *(one.value for one in call.keywords if one.arg in ("text", "words")),
            ]:
                if sentence := _sentence(given):
                    found.append(f"{path.relative_to(GATEWAY)}:{call.lineno} {name}: {sentence}")
    assert not found, "\n".join(found)


def _logs(call: ast.Call) -> bool:
    """Whether it writes a line of the log or of the audit, which are for programs."""
    owner = ast.unparse(call.func)
    return owner.startswith(("_log.", "self._audit", "log.")) or owner.endswith("audit.add")


def _sentence(node: ast.expr) -> str:
    """Words of a plain text: two at least, so that they are none of a program's."""
    if isinstance(node, ast.BoolOp | ast.IfExp):
        parts = node.values if isinstance(node, ast.BoolOp) else [node.body, node.orelse]
        return next((found for one in parts if (found := _sentence(one))), "")
    text = ""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    elif isinstance(node, ast.JoinedStr):
        text = "".join(str(one.value) for one in node.values if isinstance(one, ast.Constant))
    return text if re.search(r"[a-z]+ [a-z]+", text) else ""


# ── whose language ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("accepted", "cookie", "code"),
    [
        ("", "", "en"),
        ("de", "", "de"),
        ("de-AT,en;q=0.5", "", "de"),
        ("fr,de;q=0.7,en;q=0.3", "", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "", "en"),
        ("en;q=0.5, DE-de ; q=0.6", "", "de"),
        ("de;q=0", "", "en"),
        ("de;q=x", "", "en"),
        ("*", "", "en"),
        ("fr", "", "en"),
        (",;=,", "", "en"),
        ("de," * 100_000, "", "de"),
        ("en", f"{COOKIE}=de", "de"),
        ("de", f"easel_studio=x; {COOKIE}=en; other=1", "en"),
        ("de", f"{COOKIE}=fr", "de"),
        ("de", f"not{COOKIE}=en", "de"),
        ("en", f"{COOKIE}=de<script>", "en"),
    ],
)
def test_the_choice_comes_before_the_browser_and_that_before_english(
    accepted: str, cookie: str, code: str
) -> None:
    """By `Accept-Language` with its weights, unless somebody chose; what is strange counts for nothing."""
    assert language_of({"accept-language": accepted, "cookie": cookie}).code == code


def test_numbers_and_spans_are_the_languages_own() -> None:
    """Money, grouped numbers, one and many; English is as programs read it."""
    said = remark("aws_quota_full", "{n} vCPUs", n=figure(1024, ",d"))
    german = language("de")
    assert "1.024 vCPUs" in german.say(said)
    assert german.decimal(1234.5, 2) == "1.234,50"
    assert language("en").decimal(1234.5, 2) == "1,234.50"
    assert (german.ago(86400), german.ago(200000)) == ("vor 1 Tag", "vor 2 Tagen")
    assert language("en").ago(200000) == "2 d ago"
    assert german.text("tokens.after", n=1) == "nach 1 Tag"


def test_what_a_replica_says_is_said_by_the_studios_texts() -> None:
    """And what has no text, or not all of its values, as it came."""
    german = language("de")
    assert german.say(remark("engine_loading", "loading {name}", name="xl")) == "lädt xl"
    assert german.say(remark("nobody_knows_this", "as it came")) == "as it came"
    assert german.say(remark("engine_loading", "loading")) == "loading"
    assert german.say("plain") == "plain"


# ── at the door ──────────────────────────────────────────────────────────────────────────────────


def english(page: str) -> str:
    """English words of a page that a person would read."""
    shown = re.sub(r"<(script|style).*?</\1>|<code>.*?</code>", " ", page, flags=re.DOTALL)
    words = re.findall(r'(?:title|aria-label|placeholder)="([^"]*)"', shown)
    words.append(re.sub(r"<[^>]*>", " ", shown))
    return " … ".join(
        one[max(0, found.start() - 40) : found.end() + 40] for one in words for found in ENGLISH.finditer(one)
    )


def test_the_sign_in_page_speaks_the_visitors_language(house: House) -> None:
    """By the browser's wish and by the choice, with a wrong token too; `lang` is right for readers."""
    stranger = house.client("studio", headers=NAVIGATES)
    page = stranger.get("/", headers=GERMAN)
    assert (page.status_code, page.headers["content-language"]) == (401, "de")
    assert '<html lang="de">' in page.text
    assert "studio ist privat" in page.text
    wrong = stranger.get("/?token=easel_" + "x" * 43, headers=GERMAN)
    assert "Dieser Link oder dieses Token gilt nicht" in wrong.text
    chosen = stranger.get("/", headers={**GERMAN, "Cookie": f"{COOKIE}=en"})
    assert '<html lang="en">' in chosen.text
    assert "studio is private" in chosen.text
    for one in (page, wrong, house.client("console", headers=NAVIGATES).get("/", headers=GERMAN)):
        assert not english(one.text), one.text
    assert house.browser("studio").get("/", headers={"Cookie": f"{COOKIE}=de"}).status_code in (200, 401)


def test_programs_are_told_in_english(house: House) -> None:
    """Whatever they accept: A1111's clients and scripts go by the words."""
    answer = house.client("studio", headers=GERMAN).post("/sdapi/v1/txt2img", json={})
    assert answer.json()["detail"].startswith("this endpoint is private")
    caller = house.caller("console")
    refused = caller.post("/api/tokens", json={"endpoint": "nobody", "name": "x"}, headers=GERMAN)
    assert refused.json()["detail"].startswith("there is no endpoint")
    assert refused.json()["words"].startswith("Den Endpunkt 'nobody' gibt es nicht")


def test_a_refusal_that_a_person_sees_is_a_page(house: House) -> None:
    """Of the door's paths, of the console's, in their language; a program gets JSON for the same."""
    browser = house.browser("studio")
    page = browser.get("/easel/nothing", headers=GERMAN)
    assert (page.status_code, page.headers["content-language"]) == (404, "de")
    assert "Dieser Pfad ist nicht für Aufrufer von außen." in page.text
    assert house.caller("studio").get("/easel/nothing").json()["error"] == "NotFound"
    console = house.browser("console").get("/nothing", headers=GERMAN)
    assert (console.status_code, "Hier ist nichts" in console.text) == (404, True)
    assert not english(page.text + console.text)


def test_signing_out_is_asked_in_german(house: House) -> None:
    """The door's own page below /easel."""
    page = house.browser("studio").get("/easel/signout", headers=GERMAN)
    assert "Von studio abmelden?" in page.text
    assert not english(page.text)


def test_what_happens_to_the_team_is_on_top_of_the_console(house: House) -> None:
    """A spent budget or a configuration that is not used is nobody's endpoint: it was an event that no page
    showed. The check's own words are quoted."""
    file = house.root / "config" / "other.json"
    before = file.read_text()
    try:
        file.write_text("{")
        browser = house.browser("console")
        words = "die geänderte Konfiguration wird nicht benutzt"
        until(lambda: words in browser.get("/live", headers=GERMAN).text, what="the event is shown")
    finally:
        file.write_text(before)
    page = browser.get("/", headers=GERMAN).text
    assert words in page.partition('data-live="team"')[2].partition("</section>")[0]


def test_what_a_replica_says_by_a_code_is_german_on_the_console(house: House) -> None:
    """From `/easel/load` to the page; what one says that is no sentence of a studio's does no harm."""
    caller, browser = house.caller("other"), house.browser("console")
    hostile = {"text": "<b>x</b>", "code": "engine_loading", "values": {"name": "<script>y</script>"}}
    said = {"text": "loading xl", "code": "engine_loading", "values": {"name": "xl"}}
    try:
        for remark_of, shown in ((said, "lädt xl"), (hostile, "lädt &lt;script&gt;y")):
            caller.post("/test/set", json={"detail": "loading xl", "remark": remark_of})
            until(lambda words=shown: words in browser.get("/live", headers=GERMAN).text, what=shown)
            assert "<script>y" not in browser.get("/", headers=GERMAN).text
        assert house.endpoint("other")["detail"] == "<b>x</b>"
    finally:
        caller.post("/test/set", json={"detail": "ready now", "remark": None})


def test_the_console_speaks_german(house: House) -> None:
    """All of it, with its events and tokens; its live parts the same."""
    house.new_token("other", "for-german", "30d")
    browser = house.browser("console")
    page, live = (browser.get(path, headers=GERMAN) for path in ("/", "/live"))
    assert page.headers["content-language"] == live.headers["content-language"] == "de"
    assert '<html lang="de">' in page.text
    for words in (
        "Diese Konsole", "bereit", "läuft in 30 Tagen ab", "Neues Token", "Token for-german erstellt",
    ):  # fmt: skip
        assert words in page.text
    names = "|".join(re.escape(token["name"]) for token in house.api("GET", "/api/tokens").json())
    for one in (page, live):
        # What other tests had happen here is quoted in its own words, and so are names that they gave.
        own = re.sub(r'<ol class="(endpoint )?events".*?</ol>', "", one.text, flags=re.DOTALL)
        assert not english(re.sub(names, "", own)), english(own)
    assert house.api("DELETE", "/api/tokens/other/for-german").status_code == 200
