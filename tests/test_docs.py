"""What people can use is in docs/: a field, command, target or setting that is not named there fails here."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import click
import pytest
import yaml

from infra.spec import EndpointSpec, TeamSpec
from scripts.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def text(name: str) -> str:
    return (DOCS / name).read_text()


def options(group: click.Group, above: str) -> Iterator[tuple[str, list[str]]]:
    """Every command with its options."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from options(command, f"{above} {name}")
        else:
            flags = [flag for each in command.params for flag in each.opts if flag.startswith("--")]
            yield f"{above} {name}", flags


@pytest.mark.parametrize(("command", "flags"), list(options(main, "easel")))
def test_every_command_and_option_is_in_the_reference(command: str, flags: list[str]) -> None:
    """docs/reference/cli.md names each as it is typed."""
    assert f"`{command}" in text("reference/cli.md")
    section = text("reference/cli.md").split(f"## `{command}", 1)[1].split("\n## ", 1)[0]
    assert not [flag for flag in flags if flag not in section]


def test_the_reference_names_no_command_that_is_not_there() -> None:
    """What was removed is removed there too."""
    real = {command for command, _ in options(main, "easel")}
    told = set(re.findall(r"^## `(easel [a-z ]+?)(?= [A-Z\[<-]|`)", text("reference/cli.md"), re.MULTILINE))
    assert told == real


def test_help_and_commands_agree() -> None:
    """The table that `easel --help` prints without importing says what the commands say of themselves."""
    context = click.Context(main)
    for name in COMMANDS:
        assert main.get_command(context, name) is not None
        assert COMMANDS[name][1].endswith(".")


@pytest.mark.parametrize("model", [TeamSpec, EndpointSpec])
def test_every_field_of_the_spec_is_in_the_reference(model: type) -> None:
    """docs/reference/spec.md is written from the spec; this is what it is written for."""
    names = list(model.model_fields)  # type: ignore[attr-defined]
    assert not [name for name in names if f"| `{name}` |" not in text("reference/spec.md")]


@pytest.mark.parametrize("name", ["EASEL_HOME", "EASEL_PORT", "EASEL_STACK"])
def test_every_setting_is_in_the_reference(name: str) -> None:
    """Settings by environment are in the page of the commands."""
    assert f"`{name}`" in text("reference/cli.md")


def routes() -> list[str]:
    """`METHOD /path` of the studio's API. Its engine is not needed to ask, so it is none."""
    from easel.studio.api.app import create_api

    paths = create_api(MagicMock()).openapi()["paths"]
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


def test_every_route_of_the_api_is_in_the_reference() -> None:
    """docs/reference/http.md names each with its method, and none that is not there."""
    told = re.findall(r"^\| `([A-Z]+ /\S+)` \|", text("reference/http.md"), re.MULTILINE)
    assert sorted(told) == sorted(routes())


def test_every_option_of_a1111s_is_in_the_reference() -> None:
    """docs/reference/options.md is what the table says, which decides; run `make schema`."""
    from scripts.docs import options_page

    assert text("reference/options.md") == options_page.page()


def targets() -> list[str]:
    return re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("target", targets())
def test_every_make_target_is_in_the_reference(target: str) -> None:
    """docs/reference/make.md names each."""
    assert f"`make {target}`" in text("reference/make.md")


def test_the_two_commands_of_the_readme_exist() -> None:
    """`make up` and `make test` are what a newcomer types."""
    assert {"up", "test"} <= set(targets())
    for command in ("make up", "make test"):
        assert command in (ROOT / "README.md").read_text()


def pages() -> list[Path]:
    return sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of every page is a file that is there."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", sorted(DOCS.glob("decisions/*.md")), ids=lambda page: page.name)
def test_a_decision_has_its_parts(page: Path) -> None:
    """NNNN-title.md, with what was decided, why, and what lost."""
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name)
    for part in ("## Context", "## Decision", "## Other ways", "## Consequences"):
        assert part in page.read_text(), part


@pytest.mark.parametrize("page", sorted(DOCS.glob("how-to/*.md")), ids=lambda page: page.name)
def test_a_how_to_has_its_five_parts(page: Path) -> None:
    """What it gives, how to do it, how to see that it worked, how to undo it, and what it is not for."""
    for part in ("## What you get", "## Do it", "## See that it works", "## Undo it", "## Not for"):
        assert part in page.read_text(), part


def test_every_promise_of_trust_has_its_test() -> None:
    """Each line of docs/reference/trust.md names tests that are there."""
    promises, _, _ = text("reference/trust.md").partition("## Not promised")
    rows = [
        line for line in promises.splitlines() if line.startswith("| ") and not line.startswith("| does not")
    ]
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row.rpartition(" | ")[2])
        assert named, f"no test: {row}"
        for file, function in named:
            assert f"def {function or 'test_'}" in (ROOT / file).read_text(), f"{file}::{function}"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_files_that_docs_name_are_there(page: Path) -> None:
    """A file that moved is followed by the pages that name it. A short name of a test is somebody's."""
    known = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    found = re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|sh|jinja))(?:::\w+)?`", page.read_text())
    parts = ("easel", "infra", "scripts", "tests", "bench", "image")
    for name in found:
        top, _, rest = name.partition("/")
        if rest and top in parts:
            assert ((ROOT / "image" if top == "easel" else ROOT) / name).exists(), name
        elif name.startswith("test_") or "/test_" in name:
            assert Path(name).name in known, name


def metric_families(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str, str]]:
    """Name, type and words of every metric of studio and gateway, on a machine with a GPU."""
    from prometheus_client import CollectorRegistry, Metric

    from easel.gateway.console.metrics import GatewayCollector
    from easel.gateway.counts import Counts
    from easel.studio.activity import Activity
    from easel.studio.metrics.engine_metrics import EngineMetrics
    from easel.studio.metrics.request_metrics import RequestMetrics
    from easel.studio.metrics.state_collector import StateCollector

    torch = MagicMock()
    torch.cuda.mem_get_info.return_value = (1, 2)
    monkeypatch.setitem(sys.modules, "torch", torch)
    registry = CollectorRegistry()
    EngineMetrics(registry)
    RequestMetrics(registry)
    status = MagicMock()
    status.return_value.device = "cuda"
    families: list[Metric] = [
        *registry.collect(),
        *StateCollector(status, Activity()).collect(),
        *GatewayCollector({}, Counts()).collect(),
    ]
    for family in families:
        ending = {"counter": "_total", "info": "_info"}.get(family.type, "")
        yield family.name + ending, family.type, family.documentation


def test_every_metric_is_in_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/reference/metrics.md has each with its type and its own words, and none that is not there."""
    told = re.findall(r"^\| `(\w+)` \| (\w+) \|[^|]*\| (.+?) \|$", text("reference/metrics.md"), re.MULTILINE)
    assert sorted(told) == sorted(metric_families(monkeypatch))


def watching() -> list[dict[str, Any]]:
    """The YAML of the page on watching."""
    return [yaml.safe_load(one) for one in
            re.findall(r"```yaml\n(.*?)```", text("how-to/watch-an-endpoint.md"), re.DOTALL)]  # fmt: skip


def test_rules_for_alerts_ask_for_metrics_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule has words for who is woken, and names nothing that no scrape ever brings."""
    known = {name for name, _, _ in metric_families(monkeypatch)}
    rules = [rule for page in watching() for group in page.get("groups", []) for rule in group["rules"]]
    assert len(rules) == 3
    for rule in rules:
        assert rule["annotations"]["summary"]
        for name in re.findall(r"\beasel_\w+", rule["expr"]):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in known, name


def test_scrapes_ask_what_the_gateway_answers() -> None:
    """The addresses of the scrape configurations are the operator API's."""
    from easel.gateway import app

    jobs = [job for page in watching() for job in page.get("scrape_configs", [])]
    assert len(jobs) == 2
    for job in jobs:
        for discovery in job.get("http_sd_configs", []):
            assert f'"{re.sub("https?://[^/]+", "", discovery["url"])}"' in Path(app.__file__).read_text()
            assert discovery["authorization"] == job["authorization"]


def test_what_was_seen_to_hold_names_files_that_are_there() -> None:
    """Each by its path, or by its name beside the one before it: thirty had moved away from their rows, and
    three rows named a file that was by then another subject's."""
    lost = []
    for number, line in enumerate(text("verified.md").splitlines(), 1):
        if not line.startswith("| "):
            continue
        folder = None
        for name in re.findall(r"`([\w/]+(?:\.py)?)`", line.rstrip("| ").rpartition(" | ")[2]):
            if not name.endswith(".py") and not name.startswith("tests/"):
                continue
            path = ROOT / name if "/" in name else (folder or ROOT) / name
            folder = path.parent if name.endswith(".py") else path
            if not path.exists():
                lost.append(f"line {number}: {name}")
    assert not lost
