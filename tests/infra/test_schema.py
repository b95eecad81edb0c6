"""The schema that editors use, and the reference."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from infra.schema import reference, schema_text, stack_schema

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted([ROOT / "stacks" / "Pulumi.local.yaml", *ROOT.glob("stacks/templates/*.yaml")])
"""Those that come with easel; whoever works here has others of their own."""
GOOD: dict[str, Any] = {"config": {"aws:region": "us-east-1", "easel:endpoints": {"a": {"shape": "gpu.t4"}}}}


def test_the_files_are_as_the_spec_says() -> None:
    """A field that changes changes what editors complete and what the reference says; run `make schema`."""
    assert (ROOT / "stacks" / "easel.schema.json").read_text() == schema_text()
    assert (ROOT / "docs" / "reference" / "spec.md").read_text() == reference()


def test_the_schema_is_one() -> None:
    """Editors refuse a broken schema in silence."""
    Draft202012Validator.check_schema(stack_schema())


@pytest.mark.parametrize("file", STACKS, ids=lambda file: file.name)
def test_every_stack_file_fits_the_schema_and_names_it(file: Path) -> None:
    """So that an editor shows tooltips in it from the first opening."""
    text = file.read_text()
    Draft202012Validator(stack_schema()).validate(yaml.safe_load(text))
    first = text.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (file.parent / first.split("=", 1)[1]).resolve() == ROOT / "stacks" / "easel.schema.json"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("shape",), "gpu.a11"),
        (("shap",), "gpu.a10"),
        (("idle",), "15"),
        (("idle",), 15),
        (("replicas",), {"min": -1}),
        (("replicas",), {"max": 0}),
        (("public",), "yes"),
        (("timeouts",), {"wak": "1m"}),
        (("storage",), {"disk": "big"}),
    ],
)
def test_the_schema_refuses_what_the_spec_refuses(where: tuple[str], value: Any) -> None:
    """An editor that shows no fault where `make up` finds one is worse than none."""
    bad = copy.deepcopy(GOOD)
    bad["config"]["easel:endpoints"]["a"][where[0]] = value
    assert Draft202012Validator(stack_schema()).is_valid(GOOD)
    assert not Draft202012Validator(stack_schema()).is_valid(bad)


@pytest.mark.parametrize("name", ["Studio", "team", "console", "a" * 25, "a_b", "-a"])
def test_the_schema_refuses_names_that_the_spec_refuses(name: str) -> None:
    """Names of endpoints are DNS labels in the editor too."""
    bad = {"config": {"easel:endpoints": {name: {"shape": "gpu.t4"}}}}
    assert not Draft202012Validator(stack_schema()).is_valid(bad)


def test_a_misspelt_key_of_easel_is_a_fault_and_a_foreign_one_is_not() -> None:
    """`easel:endpoint` is caught; `aws:region` is Pulumi's business."""
    validator = Draft202012Validator(stack_schema())
    assert not validator.is_valid({"config": GOOD["config"] | {"easel:endpoint": {}}})
    assert validator.is_valid({"config": GOOD["config"] | {"aws:profile": "x"}, "encryptionsalt": "x"})


def test_every_field_has_one_sentence() -> None:
    """The texts are tooltips: there is one for each, it ends with a full stop, and it fits a line."""
    for section in stack_schema()["$defs"].values():
        for name, field in section["properties"].items():
            text = field["description"]
            assert text.endswith("."), name
            assert len(text) <= 130, name


def test_defaults_are_written_as_people_write_them() -> None:
    """`15m`, not 900."""
    endpoint = stack_schema()["$defs"]["EndpointSpec"]["properties"]
    assert endpoint["idle"]["default"] == "15m"
    assert stack_schema()["$defs"]["Storage"]["properties"]["disk"]["default"] == "100GB"
    assert json.loads(schema_text()) == stack_schema()
