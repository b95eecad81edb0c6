"""`easel cost`: what a team costs, from its file alone."""

import json
from pathlib import Path

import pytest

from infra.cluster import cost as cluster
from infra.cost import first_type, floor_monthly, hourly
from infra.shapes import SHAPES
from infra.stackfile import load_stack
from scripts.docs.cost_page import page
from scripts.settings import ROOT
from tests.scripts.stackfiles import ART, LOCAL, Teams, done, refused


@pytest.fixture
def teams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Teams:
    found = Teams(tmp_path, monkeypatch)
    found.write("art", ART)
    return found


def test_the_page_in_the_docs_is_what_the_command_prints() -> None:
    """A price that changes changes the page; run `easel cost --table > docs/reference/cost.md`."""
    kept = ROOT / "docs" / "reference" / "cost.md"
    assert done("cost", "--table") == kept.read_text() == page()


def test_the_page_has_every_shape_with_a_price_above_its_instances() -> None:
    """Address and disk come on top of the instance, in dollars and in the right order of size."""
    for part, price in zip(page().split("## On a cluster"), (first_type, cluster.first_type), strict=True):
        rows = [line.split(" | ") for line in part.splitlines() if line.startswith("| `")]
        prices = {row[0].strip("| `"): float(row[2]) for row in rows}
        assert prices.keys() == SHAPES.keys()
        for name, shape in SHAPES.items():
            least = price(shape).price * (1 if price is first_type else 1 + cluster.FEE)
            # On a machine that is sold whole, eight replicas have a disk together.
            assert least < prices[name] < least + 0.1 * max(1, shape.only_by / 4)


def test_it_says_what_is_paid_asleep_at_min_and_at_max(teams: Teams) -> None:
    """And the floor, and the quota that max needs."""
    said = done("cost")
    spec = load_stack(teams.file("art"))
    costs = hourly(spec.endpoints["studio"])
    assert f"{costs.max:.2f}" in said
    assert f"${floor_monthly(spec):.2f} a month" in said
    assert "L-DB2E81BA: 24 vCPUs of on-demand G and VT instances; 48 where larger types stand in" in said
    assert done("cost", "art") == said


def test_as_json_it_is_for_programs(teams: Teams) -> None:
    """Numbers, not words."""
    found = json.loads(done("cost", "--json"))
    spec = load_stack(teams.file("art"))
    assert (found["team"], found["runs_on"]) == ("art", "instances")
    assert found["per_month_at_rest"] == round(floor_monthly(spec), 2) > 0
    (studio,) = found["endpoints"]
    assert studio["per_hour"]["asleep"] == studio["per_hour"]["min"] == 0
    assert studio["per_hour"]["max"] > 3 * SHAPES["gpu.a10"].price
    assert studio["vcpus_at_max"] == 24
    quota = {"quota": "L-DB2E81BA", "what": "on-demand G and VT instances", "needed": 24, "most": 48}
    assert quota in found["vcpus"]


def test_as_markdown_it_is_a_section(teams: Teams) -> None:
    """What a workflow appends to its summary."""
    said = done("cost", "--markdown")
    assert said.startswith("### What art costs\n\n```\n")
    assert said.rstrip().endswith("```")


def test_one_machine_costs_nothing_at_aws(teams: Teams) -> None:
    """In words and as JSON."""
    teams.write("mine", LOCAL)
    assert "$" not in done("cost", "mine")
    found = json.loads(done("cost", "mine", "--json"))
    assert found["per_month_at_rest"] == found["endpoints"][0]["per_hour"]["max"] == 0
    assert found["vcpus"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "`easel new nobody` makes it"),
        (["arr"], "did you mean art?"),
        (["../art"], "is not a name for a team"),
        (["Art"], "is not a name for a team"),
    ],
)
def test_a_team_that_is_not_there_is_refused(teams: Teams, arguments: list[str], said: str) -> None:
    """With the nearest that is, or how to make one."""
    assert said in refused("cost", *arguments)


def test_a_faulty_file_is_refused_with_its_faults(teams: Teams) -> None:
    """No dollars of half a file."""
    teams.write("art", ART.replace("gpu.a10", "gpu.b10").replace("15m", "15"))
    said = refused("cost")
    assert "is not allowed" in said
    assert "is not a duration" in said
    assert "$" not in said


def test_a_cluster_is_counted_as_one(teams: Teams) -> None:
    """With its control plane, its balancer and the fee of its machines; as JSON too."""
    teams.write("art", ART.replace('"instances"', "cluster"))
    said = done("cost")
    assert "control plane" in said
    assert "load balancer" in said
    found = json.loads(done("cost", "--json"))
    assert found["per_month_at_rest"] > 150
    assert found["endpoints"][0]["instance_type"] == "g5.xlarge"
