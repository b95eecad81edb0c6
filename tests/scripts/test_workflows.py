"""Workflows of a team's repository (stacks/gitops): rules over the parsed YAML."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.bake.build import PATIENCE
from infra.stackfile import load_stack
from scripts.commands.new import WORKFLOWS
from scripts.settings import ROOT

FILES = sorted(WORKFLOWS.glob("*.yml"))
NAMES = {"easel-preview", "easel-up", "easel-up-group", "easel-up-team", "easel-drift"}
PULUMI = {"easel-preview", "easel-up-team", "easel-drift"}
"""Those that run it; the others call these."""


def read(name: str) -> dict[str, Any]:
    # YAML 1.1 takes `on:` for true; BaseLoader leaves every word a word.
    found: dict[str, Any] = yaml.load((WORKFLOWS / f"{name}.yml").read_text(), yaml.BaseLoader)
    return found


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", [])


def pulumi(name: str) -> dict[str, str]:
    (found,) = (
        step["with"] for step in steps(read(name)) if step.get("uses", "").startswith("pulumi/actions@")
    )
    return dict(found)


def test_there_are_these() -> None:
    """Preview, up with what it calls, and drift; a rule over nothing would hold for anything."""
    assert {file.stem for file in FILES} == NAMES
    assert {name for name in NAMES if "pulumi/actions@" in (WORKFLOWS / f"{name}.yml").read_text()} == PULUMI


@pytest.mark.parametrize("name", sorted(NAMES))
def test_nothing_is_allowed_but_what_a_job_names(name: str) -> None:
    """The workflow itself has no permissions; a job reads the code and no job writes to it."""
    workflow = read(name)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"]["contents"] == "read"
        assert set(job["permissions"]) <= {"contents", "id-token", "pull-requests"}
        writes = {scope for scope, level in job["permissions"].items() if level == "write"}
        assert writes <= ({"id-token", "pull-requests"} if name == "easel-preview" else {"id-token"})


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_job_that_needs_no_aws_gets_no_identity(name: str) -> None:
    """Whoever cannot ask for a token cannot lose one."""
    for job in read(name)["jobs"].values():
        asks = any(step.get("uses", "").startswith("aws-actions/") for step in job.get("steps", []))
        # A called workflow can have no more than its caller.
        assert ("id-token" in job["permissions"]) is (asks or "uses" in job)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_code_of_strangers_never_runs_with_an_identity(name: str) -> None:
    """pull_request_target runs the base's rights on the pull request's word; forks are left out."""
    workflow = read(name)
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(workflow["on"])
    if "pull_request" in workflow["on"]:
        first = workflow["jobs"]["teams"]
        assert first["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
        assert workflow["jobs"]["preview"]["needs"] == "teams"


@pytest.mark.parametrize("name", sorted(PULUMI))
def test_aws_is_reached_by_oidc_with_no_key(name: str) -> None:
    """A role for an hour or two; no secret of the repository is read anywhere."""
    text = (WORKFLOWS / f"{name}.yml").read_text()
    assert "secrets." not in text
    assert not re.search(r"(?i)access.key|AKIA", text)
    (configure,) = (step for step in steps(read(name)) if step.get("uses", "").startswith("aws-actions/"))
    assert set(configure["with"]) <= {"role-to-assume", "aws-region", "role-duration-seconds"}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_actions_are_pinned_to_a_commit(name: str) -> None:
    """A tag can be moved to other code; the version stands beside it for people."""
    text = (WORKFLOWS / f"{name}.yml").read_text()
    uses = re.findall(r"uses: (.*)", text)
    assert uses
    for each in uses:
        if each.startswith("./.github/workflows/"):
            assert Path(each).stem in NAMES  # of the same commit as the caller
            continue
        assert re.fullmatch(r"[a-z-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


@pytest.mark.parametrize("name", sorted(NAMES))
def test_nothing_that_a_stranger_writes_becomes_shell(name: str) -> None:
    """Expressions stay out of `run`: a branch's name can hold a command."""
    for step in steps(read(name)):
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("name", sorted(PULUMI))
def test_links_are_not_shown(name: str) -> None:
    """A stack's outputs hold the links with the first tokens; no credentials stay in the checkout."""
    assert pulumi(name)["suppress-outputs"] == "true"
    for step in steps(read(name)):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_job_ends(name: str) -> None:
    """A job without a limit runs for six hours."""
    jobs = [job for job in read(name)["jobs"].values() if "uses" not in job]
    assert all(0 < int(job["timeout-minutes"]) <= 180 for job in jobs)


def test_a_pull_request_is_previewed_and_never_brought_up() -> None:
    """As a comment on it, edited in place: that is the action's default."""
    assert set(read("easel-preview")["on"]) == {"pull_request"}
    assert pulumi("easel-preview")["command"] == "preview"
    assert pulumi("easel-preview")["comment-on-pr"] == "true"
    assert "edit-pr-comment" not in pulumi("easel-preview")


def test_up_runs_on_main_alone_and_one_at_a_time() -> None:
    """A run by hand from a branch is stopped too; one that runs is never cancelled."""
    workflow = read("easel-up")
    assert workflow["on"]["push"]["branches"] == ["main"]
    assert set(workflow["on"]) == {"push", "workflow_dispatch"}
    for name in ("easel-up", "easel-up-group", "easel-up-team"):
        for job in read(name)["jobs"].values():
            assert "github.ref == 'refs/heads/main'" in job["if"]
    assert workflow["concurrency"] == {"group": "easel-up", "cancel-in-progress": "false"}
    team = read("easel-up-team")
    assert set(team["on"]) == {"workflow_call"}, "nobody starts it past the queue"
    assert team["jobs"]["up"]["environment"] == "${{ inputs.team }}"
    assert pulumi("easel-up-team")["command"] == "up"
    assert not [name for name in PULUMI - {"easel-up-team"} if pulumi(name)["command"] != "preview"]


def test_a_team_waits_for_the_platform_that_it_is_on_and_for_no_other() -> None:
    """In groups that neither wait for another nor fall with it: a platform, then the teams that share its
    cluster. Where it is not up they are not tried, and the run says why."""
    up = read("easel-up")["jobs"]["up"]
    assert up["uses"] == "./.github/workflows/easel-up-group.yml"
    assert up["strategy"]["fail-fast"] == "false"
    assert up["strategy"]["matrix"] == {"group": "${{ fromJSON(needs.teams.outputs.groups) }}"}
    group = read("easel-up-group")
    assert set(group["on"]) == {"workflow_call"}
    first, then, untried = (group["jobs"][name] for name in ("first", "then", "untried"))
    assert first["uses"] == then["uses"] == "./.github/workflows/easel-up-team.yml"
    assert then["needs"] == untried["needs"] == "first"
    assert not re.search(r"always|failure|cancelled|success", then["if"]), "so GitHub skips it"
    assert then["strategy"]["fail-fast"] == "false"
    assert "!success()" in untried["if"]
    (step,) = untried["steps"]
    told = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]],
        env={
            "PLATFORM": "company",
            "TEAMS": '["art"]',
            "RESULT": "failure",
            "GITHUB_STEP_SUMMARY": "/dev/stderr",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.startswith("::error title=Not tried::")
    assert '["art"] were not tried, as company, whose cluster they share, is not up (failure).' in told.stderr


def test_up_outlasts_the_longest_bake_and_its_identity_outlasts_it() -> None:
    """A run that is cut off, or loses its role half-way, leaves a locked state and half a stack."""
    workflow = read("easel-up-team")
    seconds = 60 * int(workflow["jobs"]["up"]["timeout-minutes"])
    (configure,) = (step for step in steps(workflow) if step.get("uses", "").startswith("aws-actions/"))
    assert PATIENCE < seconds <= int(configure["with"]["role-duration-seconds"])


def test_a_new_push_cancels_the_preview_of_the_old_one() -> None:
    """A preview changes nothing, so the newest is the only one that counts."""
    workflow = read("easel-preview")
    assert workflow["concurrency"]["cancel-in-progress"] == "true"
    assert "pull_request.number" in workflow["concurrency"]["group"]


def test_drift_is_looked_for_every_night_and_fails() -> None:
    """What is at AWS is read anew, and a difference is a red run."""
    workflow = read("easel-drift")
    assert len(workflow["on"]["schedule"]) == 1
    found = pulumi("easel-drift")
    assert (found["command"], found["refresh"], found["expect-no-changes"]) == ("preview", "true", "true")


def test_preview_asks_for_a_role_that_may_only_read() -> None:
    """The role that changes things is named by `up` alone."""
    for name in PULUMI:
        (configure,) = (step for step in steps(read(name)) if step.get("uses", "").startswith("aws-actions/"))
        role = configure["with"]["role-to-assume"]
        assert role == f"${{{{ vars.EASEL_{'UP' if name == 'easel-up-team' else 'PREVIEW'}_ROLE }}}}"


def test_what_changes_a_stack_starts_them() -> None:
    """Preview and up look at the same paths, and those are there."""
    paths = read("easel-preview")["on"]["pull_request"]["paths"]
    assert paths == read("easel-up")["on"]["push"]["paths"]
    assert all((ROOT / path.removesuffix("/**")).exists() for path in paths)


def test_the_guide_names_every_variable() -> None:
    """docs/how-to/run-from-git.md says what to set; nothing is read that is not there."""
    used = {name for file in FILES for name in re.findall(r"vars\.([A-Z_]+)", file.read_text())}
    told = set(re.findall(r"`(EASEL_[A-Z_]+)`", (ROOT / "docs" / "how-to" / "run-from-git.md").read_text()))
    assert used == told & used
    assert used


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    shutil.copytree(WORKFLOWS, tmp_path / "stacks" / "gitops")
    return tmp_path


def said(repository: Path, *words: str) -> list[str]:
    script = repository / "stacks" / "gitops" / "teams.sh"
    return subprocess.run(
        [script, *words], capture_output=True, text=True, check=True, cwd="/"
    ).stdout.splitlines()


def listed(repository: Path) -> list[str]:
    line, _ = said(repository)
    found: list[str] = json.loads(line.removeprefix("teams="))
    return found


def grouped(repository: Path) -> dict[str, list[str]]:
    """The groups: who comes first, and who then."""
    _, line = said(repository)
    found = json.loads(line.removeprefix("groups="))
    assert all(one.keys() == {"first", "then"} for one in found)
    return {one["first"]: json.loads(one["then"]) for one in found}


@pytest.mark.parametrize(
    ("team", "brought_up"),
    [
        ("{runs_on: local}", False),
        ("{domain: a.example.com}", True),
        ("{runs_on: instances, domain: local.example.com}", True),
        ("{domain: a.example.com}  # runs_on: local later", True),
        ("\n    runs_on: local", False),
        ('\n    runs_on: "local"', False),
        ("\n    # runs_on: local\n    domain: a.example.com", True),
    ],
)
def test_teams_are_listed_as_the_loader_reads_them(repository: Path, team: str, brought_up: bool) -> None:
    """A stack for one machine is not brought up; every other is."""
    file = repository / "stacks" / "Pulumi.art.yaml"
    file.write_text(f"config:\n  easel:team: {team}\n  easel:endpoints: {{a: {{shape: gpu.t4}}}}\n")
    assert (load_stack(file).team.runs_on != "local") is brought_up
    assert listed(repository) == (["art"] if brought_up else [])


def test_no_teams_is_an_empty_list_and_many_are_in_order(repository: Path) -> None:
    """The matrix of GitHub takes JSON."""
    assert listed(repository) == []
    for name in ("music", "art"):
        (repository / "stacks" / f"Pulumi.{name}.yaml").write_text("config: {}\n")
    assert listed(repository) == ["art", "music"]


CLUSTER = "runs_on: cluster, domain: a.example.com"


@pytest.mark.parametrize(
    ("team", "on"),
    [
        (f"{{{CLUSTER}, platform: company}}", "company"),
        (f"{{{CLUSTER}, platform: 'company'}}", "company"),
        (f"{{platform: organization/easel/company, {CLUSTER}}}", "company"),
        ("\n    platform: company\n    runs_on: cluster\n    domain: a.example.com", "company"),
        ('\n    runs_on: cluster\n    domain: a.example.com\n    platform: "company" # its', "company"),
        (f"{{{CLUSTER}}}", None),
        (f"{{{CLUSTER}, platform: own}}", None),
        ("\n    # platform: company\n    runs_on: cluster\n    domain: a.example.com", None),
        (f"{{{CLUSTER}, platform: company2}}", None),
        (f"{{{CLUSTER}, platform: organization/other/company}}", None),
    ],
)
def test_a_team_comes_after_the_platform_that_its_file_names(
    repository: Path, team: str, on: str | None
) -> None:
    """As the loader and Pulumi read it; one of another project, or not here, is nothing to wait for."""
    (repository / "Pulumi.yaml").write_text("name: easel\nruntime: python\n")
    for name, text in {"company": f"{{{CLUSTER}}}", "art": team}.items():
        file = repository / "stacks" / f"Pulumi.{name}.yaml"
        file.write_text(f"config:\n  easel:team: {text}\n  easel:endpoints: {{}}\n")
        platform = load_stack(file).team.platform
    own = "endpoints: {platform: {shape: gpu.t4}}"
    file.write_text(file.read_text().replace("endpoints: {}", own))
    assert grouped(repository) == ({"company": ["art"]} if on else {"art": [], "company": []})
    assert (platform in ("company", "organization/easel/company")) is bool(on)
    assert said(repository, "down") == ["art", "company"], "teams before their platform"


def test_every_team_is_in_one_group_whatever_the_files_name(repository: Path) -> None:
    """Platforms of platforms and circles are for Pulumi to refuse: nobody is forgotten or comes twice."""
    on = {"a": "b", "b": "a", "c": "b", "d": "d", "e": "f", "f": "own", "g": "f", "h": "gone"}
    for name, platform in on.items():
        text = f"config:\n  easel:team: {{{CLUSTER}, platform: {platform}}}\n"
        (repository / "stacks" / f"Pulumi.{name}.yaml").write_text(text)
    groups = grouped(repository)
    assert sorted([*groups, *(team for then in groups.values() for team in then)]) == sorted(on)
    assert groups["f"] == ["e", "g"]
    assert sorted(said(repository, "down")) == sorted(on)


def test_a_name_that_is_no_teams_stops_the_list(repository: Path) -> None:
    """A file's name goes into GitHub's outputs: no quote or line end gets there."""
    (repository / "stacks" / 'Pulumi.a".yaml').write_text("config: {}\n")
    with pytest.raises(subprocess.CalledProcessError):
        listed(repository)


def test_the_scripts_are_sound() -> None:
    """shellcheck, which the development environment has; both may be run."""
    scripts = sorted(WORKFLOWS.glob("*.sh"))
    assert len(scripts) == 2
    for script in scripts:
        assert os.access(script, os.X_OK)
    tool = shutil.which("shellcheck") or str(Path(sys.executable).with_name("shellcheck"))
    subprocess.run([tool, *scripts], check=True)


ACTIONS = json.loads((Path(__file__).parent / "actions.json").read_text())
"""Inputs of each action as its `action.yml` has them at the commit that the workflows name: true where one is
required. Read there; another commit must be read anew."""


def test_actions_get_inputs_that_they_have() -> None:
    """GitHub only warns of an input that an action does not know, and `refresh` would be no refresh."""
    used = set()
    for name in NAMES:
        for step in steps(read(name)):
            if "uses" not in step:
                continue
            used.add(step["uses"])
            inputs = ACTIONS[step["uses"]]
            given = step.get("with", {})
            assert given.keys() <= inputs.keys(), step["uses"]
            assert {each for each, required in inputs.items() if required} <= given.keys(), step["uses"]
    assert used == ACTIONS.keys(), "what is not used any more is not kept"
