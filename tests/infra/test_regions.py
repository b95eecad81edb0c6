"""`aws:region`: a misspelt one is told before anything is asked of AWS."""

import subprocess
import sys
from pathlib import Path

import botocore.session
import pulumi
import pulumi_aws as aws
import pytest

from infra.faults import SpecError
from infra.regions import REGIONS
from infra.stackfile import load_stack
from tests.infra.graph import TEAM, run
from tests.infra.stacks import written

STUDIO = {"studio": {"shape": "gpu.t4"}}
STACK = """config:
  aws:region: {region}
  {more}
  easel:team: {{domain: art.example.com, runs_on: {runs_on}}}
  easel:endpoints: {{studio: {{shape: gpu.t4}}}}
"""


def stack(folder: Path, region: str, more: str = "", runs_on: str = "instances") -> Path:
    return written(folder, STACK.format(region=region, more=more, runs_on=runs_on))


def test_the_regions_are_those_that_the_libraries_know() -> None:
    """A new one comes with the next lock file: add it then."""
    session = botocore.session.get_session()
    known = {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition)
    }
    assert known == REGIONS
    assert {region.value for region in aws.Region} == REGIONS


@pytest.mark.parametrize(
    ("region", "meant"),
    [
        ("us-esat-1", "us-east-1"),
        ("us-east1", "us-east-1"),
        ("US-EAST-1", "us-east-1"),
        ("eu-west-l", "eu-west-1"),
        ("us-east-1a", "us-east-1"),
    ],
)
def test_a_misspelt_region_is_refused_with_the_right_one(tmp_path: Path, region: str, meant: str) -> None:
    """By everything that reads the file, with its line."""
    with pytest.raises(SpecError) as error:
        load_stack(stack(tmp_path, region))
    said = str(error.value)
    assert f'Pulumi.art.yaml:2: aws:region: "{region}" is not a region of AWS; did you mean {meant}?' in said


@pytest.mark.parametrize("region", ["frankfurt", "''", "7", "[us-east-1]", "{a: b}"])
def test_what_is_no_region_at_all_is_refused(tmp_path: Path, region: str) -> None:
    """Whatever YAML makes of it."""
    with pytest.raises(SpecError, match="is not a region of AWS"):
        load_stack(stack(tmp_path, region))


def test_a_region_that_is_newer_than_easel_can_be_taken(tmp_path: Path) -> None:
    """By the setting that pulumi-aws has for it."""
    assert load_stack(stack(tmp_path, "us-north-9", "aws:skipRegionValidation: true")).name == "art"
    assert load_stack(stack(tmp_path, "us-north-9", 'aws:skipRegionValidation: "true"')).name == "art"


def test_one_machine_has_no_region(tmp_path: Path) -> None:
    """What is not used is no fault."""
    assert load_stack(stack(tmp_path, "us-esat-1", runs_on="local")).name == "art"


def test_the_preview_refuses_it_before_anything_is_asked() -> None:
    """Of the stack file, and of the environment."""
    config = {"easel:team": TEAM, "easel:endpoints": STUDIO, "aws:region": "us-esat-1"}
    with pytest.raises(pulumi.RunError, match="did you mean us-east-1"):
        run(config, "art")


def test_a_region_of_the_environment_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what the provider takes where the stack file names none."""
    monkeypatch.setenv("AWS_REGION", "eu-wset-1")
    with pytest.raises(pulumi.RunError, match="did you mean eu-west-1"):
        run({"easel:team": TEAM, "easel:endpoints": STUDIO}, "art")


def test_the_list_costs_the_command_no_import() -> None:
    """`easel` starts without the libraries that know the regions."""
    code = "import sys, infra.stackfile; assert not {'botocore', 'pulumi_aws'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
