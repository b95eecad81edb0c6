"""`easel clone`: one endpoint more, and no other byte of the file changed."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from infra.cost import floor_monthly, hourly
from infra.stackfile import load_stack
from scripts.__main__ import main
from scripts.commands.clone import cloned
from scripts.stacks.teams import Address
from tests.scripts.stackfiles import ART, LOCAL, Teams, done, refused


@pytest.fixture
def teams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Teams:
    found = Teams(tmp_path, monkeypatch)
    found.write("art", ART)
    return found


def added(before: str, after: str) -> str:
    """The lines that were added in one place. Fails if anything else changed."""
    # The last line of a file without a last line end gets one, which is the only byte that may change.
    old, new = ([line.removesuffix("\r") for line in text.split("\n")] for text in (before, after))
    more = len(new) - len(old)
    places = [n for n in range(len(old) + 1) if old[:n] + new[n : n + more] + old[n:] == new]
    assert more > 0
    assert places, (old, new)
    return "\n".join(new[places[-1] : places[-1] + more])


def endpoints(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_bytes())["config"]["easel:endpoints"]
    return found


def test_the_copy_is_as_the_original_is_written(teams: Teams) -> None:
    """Comments inside it, spaces and what is commented out come along; everything else stays to the byte."""
    done("clone", "art/studio", "art/portraits", "--shape", "gpu.l40s", "--max", "2")
    assert (
        added(ART, teams.text())
        == """    portraits:
      shape: gpu.l40s # 24 GB
      replicas: {min: 0,   max: 2}

      # a coffee's length
      idle: 15m
      models:
      - hf://a/sd_xl_base_1.0.safetensors   # the usual one
      # - s3://bucket/other.safetensors"""
    )
    portraits = load_stack(teams.file("art")).endpoints["portraits"]
    assert (portraits.shape, portraits.replicas.max, portraits.idle) == ("gpu.l40s", 2, 900)


def test_a_name_alone_is_of_the_default_stack(teams: Teams) -> None:
    """EASEL_STACK says which; most people have one."""
    done("clone", "studio", "portraits")
    assert list(load_stack(teams.file("art")).endpoints) == ["studio", "portraits"]


def test_a_bare_second_name_is_of_the_first_ones_team(teams: Teams) -> None:
    """`easel clone music/studio more` means music."""
    teams.write("music", ART)
    done("clone", "music/studio", "more")
    assert "more" in load_stack(teams.file("music")).endpoints
    assert teams.text() == ART


def test_the_diff_and_the_cost_are_shown(teams: Teams) -> None:
    """So that what is written is no surprise, in git or on the bill."""
    said = done("clone", "studio", "portraits", "--shape", "gpu.l40s")
    assert "+    portraits:" in said
    assert "-    " not in said, "nothing is taken away"
    at_most = hourly(load_stack(teams.file("art")).endpoints["portraits"]).max
    assert at_most > 3 * 2.24
    assert f"portraits: $0.000 an hour asleep, $0.00 at min, ${at_most:.2f} at max" in said
    assert "48 vCPUs of on-demand G and VT instances at max, 24 before" in said


def test_what_stands_all_the_time_is_told_as_more_at_rest(teams: Teams) -> None:
    """A clone of an endpoint with warm instances costs while it sleeps."""
    teams.write("art", ART.replace("idle: 15m", "warm: 1\n      idle: 15m"))
    before = floor_monthly(load_stack(teams.file("art")))
    said = done("clone", "studio", "portraits")
    after = floor_monthly(load_stack(teams.file("art")))
    assert after > before + 5
    assert f"at rest: ${after:.2f} a month, ${after - before:.2f} more" in said


def test_a_dry_run_writes_nothing(teams: Teams) -> None:
    """The same words, and the file as it was."""
    said = done("clone", "studio", "portraits", "--dry-run")
    assert "+    portraits:" in said
    assert "nothing is written" in said
    assert teams.text() == ART


@pytest.mark.parametrize(("answer", "written"), [("y\n", True), ("\n", True), ("n\n", False)])
def test_on_a_terminal_it_asks(
    teams: Teams, monkeypatch: pytest.MonkeyPatch, answer: str, written: bool
) -> None:
    """A person sees the diff before it is true; --yes does not ask."""
    monkeypatch.setattr("scripts.commands.clone.on_a_terminal", lambda: True)
    result = CliRunner().invoke(main, ["clone", "studio", "portraits"], input=answer)
    assert "Write it?" in result.output
    assert result.exit_code == (0 if written else 2)
    assert (teams.text() != ART) is written
    teams.write("art", ART)
    assert "Write it?" not in done("clone", "studio", "portraits", "--yes")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["art/nobody", "art/b"], "has no endpoint 'nobody'; there is studio"),
        (["art/studoi", "art/b"], "has no endpoint 'studoi'; did you mean studio?"),
        (["art/studio", "art/studio"], "has an endpoint 'studio' already"),
        (["musik/studio", "b"], "Pulumi.musik.yaml: `easel new musik` makes it"),
        (["art/studio", "musik/b"], "Pulumi.musik.yaml: `easel new musik` makes it"),
        (["arts/studio", "b"], "did you mean art?"),
        (["art/studio", "a/b/c"], "names no endpoint: write TEAM/NAME"),
        (["art/studio", "art/"], "names no endpoint"),
        (["art/studio", "../etc/x"], "names no endpoint"),
        (["art/studio", "../x"], '"..\\" is not a name for a team'.replace("\\", "")),
        (["studio", "Portraits"], '"Portraits" is not a name for an endpoint'),
        (["studio", "team"], "is kept for easel itself"),
        (["studio", "b: {}"], "is not a name for an endpoint"),
        (["studio", "b", "--shape", "gpu.l40"], '"gpu.l40" is not allowed; did you mean gpu.l40s?'),
        (["studio", "b", "--shape", "x: [\n"], "is not allowed"),
        (["studio", "b", "--shape", "cpu.small"], "is SDXL, which needs 9 GiB"),
        (["studio", "b", "--max", "0"], "must be at least 1"),
        (["studio", "b", "--max", "101"], "must be at most 100"),
        (["studio", "b", "--max", "many"], "not a valid integer"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    teams: Teams, arguments: list[str], said: str
) -> None:
    """One line that says what is wrong and what to do; exit status 2."""
    assert said in refused("clone", *arguments)
    assert teams.text() == ART
    assert [file.name for file in teams.folder.iterdir()] == ["Pulumi.art.yaml"]


def test_all_faults_of_what_would_be_are_told_at_once(teams: Teams) -> None:
    """The real loader checks the file as it would be."""
    said = refused("clone", "studio", "team", "--shape", "gpu.l5", "--max", "0")
    assert len([line for line in said.splitlines() if "Pulumi.art.yaml:" in line]) == 3


def test_a_faulty_file_is_not_added_to(teams: Teams) -> None:
    """First put right what is there: all its faults are told."""
    text = ART.replace("idle: 15m", "idle: 15\n      publik: true")
    teams.write("art", text)
    said = refused("clone", "studio", "b")
    assert "15 is not a duration" in said
    assert "did you mean public?" in said
    assert teams.text() == text


@pytest.mark.parametrize(
    "text", ["", "a: [", "config: 7", "[" * 500, "\x07", "config: {easel:endpoints: *x}"]
)
@pytest.mark.parametrize("names", [("studio", "b"), ("music/studio", "art/b")])
def test_a_file_that_is_no_stack_is_refused(teams: Teams, text: str, names: tuple[str, str]) -> None:
    """As source and as target: the loader's words, no traceback."""
    teams.write("music", ART)
    teams.write("art", text)
    assert "Pulumi.art.yaml" in refused("clone", *names)
    assert teams.text() == text


def test_a_file_that_is_not_text_is_refused(teams: Teams) -> None:
    """Bytes that are no UTF-8."""
    teams.write("music", ART)
    teams.write("art", b"\xff\xfe\x00")
    assert "is not text in UTF-8" in refused("clone", "music/studio", "art/b")


def test_into_another_team_the_copy_is_indented_as_that_file_is(teams: Teams) -> None:
    """The other team's file has its own ways."""
    other = (
        "config:\n    easel:team: {domain: m.example.com}\n    easel:endpoints:\n"
        "        one: {shape: gpu.t4}\n"
    )
    teams.write("music", other)
    done("clone", "studio", "music/portraits")
    new = added(other, teams.text("music"))
    assert new.startswith("        portraits:\n          shape: gpu.a10 # 24 GB\n")
    assert endpoints(teams.file("music"))["portraits"] == endpoints(teams.file("art"))["studio"]
    assert teams.text() == ART


@pytest.mark.parametrize(
    "rest", ["", "  easel:endpoints:\n", "  easel:endpoints: {}  # none yet\n", "  easel:endpoints: ~\n"]
)
def test_a_team_without_endpoints_gets_its_first(teams: Teams, rest: str) -> None:
    """Missing, empty or null: after the clone the file is right."""
    teams.write("music", "config:\n  easel:team: {domain: m.example.com}\n" + rest + "# the end\n")
    done("clone", "studio", "music/first")
    assert list(load_stack(teams.file("music")).endpoints) == ["first"]
    assert teams.text("music").count("easel:endpoints:") == 1
    assert "# the end\n" in teams.text("music")


def test_a_team_without_endpoints_and_with_other_faults_is_told_them(teams: Teams) -> None:
    """The clone puts right that endpoints are missing, not that the domain is."""
    text = "config:\n  easel:team: {domian: x}\n"
    teams.write("music", text)
    said = refused("clone", "studio", "music/first")
    assert "did you mean domain?" in said
    assert teams.text("music") == text


HEAD = "config:\n  easel:team: {domain: a.example.com}\n  easel:endpoints:"
FLOW = [
    "config: {easel:team: {domain: a.example.com}, easel:endpoints: {studio: {shape: gpu.t4}}}",
    '{"config": {"easel:team": {"domain": "a.example.com"},\n'
    ' "easel:endpoints": {"studio": {"shape": "gpu.t4"}}}}',
    HEAD + " {studio: {shape: gpu.t4,},}  # one\n",
    HEAD + " {\n    studio: {shape: gpu.t4} # a\n  }\n",
    HEAD + " {\n    studio: {shape: gpu.t4}, # a, b }\n  }\n",
    HEAD + "\n    ? studio\n    : shape: gpu.t4\n",
    HEAD + "\n    studio: {\n      shape: gpu.t4\n    }\n",
    HEAD + " !!map\n    studio: !!map\n      shape: !!str gpu.t4\n",
    "%YAML 1.1\n---\n" + HEAD + "\n    studio:\n      shape:\n        gpu.t4\n...\n",
    "\ufeff" + HEAD + "\n    studio:\n      shape: gpu.t4\n",
]


@pytest.mark.parametrize("text", FLOW)
def test_other_ways_to_write_a_mapping(teams: Teams, text: str) -> None:
    """Braces, JSON, trailing commas, explicit keys, directives: it means what it should, comments stay."""
    teams.write("art", text)
    done("clone", "studio", "b", "--shape", "gpu.l4", "--max", "5")
    found = endpoints(teams.file("art"))
    assert found == {"studio": {"shape": "gpu.t4"}, "b": {"shape": "gpu.l4", "replicas": {"max": 5}}}
    assert text.count("#") == teams.text().count("#")


ANCHORS = """common: &common {shape: gpu.t4, idle: 5m}
config:
  easel:team: {domain: a.example.com}
  easel:endpoints:
    one: *common
    two: {<<: *common, idle: 1h}
    three: &three
      <<: *common
      replicas: &most {min: 0, max: 4}
    four:
      <<: *three
      replicas: *most
"""


@pytest.mark.parametrize("source", ["one", "two", "three", "four"])
@pytest.mark.parametrize("changes", [{}, {"shape": "gpu.l4"}, {"most": 7}, {"shape": "gpu.l4", "most": 7}])
def test_anchors_and_merges_stay_what_they_are(teams: Teams, source: str, changes: dict[str, Any]) -> None:
    """The copy refers to what the original refers to; no anchor is there twice."""
    file = teams.write("art", ANCHORS)
    done("clone", source, "new", *(part for key, value in changes.items()
                                    for part in (f"--{key.replace('most', 'max')}", str(value))))  # fmt: skip
    text = added(ANCHORS, teams.text())
    assert "*" in text, "it still refers"
    assert "&" not in text
    old, new = (load_stack(file).endpoints[name] for name in (source, "new"))
    assert new.shape == changes.get("shape", old.shape)
    assert new.replicas.max == changes.get("most", old.replicas.max)
    assert (new.idle, new.replicas.min) == (old.idle, old.replicas.min)


def test_anchors_do_not_reach_into_another_file(teams: Teams) -> None:
    """There the values themselves are written."""
    teams.write("art", ANCHORS)
    teams.write("music", LOCAL.replace("runs_on: local", "domain: m.example.com"))
    done("clone", "four", "music/new")
    assert endpoints(teams.file("music"))["new"] == endpoints(teams.file("art"))["four"]
    assert "*" not in teams.text("music")


def test_endpoints_that_come_by_an_alias_can_be_cloned(teams: Teams) -> None:
    """The endpoint has no text of its own here, so its values are written."""
    teams.write(
        "art",
        "all: &all {studio: {shape: gpu.t4}}\nconfig:\n  easel:team: {domain: a.example.com}\n"
        "  easel:endpoints: *all\n",
    )
    done("clone", "studio", "b")
    assert endpoints(teams.file("art")) == {"studio": {"shape": "gpu.t4"}, "b": {"shape": "gpu.t4"}}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_stay(teams: Teams, end: str, last: bool) -> None:
    """Windows's editors, and editors that write no last line end."""
    text = ART.replace("\n", end)
    text = text if last else text.removesuffix(end)
    teams.write("art", text)
    done("clone", "studio", "b", "--max", "9")
    after = teams.text()
    assert after.endswith(end) is last
    assert after.count("\n") - after.count("\r\n") == (0 if end == "\r\n" else after.count("\n"))
    assert after.startswith(text)
    assert load_stack(teams.file("art")).endpoints["b"].replicas.max == 9


def test_blank_lines_between_endpoints_are_kept_up(teams: Teams) -> None:
    """A file that sets its endpoints apart goes on so."""
    teams.write("art", ART + "\n    other: {shape: gpu.t4}\n")
    done("clone", "other", "more")
    assert teams.text().endswith("\n    other: {shape: gpu.t4}\n\n    more: {shape: gpu.t4}\n")


@pytest.mark.parametrize("name", ["on", "yes", "null", "true", "y"])
def test_names_that_yaml_takes_for_something_else_are_quoted(teams: Teams, name: str) -> None:
    """`on:` is `true:` to some readers."""
    done("clone", "studio", name)
    assert f'"{name}":' in teams.text()
    assert name in load_stack(teams.file("art")).endpoints


def test_mode_and_link_of_the_file_stay(teams: Teams) -> None:
    """A file that is a link to another place stays one; nothing is left beside it."""
    real = teams.folder / "elsewhere"
    real.mkdir()
    file = teams.file("art")
    os.replace(file, real / "stack.yaml")
    file.symlink_to(real / "stack.yaml")
    (real / "stack.yaml").chmod(0o640)
    done("clone", "studio", "b")
    assert file.is_symlink()
    assert stat.S_IMODE((real / "stack.yaml").stat().st_mode) == 0o640
    assert [each.name for each in real.iterdir()] == ["stack.yaml"]


def test_what_somebody_else_wrote_meanwhile_is_not_lost(teams: Teams) -> None:
    """An editor saved the file after it was read: nothing is written over it."""
    file = teams.file("art")
    proposal, _, _ = cloned(file, file, Address("art", "studio"), Address("art", "b"))
    file.write_text(ART + "# newer\n")
    with pytest.raises(Exception, match="was changed by someone meanwhile"):
        proposal.write()
    assert file.read_text() == ART + "# newer\n"


def test_a_file_that_cannot_be_written_is_refused(teams: Teams, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves the old file whole and no half of a new one."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert "cannot be written: no space left on device" in refused("clone", "studio", "b")
    assert teams.text() == ART
    assert [file.name for file in teams.folder.iterdir()] == ["Pulumi.art.yaml"]


def test_on_one_machine_no_dollars_are_told(teams: Teams) -> None:
    """runs_on: local costs nothing, and a running `easel up` follows."""
    teams.write("art", LOCAL)
    said = done("clone", "studio", "b")
    assert "$" not in said
    assert "easel up" in said
