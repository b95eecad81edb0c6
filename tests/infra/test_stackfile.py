"""Reading stack files: a spec or a SpecError that teaches, never anything else."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.faults import SpecError
from infra.stackfile import load_stack, read_spec
from tests.infra.stacks import faults, stack, written

ROOT = Path(__file__).resolve().parents[2]


def test_the_stack_that_make_up_starts_is_right() -> None:
    """A fresh clone must start."""
    spec = load_stack(ROOT / "stacks" / "Pulumi.local.yaml")
    assert spec.name == "local"
    assert spec.team.runs_on == "local"
    assert list(spec.endpoints) == ["studio"]


def test_the_example_of_the_design_is_right(tmp_path: Path) -> None:
    """Every field that people are shown first is read as it is written."""
    text = """
config:
  aws:region: us-east-1
  easel:team:
    domain: art.example.com
    runs_on: instances
    members: {issuer: "https://accounts.google.com", client_id: abc, domains: [example.com]}
    budget: {monthly: 500, notify: lead@example.com, stop: false}
  easel:endpoints:
    studio:
      shape: gpu.a10
      replicas: {min: 0, max: 3}
      warm: 1
      idle: 15m
      public: false
      models: [hf://a/sd_xl_base_1.0.safetensors, "civitai://models/4384?version=128713", s3://bucket/key]
"""
    spec = load_stack(written(tmp_path, text))
    studio = spec.endpoints["studio"]
    assert (spec.name, studio.idle, studio.replicas.max, studio.warm) == ("art", 900, 3, 1)
    assert studio.timeouts.wake == 900
    assert studio.timeouts.request == 3600


def test_an_endpoint_needs_a_shape_and_nothing_else(tmp_path: Path) -> None:
    """Every other field has a default, and private is the default."""
    studio = stack(tmp_path, {"studio": {"shape": "gpu.a10"}}).endpoints["studio"]
    assert not studio.public
    assert (studio.replicas.min, studio.replicas.max, studio.concurrency) == (0, 1, 8)


def test_all_faults_are_told_at_once_with_line_path_value_and_what_is_allowed(tmp_path: Path) -> None:
    """Whoever puts a file right does it once, not fault by fault."""
    text = """config:
  easel:team:
    runs_on: instancs
    domian: art.example.com
  easel:endpoints:
    Stu_dio:
      shape: gpu.a10g
      replicas: {min: 3, max: 1}
      idle: 15
    other:
      public: "yes"
"""
    file = written(tmp_path, text)
    with pytest.raises(SpecError) as error:
        load_stack(file, "stacks/Pulumi.art.yaml")
    told = str(error.value).splitlines()
    expected = [
        ("3: easel:team.runs_on", '"instancs"', "did you mean instances?"),
        ("4: easel:team.domian", "is not a field", "did you mean domain?"),
        ("6: easel:endpoints.Stu_dio", '"Stu_dio"', "lowercase letters"),
        ("7: easel:endpoints.Stu_dio.shape", '"gpu.a10g"', "did you mean gpu.a10?"),
        ("8: easel:endpoints.Stu_dio.replicas.max", "1 is below min, which is 3", "raise max"),
        ("9: easel:endpoints.Stu_dio.idle", "15 is not a duration", "1h30m"),
        ("10: easel:endpoints.other.shape", "is missing", "What a replica runs on"),
        ("11: easel:endpoints.other.public", '"yes"', "must be true or false"),
    ]
    assert len(told) == len(expected)
    for line, (place, *texts) in zip(told, expected, strict=True):
        assert line.startswith(f"stacks/Pulumi.art.yaml:{place}: ")
        assert all(text in line for text in texts), line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold config"),
        ("42", "must hold config"),
        ("config: [1]", "must hold config"),
        ("config: {}", "easel:endpoints: is missing"),
        ("config: {easel:endpoint: {}}", "did you mean easel:endpoints?"),
        ("config: {easel:endpoints: 7}", "7 must be a mapping"),
        ("config: {easel:endpoints: {a: 7}}", "7 must be a mapping of fields"),
        ("config: {easel:endpoints: {1: {shape: gpu.t4}}}", "is not a name for an endpoint"),
        ("config: {a: 1, a: 2}", '"a" is there twice'),
        ("a: [", "is not YAML"),
        ("\tconfig: {}", "is not YAML"),
        ("config: !!python/object:os.system {}", "is not YAML"),
        ("config: {a: 2026-99-99}", "looks like a number or date and is none"),
        ("config: {a: " + "1:" * 3000 + "1}", "looks like a number or date and is none"),
        ("config: {a: 0x" + "f" * 5000 + "}", "looks like a number or date and is none"),
        ("config: {[a]: 1}", "a name must be plain text"),
        ("a: &a [*a]", "anchors"),
        ("a: &a {<<: *a}", "must hold config"),
        ("---\na: 1\n---\nb: 1\n", "is not YAML"),
        ("[" * 5000, "too deep"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
        (b"a: \x07", "is not YAML"),
        ("#" * 1_000_001, "larger than a megabyte"),
    ],
)
def test_a_file_that_is_no_stack_is_refused_in_a_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    """Whatever the file holds, the answer says what is wrong with it."""
    with pytest.raises(SpecError) as error:
        load_stack(written(tmp_path, text))
    assert said in str(error.value)


def test_anchors_cannot_make_a_small_file_enormous(tmp_path: Path) -> None:
    """Nine levels of nine would be 400 million values."""
    rows = ["a0: &a0 [1,1,1,1,1,1,1,1,1]"]
    rows += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(SpecError, match="too large once its anchors are followed"):
        load_stack(written(tmp_path, "\n".join(rows)))


def test_anchors_and_merges_are_followed(tmp_path: Path) -> None:
    """Teams with twenty endpoints write what is common once."""
    text = """
common: &common {shape: gpu.t4, idle: 5m}
config:
  easel:team: {domain: a.example.com}
  easel:endpoints:
    one: *common
    two: {<<: *common, idle: 1h}
"""
    spec = load_stack(written(tmp_path, text))
    assert (spec.endpoints["one"].idle, spec.endpoints["two"].idle) == (300, 3600)


def test_a_file_that_is_not_there_is_named_with_the_nearest_that_is(tmp_path: Path) -> None:
    """A misspelt stack is the commonest fault of all."""
    written(tmp_path, "", "Pulumi.artists.yaml")
    with pytest.raises(SpecError, match=r"there is no such file; did you mean Pulumi\.artists\.yaml\?"):
        load_stack(tmp_path / "Pulumi.artist.yaml")


def test_a_folder_is_no_stack_file(tmp_path: Path) -> None:
    """What the system says is passed on."""
    with pytest.raises(SpecError, match="cannot be read: is a directory"):
        load_stack(tmp_path)


@pytest.mark.parametrize("name", ["Pulumi.Art.yaml", "Pulumi.a_b.yaml", f"Pulumi.{'x' * 17}.yaml"])
def test_a_stack_has_a_name_that_resources_can_have(tmp_path: Path, name: str) -> None:
    """The team's name is in the name of everything that is provisioned."""
    text = "config: {easel:team: {domain: a.example.com}, easel:endpoints: {}}"
    with pytest.raises(SpecError, match="the stack's name"):
        load_stack(written(tmp_path, text, name))


def test_values_of_variables_are_never_shown(tmp_path: Path) -> None:
    """A fault is printed to logs of builds; a password in the wrong place stays out of them."""
    told = faults(
        tmp_path, {"a": {"shape": "gpu.t4", "env": {"PASSWORD": 12345}, "secrets": {"X": ["hunter2"]}}}
    )
    assert len(told) == 2
    assert not any("12345" in line or "hunter2" in line for line in told)


def test_a_fault_is_one_line_without_control_characters(tmp_path: Path) -> None:
    """A name cannot steer the terminal it is printed on."""
    told = faults(tmp_path, {"a\x1b[31m\nb": {"shape": "gpu.t4"}})
    assert len(told) == 1
    assert told[0].isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    [
        "shape",
        "replicas",
        "min",
        "max",
        "idle",
        "models",
        "image",
        "env",
        "timeouts",
        "mounts",
        "runs_on",
        "budget",
    ]
)
near_specs = st.recursive(
    json_values | st.sampled_from(["gpu.a10", "local", "15m", 1, 3]),
    lambda inner: st.dictionaries(fields | st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | json_values.map(lambda value: yaml.safe_dump(value)))
def test_any_file_is_a_spec_or_a_spec_error(tmp_path: Path, text: str) -> None:
    """No file makes the loader fail in another way."""
    with contextlib.suppress(SpecError, UnicodeEncodeError):
        load_stack(written(tmp_path, text))


@settings(max_examples=300)
@given(near_specs, near_specs)
def test_any_configuration_is_a_spec_or_a_spec_error(team: Any, endpoints: Any) -> None:
    """Nor does any configuration that Pulumi may hand over; and every fault says where it is."""
    told = ""
    try:
        read_spec("art", {"easel:team": team, "easel:endpoints": endpoints}, "Pulumi.art.yaml")
    except SpecError as error:
        told = str(error) or "nothing"
    assert all(line.startswith("Pulumi.art.yaml: ") for line in told.splitlines())


@given(st.sampled_from(["min", "max"]), st.integers() | st.booleans() | st.text(max_size=5) | st.floats())
def test_limits_hold_for_every_number(field: str, value: Any) -> None:
    """What passes is a whole number within the limits, never a boolean or a text that looks like one."""
    config = {
        "easel:team": {"runs_on": "local"},
        "easel:endpoints": {"a": {"shape": "gpu.t4", "replicas": {field: value}}},
    }
    try:
        spec = read_spec("art", json.loads(json.dumps(config)), "x")
    except SpecError:
        return
    found = getattr(spec.endpoints["a"].replicas, field)
    assert type(found) is int
    assert 0 <= found <= 100
