"""`easel new`: a team's stack file from a template, and the workflows of its repository."""

from collections.abc import Mapping
from pathlib import Path

import click

from infra.faults import nearest
from infra.neighbours import clashes
from infra.spec import Spec
from scripts.commands.cost import PAID, told
from scripts.settings import ROOT, CommandRefused, settings, shown
from scripts.stacks import editing
from scripts.stacks.file_change import FileChange, config_of, name_faults
from scripts.stacks.yaml_text import Edit, edited, parse

TEMPLATES = ROOT / "stacks" / "templates"
WORKFLOWS = ROOT / "stacks" / "gitops"
REPOSITORY = ROOT
"""Whose .github the workflows go to."""
_USUAL = {name: name for name in ("local", "cluster", "kubernetes")}
"""The template for each `runs_on`, where it is not studio."""

_GUIDES = {
    "instances": "deploy-on-aws",
    "cluster": "run-on-a-cluster",
    "kubernetes": "run-on-kubernetes",
}
EXAMPLE = "arn:aws:iam::111122223333:role/Admin"
"""The admin that the template names, who is nobody."""


@click.command("new")
@click.argument("team")
@click.option("--domain", help="Endpoints will answer at NAME.DOMAIN.")
@click.option("--shape", help="What each replica runs on, such as gpu.a10.")
@click.option("--runs-on", help="instances or cluster (AWS), kubernetes (one that is there), or local.")
@click.option("--region", help="The AWS region, such as us-east-1.")
@click.option(
    "--template",
    help="A file of stacks/templates: studio, busy, container, cluster, kubernetes, local.",
)
@click.option("--workflows", is_flag=True, help="Also write .github/workflows: preview, up, drift.")
def command(
    team: str,
    domain: str | None,
    shape: str | None,
    runs_on: str | None,
    region: str | None,
    template: str | None,
    workflows: bool,
) -> None:
    """Write stacks/Pulumi.TEAM.yaml, and say what to do next. A file that is there is never written over."""
    folder = settings().stack.parent
    file = folder / f"Pulumi.{team}.yaml"
    if not name_faults(team) and (file.exists() or file.is_symlink()):
        raise CommandRefused(f"there is {shown(file)} already: change it, or take another name")
    text = from_template(template or _USUAL.get(runs_on or "", "studio"), team, folder)
    fields = {("easel:team", "domain"): domain, ("easel:team", "runs_on"): runs_on, ("aws:region",): region}
    text = filled(text, {way: value for way, value in fields.items() if value is not None}, shape)
    change = FileChange(team, file, None, text)
    spec = change.spec()
    if both := clashes(spec, folder):
        lines = (f"{shown(file)}: {each}" for each in both)
        raise CommandRefused("\n".join(("nothing is written, as this would not be right:", *lines)))
    also = missing_workflows(REPOSITORY / ".github" / "workflows") if workflows else []
    change.write()
    click.echo(f"{shown(file)} is written")
    for each in also:
        each.file.parent.mkdir(parents=True, exist_ok=True)
        each.write()
        click.echo(f"{shown(each.file)} is written")
    if spec.team.runs_on in PAID:
        click.echo(told(spec))
    for line in next_steps(spec, file, domain_given=domain is not None):
        click.echo(line)


def from_template(name: str, team: str, folder: Path) -> str:
    """A template's text for a file in this folder. Raises CommandRefused where there is no such template."""
    there = {file.stem: file for file in sorted(TEMPLATES.glob("*.yaml"))}
    if name not in there:
        near = nearest(name, there) or f": take {' or '.join(there)}"
        raise CommandRefused(f"there is no template {name!r}{near}")
    text = there[name].read_text()
    beside = (folder / "easel.schema.json").is_file()
    schema = "easel.schema.json" if beside else str(ROOT / "stacks" / "easel.schema.json")
    lines = text.replace("$schema=../easel.schema.json", f"$schema={schema}").splitlines(keepends=True)
    # How to copy a template by hand is no news to who has just had it copied.
    text = "".join(line for line in lines if not line.startswith("# cp "))
    if not name_faults(team):
        text = text.replace("art.example.com", f"{team}.example.com")
    return text


def filled(text: str, fields: Mapping[editing.Way, str], shape: str | None) -> str:
    """The text with these fields, and every endpoint of this shape."""
    found = parse(text).entry("config")
    assert found is not None  # noqa: S101 - a test holds every template to it
    edits: list[Edit] = []
    now = config_of(text)
    for way, value in fields.items():
        edits += editing.setting(text, found[1], way, value, now)
    endpoints = editing.endpoints_of(text)
    if shape is not None and endpoints is not None:
        for key, endpoint in endpoints.items:
            edits += editing.setting(text, endpoint, ("shape",), shape, now[editing.ENDPOINTS][key.value])
    return edited(text, edits)


def next_steps(spec: Spec, file: Path, *, domain_given: bool) -> list[str]:
    """What to do with the file."""
    stack = f"EASEL_STACK={spec.name if file.parent == ROOT / 'stacks' else file}"
    if spec.team.runs_on == "local":
        return ["", f"next: {stack} make up"]
    lines = ["", "next:"]
    if not domain_given:
        lines.append(f"  in the file: easel:team.domain, now {spec.team.domain}, must be a domain of yours")
    if spec.team.budget and spec.team.budget.notify.endswith("@example.com"):
        lines.append(f"  in the file: easel:team.budget.notify, now {spec.team.budget.notify}, must be yours")
    if EXAMPLE in (admins := spec.team.cluster.admins):
        lines.append(
            f"  in the file: easel:team.cluster.admins, now {', '.join(admins)}, must be who runs pulumi: "
            "`aws sts get-caller-identity`"
        )
    kubernetes = spec.team.runs_on == "kubernetes"
    if kubernetes:
        lines.append("  in the file: image and kubernetes.context, edge and storage must be what is there")
        lines.append(f"  {stack} easel doctor     whether the cluster has what it takes")
    lines += [
        "  stacks/gitops/install.sh     once per clone: what the Pulumi program needs",
        f"  pulumi stack init {spec.name}",
        f"  pulumi preview --stack {spec.name}     what would be made"
        + ("" if kubernetes else ", and what it costs"),
        f"  pulumi up --stack {spec.name}",
        f"docs/how-to/{_GUIDES[spec.team.runs_on]}.md says what each needs",
    ]
    return lines


def missing_workflows(folder: Path) -> list[FileChange]:
    """The workflows of a team's repository, for this folder. Raises CommandRefused where another is there."""
    found = []
    for original in sorted(WORKFLOWS.glob("*.yml")):
        file = folder / original.name
        text = original.read_text()
        if file.is_file() and file.read_text() != text:
            raise CommandRefused(
                f"{shown(file)} is there and says something else: compare it with {shown(original)}, "
                "or leave --workflows out"
            )
        if not file.is_file():
            found.append(FileChange("", file, None, text))
    return found
