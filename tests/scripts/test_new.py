"""`easel new`: a right stack file with comments, and what to do next; nothing is ever written over."""

from pathlib import Path

import pytest
import yaml

from infra.stackfile import load_stack
from scripts.commands.new import TEMPLATES, WORKFLOWS
from scripts.settings import ROOT
from tests.scripts.stackfiles import Teams, done, refused


@pytest.fixture
def teams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Teams:
    return Teams(tmp_path, monkeypatch)


@pytest.mark.parametrize("template", sorted(file.stem for file in TEMPLATES.glob("*.yaml")))
def test_every_template_is_right_and_makes_a_right_file(teams: Teams, template: str) -> None:
    """Whoever starts from one starts without a fault."""
    load_stack(TEMPLATES / f"{template}.yaml")
    done("new", "team-b", "--template", template)
    spec = load_stack(teams.file("team-b"))
    assert spec.name == "team-b"
    assert spec.endpoints


def test_there_are_the_templates_that_help_names() -> None:
    """`--template` without a list would be a riddle."""
    assert {"studio", "local"} <= {file.stem for file in TEMPLATES.glob("*.yaml")}


def test_what_is_asked_for_is_in_the_file(teams: Teams) -> None:
    """Options take the place of the template's values; its comments stay."""
    done("new", "music", "--domain", "m.example.org", "--shape", "gpu.l40s", "--region", "eu-west-1")
    spec = load_stack(teams.file("music"))
    assert (spec.team.domain, spec.team.runs_on) == ("m.example.org", "instances")
    assert {endpoint.shape for endpoint in spec.endpoints.values()} == {"gpu.l40s"}
    text = teams.text("music")
    assert yaml.safe_load(text)["config"]["aws:region"] == "eu-west-1"
    assert text.count("#") == (TEMPLATES / "studio.yaml").read_text().count("#")


def test_every_line_of_the_template_is_there_but_those_asked_for(teams: Teams) -> None:
    """A value is set in its place; nothing is moved."""
    done("new", "music", "--shape", "gpu.l4")
    pairs = zip(
        (TEMPLATES / "studio.yaml").read_text().splitlines(), teams.text("music").splitlines(), strict=True
    )
    changed = [new.strip().split(":")[0] for old, new in pairs if old != new]
    assert changed == ["# yaml-language-server", "domain", "shape"]


def test_the_first_line_leads_editors_to_the_schema(teams: Teams) -> None:
    """Beside the file where it is there, else the repository's."""
    done("new", "a")
    first = teams.text("a").splitlines()[0]
    assert (teams.folder / first.split("$schema=")[1]).resolve() == ROOT / "stacks" / "easel.schema.json"
    (teams.folder / "easel.schema.json").write_text("{}")
    done("new", "b")
    assert teams.text("b").splitlines()[0] == "# yaml-language-server: $schema=easel.schema.json"


def test_it_says_what_to_do_next_and_what_it_costs(teams: Teams) -> None:
    """In the order of doing it, and what is still a placeholder."""
    said = done("new", "music")
    assert said.index("stacks/gitops/install.sh") < said.index("pulumi stack init music")
    assert said.index("pulumi stack init music") < said.index("pulumi preview") < said.index("pulumi up")
    assert "easel:team.domain, now music.example.com, must be a domain of yours" in said
    assert "lead@example.com" in said
    assert "gpu.a10" in said
    assert "a month" in said
    assert "must be a domain" not in done("new", "other", "--domain", "art.example.org")


def test_on_one_machine_make_up_is_next(teams: Teams) -> None:
    """runs_on: local takes the template for it, and nothing of AWS is told."""
    said = done("new", "mine", "--runs-on", "local", "--shape", "gpu.t4")
    spec = load_stack(teams.file("mine"))
    assert spec.team.runs_on == "local"
    assert {endpoint.shape for endpoint in spec.endpoints.values()} == {"gpu.t4"}
    assert "make up" in said
    assert "pulumi" not in said
    assert "$" not in said


def test_on_kubernetes_the_cluster_is_looked_at_first(teams: Teams) -> None:
    """runs_on: kubernetes takes the template for it: placeholders are named, nothing of AWS is told."""
    said = done("new", "art-k", "--runs-on", "kubernetes", "--domain", "k.example.org", "--shape", "gpu.l4")
    spec = load_stack(teams.file("art-k"))
    assert (spec.team.runs_on, spec.team.domain) == ("kubernetes", "k.example.org")
    assert spec.endpoints["studio"].shape == "gpu.l4"
    assert "image and kubernetes.context, edge and storage must be what is there" in said
    assert said.index("easel doctor") < said.index("pulumi up")
    assert "run-on-kubernetes.md" in said
    assert "AWS" not in said
    assert "$" not in said
    assert "At most 1 GPU of its nodes at once (studio 1)" in done("cost", "art-k")
    done("clone", "art-k/studio", "art-k/second", "--yes")
    assert set(load_stack(teams.file("art-k")).endpoints) == {"studio", "second"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Music"], '"Music" is not a name for a team'),
        (["music_2"], "lowercase letters, digits and hyphens"),
        (["x" * 17], "is 17 characters long: at most 16"),
        (["../music"], "is not a name for a team"),
        (["a/b"], "is not a name for a team"),
        ([""], "is not a name for a team"),
        (["a\nb"], "is not a name for a team"),
        (["music", "--domain", "https://x.example.com/"], "is not a domain"),
        (["music", "--domain", "a: [b"], "is not a domain"),
        (["music", "--domain", ""], "is not a domain"),
        (["music", "--shape", "gpu.a10g"], "did you mean gpu.a10?"),
        (["music", "--shape", "gpu.a100-40gb"], "sells this GPU only 8 at a time"),
        (["music", "--shape", "cpu.small"], "needs 9 GiB"),
        (["music", "--runs-on", "instance"], "did you mean instances?"),
        (["music", "--template", "studoi"], "did you mean studio?"),
        (["music", "--template", "../Pulumi.local"], "there is no template"),
        (
            ["music", "--template", "zzz"],
            "take busy or cluster or container or kubernetes",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    teams: Teams, arguments: list[str], said: str
) -> None:
    """The loader's words; exit status 2; no file, not even a part of one."""
    assert said in refused("new", *arguments)
    assert list(teams.folder.rglob("*")) == []


def test_all_faults_are_told_at_once(teams: Teams) -> None:
    """The team's name among them."""
    said = refused("new", "Music", "--domain", "X", "--shape", "gpu.a11")
    assert len([line for line in said.splitlines() if "Pulumi.Music.yaml" in line]) == 3


def test_a_name_cannot_steer_the_terminal(teams: Teams) -> None:
    """A fault is one line, whatever the name holds."""
    said = refused("new", "a\x1b[31m\nb")
    assert all(line.isprintable() for line in said.splitlines())
    assert len(said.splitlines()) == 2


def test_a_file_that_is_there_is_never_written_over(teams: Teams) -> None:
    """Not even an empty one, or a link that leads nowhere."""
    teams.write("music", "")
    assert "there is" in refused("new", "music")
    assert teams.text("music") == ""
    teams.file("lost").symlink_to(teams.folder / "nowhere")
    assert "there is" in refused("new", "lost")
    assert not (teams.folder / "nowhere").exists()


def test_a_domain_of_another_team_is_refused(teams: Teams) -> None:
    """One record leads to one gateway: the second `pulumi up` would end half way, and be paid for."""
    done("new", "art", "--domain", "art.example.com")
    told = refused("new", "music", "--domain", "art.example.com")
    assert "art.example.com is the domain of Pulumi.art.yaml too" in told
    assert "take another, such as music.art.example.com" in told
    assert not teams.file("music").exists()
    done("new", "music", "--domain", "music.art.example.com")
    done("new", "desk", "--runs-on", "local")
    teams.write("broken", "config: [")
    done("new", "third", "--domain", "third.example.com")


def test_what_two_teams_of_one_kubernetes_cannot_both_have_is_refused(teams: Teams) -> None:
    """KEDA is there once; the template installs it."""
    done("new", "one", "--runs-on", "kubernetes", "--domain", "one.example.com")
    told = refused("new", "two", "--runs-on", "kubernetes", "--domain", "two.example.com")
    assert "Pulumi.one.yaml installs KEDA in the same context" in told
    file = teams.file("one")
    file.write_text(file.read_text().replace("keda: install", "keda: there\n      namespace: easel-two"))
    told = refused("new", "two", "--runs-on", "kubernetes", "--domain", "two.example.com")
    assert "is the namespace of Pulumi.one.yaml too" in told


def test_a_folder_that_is_not_there_is_said(teams: Teams, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt EASEL_STACK."""
    monkeypatch.setenv("EASEL_STACK", str(teams.folder / "no" / "Pulumi.x.yaml"))
    assert "cannot be written: no such file or directory" in refused("new", "music")


def test_the_workflows_are_written_beside(teams: Teams, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into .github/workflows of the repository, as stacks/gitops has them; a second time nothing changes."""
    monkeypatch.setattr("scripts.commands.new.REPOSITORY", teams.folder)
    done("new", "music", "--workflows")
    folder = teams.folder / ".github" / "workflows"
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        file.name: file.read_text() for file in WORKFLOWS.glob("*.yml")
    }
    assert ".github" not in done("new", "art", "--workflows")


def test_a_workflow_that_somebody_changed_stays(teams: Teams, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing at all is written: one command, one effect."""
    monkeypatch.setattr("scripts.commands.new.REPOSITORY", teams.folder)
    theirs = teams.folder / ".github" / "workflows" / "easel-up.yml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("name: ours\n")
    assert "says something else" in refused("new", "music", "--workflows")
    assert theirs.read_text() == "name: ours\n"
    assert not teams.file("music").exists()
