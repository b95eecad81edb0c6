"""The audit log: who was let in or refused, what was changed, by whom, from where; and no secret."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from easel.gateway.access.request import ForwardedRequest
from easel.gateway.audit import log as log_module
from easel.gateway.audit.changes import change
from easel.gateway.audit.log import AuditLog, scrubbed
from scripts.__main__ import main
from tests.gateway.conftest import FETCHES, House, until
from tests.gateway.relay.test_revoking import bearer, page


def lines(house: House, **asked: Any) -> list[dict[str, Any]]:
    answer = house.api("GET", "/api/audit", params={"tail": 100_000, **asked})
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def since(house: House) -> float:
    return time.time()


def test_who_did_what_is_written(house: House, since: float) -> None:
    """Sign-ins, use, refusals, tokens, passes, wakes, changes with their outcome, sign-outs: each with actor,
    endpoint, address and time."""
    name = "audited"
    plaintext = house.new_token("studio", name)
    browser, api = page(house, plaintext), bearer(house, plaintext)
    assert bearer(house, "easel_" + "x" * 43).get("/some/page").status_code == 401
    assert api.get("/").status_code == api.get("/").status_code == 200
    told = "filename " + base64.b64encode(b"new.safetensors").decode()
    assert api.post("/files/uploads", headers={"Upload-Metadata": told}).status_code == 200
    # However it is spelt: what a replica makes of a path is its own business.
    assert api.delete("/files/../files//content?path=models/Lora/old.safetensors").status_code == 200
    assert browser.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    console = bearer(house, house.token("console"), "console")
    assert console.post("/api/endpoints/other/wake").status_code == 200
    assert console.post("/api/endpoints/studio/pass").status_code == 201
    assert browser.post("/easel/signout").status_code == 303
    assert house.api("DELETE", f"/api/tokens/studio/{name}").status_code == 200

    def found() -> dict[str, dict[str, Any]]:
        return {line["kind"]: line for line in lines(house, since=since)}

    until(lambda: {"deleted", "uploaded"} <= set(found()))
    by_kind = found()
    assert by_kind["token-made"] | {"at": 0} == {
        "at": 0, "kind": "token-made", "actor": "@operator", "endpoint": "studio", "address": "local",
        "what": name,
    }  # fmt: skip
    assert by_kind["signed-in"]["actor"].startswith(f"{name}/")
    assert by_kind["signed-in"]["address"].startswith("127.")
    deleted = by_kind["deleted"]
    assert (deleted["actor"], deleted["what"], deleted["status"]) == (
        name,
        "models/Lora/old.safetensors",
        200,
    )
    assert by_kind["uploaded"]["what"] == "new.safetensors"
    assert (by_kind["woke"]["actor"], by_kind["woke"]["endpoint"]) == ("link", "other")
    assert by_kind["pass-made"]["address"].startswith("127.")
    assert by_kind["signed-out"]["actor"] == by_kind["signed-in"]["actor"]
    assert by_kind["token-revoked"]["what"] == name
    used = [line for line in lines(house, since=since) if line["kind"] == "used" and line["actor"] == name]
    assert len(used) == 1, "each right from each address once an hour"
    refused = [line for line in lines(house, since=since) if line["kind"] == "refused"]
    assert {line["status"] for line in refused} == {401, 403}
    assert all(since - 1 < time.time() for line in refused)
    assert {line["endpoint"] for line in lines(house, since=since, endpoint="other")} == {"other"}


def test_who_does_not_wait_for_the_answer_is_told_of_too(house: House, since: float) -> None:
    """Hanging up is no way around it: the status is then 0, nobody knows."""
    with pytest.raises(httpx.ReadTimeout):
        house.caller("studio").delete("/test/hang", timeout=0.3)
    until(lambda: [line["status"] for line in lines(house, since=since) if line["kind"] == "deleted"] == [0])


def test_no_secret_in_it(house: House) -> None:
    """Whatever callers write where: no token, no pass, no cookie is in the audit log."""
    plaintext = house.new_token("studio", "hidden")
    secrets = [plaintext, house.token("studio"), house.token("console")]
    browser = page(house, plaintext)
    secrets.append(browser.cookies["easel_studio"])
    pass_ = house.api("POST", "/api/endpoints/studio/pass").json()["token"]
    secrets += [pass_, *filter(None, pass_.split(".")[1:])]
    api, strange = bearer(house, plaintext), bearer(house, "easel_" + "z" * 43)
    for one in (plaintext, pass_):
        for spelt in (one, quote(quote(one, safe=""), safe=""), one.replace("_", "%5F", 1)):
            told = "filename " + base64.b64encode(f"{spelt}.safetensors".encode()).decode()
            headers = {"User-Agent": spelt, "Referer": f"http://x/?token={spelt}", "Upload-Metadata": told}
            for client in (api, strange):
                client.post("/files/uploads", headers=headers)
                client.delete(f"/a/{spelt}?path={spelt}&token={spelt}", headers=headers)
    browser.post("/easel/signin", data={"token": plaintext + "x", "next": f"/?token={plaintext}"})
    house.api("DELETE", "/api/sessions", params={"member": plaintext})
    house.api("DELETE", "/api/tokens/studio/hidden")
    until(lambda: any(line["kind"] == "deleted" for line in lines(house)))
    text = "".join(path.read_text() for path in (house.root / "logs").glob("audit*"))
    assert not [one for one in secrets if one in text or quote_plus(one) in text]
    assert (house.root / "logs" / "audit.jsonl").stat().st_mode & 0o077 == 0


_SECRET = st.from_regex(
    r"easel_[A-Za-z0-9_-]{43}|easel_pass\.[A-Za-z0-9_-]{20,40}\.[A-Za-z0-9_-]{6,40}", fullmatch=True
)
_AROUND = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


@given(_SECRET, _AROUND, _AROUND, st.lists(st.sampled_from([quote, quote_plus]), max_size=7))
def test_no_spelling_hides_a_secret(secret: str, before: str, after: str, rounds: list[Any]) -> None:
    """Percent signs over percent signs, and any text around: what is written shows no part of it."""
    spelt = secret.replace("_", "%5f") if len(before) % 2 else secret
    for spell in rounds:
        spelt = spell(spelt)
    said = scrubbed(f"{before} {spelt} {after}")
    assert len(said) <= 300
    assert secret[-12:] not in said or secret[-12:] in f"{before} {after}"


def test_the_log_is_for_operators_alone(house: House) -> None:
    """By the machine's key or a token of the console; not at endpoints, not for strangers."""
    assert bearer(house, house.token("console"), "console").get("/api/audit").status_code == 200
    assert house.client("console").get("/api/audit").status_code == 401
    assert "actor" not in house.caller("studio").get("/api/audit").json()
    assert house.api("GET", "/api/audit", params={"since": "x"}).status_code == 422


@pytest.mark.parametrize("far", [False, True])
def test_the_command_shows_it(house: House, tmp_path: Path, far: bool) -> None:
    """Here from the files, from afar by the console; by endpoint, since a moment, as JSON lines."""
    environment = {"EASEL_HOME": str(house.root)}
    if far:
        environment = {
            "EASEL_HOME": str(tmp_path), "EASEL_CONSOLE": house.url("console"),
            "EASEL_TOKEN": house.token("console"),
        }  # fmt: skip

    def easel(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env=environment)

    began = time.time()
    page(house, house.token("other"), "other")
    shown = easel("logs", "--audit", "--endpoint", "other", "--since", "5s", "-n", "1000")
    assert shown.exit_code == 0, shown.output
    records = [json.loads(line) for line in shown.output.splitlines()]
    assert records
    assert {record["endpoint"] for record in records} == {"other"}
    assert "signed-in" in {record["kind"] for record in records}
    assert began
    assert len(easel("logs", "--audit", "-n", "2").output.splitlines()) == 2
    assert easel("logs", "--audit", "--since", "2100-01-01").output == ""
    assert "neither a span" in easel("logs", "--audit", "--since", "soon").output
    assert easel("logs", "--since", "2h").exit_code == 2
    signed_out = easel("token", "signout", "--endpoint", "other", "--name", "link")
    assert "signed out of other" in signed_out.output
    assert "signed out of everything" in easel("token", "signout", "--member", "nobody@example.com").output
    assert easel("token", "signout", "--endpoint", "other").exit_code == 2


# ── by itself ────────────────────────────────────────────────────────────────────────────────────


def test_a_scanner_does_not_fill_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten refusals a minute from one network, then how many more; a right caller is told of still."""
    log = AuditLog(tmp_path)
    for number in range(1000):
        log.refused(endpoint="studio", address="192.0.2.1", status=401, path=f"/{number}")
    for number in range(1000):
        log.refused(endpoint="studio", address=f"2001:db8:{number:x}::1", status=401)
    log.add("signed-in", actor="kim/x", endpoint="studio", address="192.0.2.1")
    monkeypatch.setattr(log, "_since", time.monotonic() - 61)
    log.look()
    found = [json.loads(line) for line in log.lines(most=10_000)]
    assert len(found) <= 10 + 200 + 2
    assert (
        sum(1 + line.get("more", 0) - ("more" in line) for line in found if line["kind"] == "refused") == 2000
    )
    assert found[-2]["kind"] == "signed-in"


def test_it_is_rotated_by_size_and_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file ends at 10 MiB or after 31 days; so many are kept, and for a year."""
    monkeypatch.setattr(log_module, "LARGEST", 2000)
    monkeypatch.setattr(log_module, "KEPT", 3)
    log = AuditLog(tmp_path)
    for number in range(100):
        log.add("used", actor=str(number), path="x" * 100)
        log.look()
    old = sorted(tmp_path.glob("audit-*.jsonl"))
    assert len(old) == 3
    assert all(path.stat().st_size < 2400 and path.stat().st_mode & 0o077 == 0 for path in old)
    actors = [json.loads(line)["actor"] for line in log.lines()]
    assert actors == [str(number) for number in range(100 - len(actors), 100)]
    # A year later, and a month after the first line of the file that is written to.
    os.utime(old[0], (1, 1))
    (tmp_path / "audit.jsonl").write_text('{"at": "2020-01-01T00:00:00+00:00", "kind": "used"}\n')
    log.look()
    assert old[0] not in tmp_path.glob("audit-*.jsonl")
    assert not (tmp_path / "audit.jsonl").exists()


def test_a_line_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    """A crash in the middle of a line loses that line alone."""
    log = AuditLog(tmp_path)
    log.add("used", actor="one")
    with (tmp_path / "audit.jsonl").open("a") as file:
        file.write('{"at": "20\n{"at": 3}\n[]\n')
    log.add("used", actor="two")
    assert [json.loads(line)["actor"] for line in log.lines()] == ["one", "two"]


@pytest.mark.parametrize(
    ("method", "uri", "kind"),
    [
        ("DELETE", "/anything", "deleted"),
        ("POST", "/files/uploads", "uploaded"),
        ("POST", "/%66iles/./uploads/", "uploaded"),
        ("POST", "//files//uploads?x", "uploaded"),
        ("PATCH", "/files/uploads/abc", None),
        ("PUT", "/api/settings", "changed"),
        ("POST", "/studio/models/downloads", "fetched"),
        ("POST", "/studio/models/files/rename", "changed"),
        ("POST", "/sdapi/v1/txt2img", None),
        ("GET", "/files/content", None),
    ],
)
def test_what_counts_as_a_change(method: str, uri: str, kind: str | None) -> None:
    """By method, and by the path in any spelling."""
    found = change(ForwardedRequest(method, uri, {}))
    assert (found[0] if found else None) == kind


@pytest.mark.parametrize(
    ("method", "uri", "told"),
    [
        ("POST", "/studio/styles/team", ("changed", "/studio/styles/team")),
        ("PUT", "/studio/styles/team?name=chalk", ("changed", "/studio/styles/team chalk")),
        ("DELETE", "/studio/styles/own?name=chalk", ("deleted", "/studio/styles/own chalk")),
        ("PUT", "/studio/wildcards/file?name=light%2Fwarm", ("changed", "/studio/wildcards/file light/warm")),
        ("DELETE", "/studio/wildcards/file?name=x", ("deleted", "/studio/wildcards/file x")),
        ("DELETE", "/files?path=models%2Fx", ("deleted", "models/x")),
        # As the studio reads them: the last of a name.
        ("DELETE", "/files?path=models%2Fx&path=models%2Fy", ("deleted", "models/y")),
        ("DELETE", "/files?path=models%2Fx&path=", ("deleted", "")),
        ("DELETE", "/files?path=" + "/" * 400 + "models/x", ("deleted", "/models/x")),
        ("PUT", "/studio/styles/team?name=chalk&name=ink", ("changed", "/studio/styles/team ink")),
        ("GET", "/studio/styles", None),
    ],
)  # fmt: skip
def test_styles_and_wildcards_are_told_by_name(method: str, uri: str, told: tuple[str, str] | None) -> None:
    """What a team draws with is changed under somebody's name: which style, which wildcards, and whose."""
    assert change(ForwardedRequest(method, uri, {})) == told


def test_an_upload_is_told_by_the_name_that_it_gets() -> None:
    """Of `Upload-Metadata` the studio reads `filename`, else `name`; what else is said there is nobody's."""
    said = {"path": b"innocent.safetensors", "filename": b"real.safetensors"}
    told = ",".join(f"{key} {base64.b64encode(value).decode()}" for key, value in said.items())
    asked = ForwardedRequest("POST", "/files/uploads", {"upload-metadata": told})
    assert change(asked) == ("uploaded", "real.safetensors")


def test_a_long_path_takes_no_time() -> None:
    """Percent signs over percent signs, a header full of them: whoever is refused must hold nobody up."""
    began = time.thread_time()
    assert len(scrubbed("/" + "%" + "25" * 100_000)) <= 300
    assert time.thread_time() - began < 0.5


def test_own_pages_are_no_change(house: House, since: float) -> None:
    """Looking writes one line a right and hour, drawing none."""
    browser = page(house, house.token("studio"))
    for _ in range(5):
        browser.get("/", headers=FETCHES)
    browser.post("/sdapi/v1/txt2img", headers=FETCHES)
    kinds = [line["kind"] for line in lines(house, since=since, endpoint="studio")]
    assert kinds == ["signed-in", "used"]
