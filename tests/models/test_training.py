"""What files say of their training: every spelling, in the order of their weight, and nothing dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.models import Architecture, Kind, Sidecar, Store, UnknownArchitecture, identify
from easel.models.training import (
    EPSILON,
    VELOCITY,
    Fact,
    facts_of_markers,
    facts_of_metadata,
    facts_of_table,
    weigh,
)
from tests.models.files import header, sparse
from tests.models.test_architecture import SD1, SD2, XL

FACTS = st.builds(
    Fact,
    st.sampled_from(["the yaml", "the tensor", "the metadata a", "the metadata b"]),
    prediction=st.sampled_from(["", EPSILON, VELOCITY, "sample", "a word of nobody"]),
    zero_snr=st.sampled_from([None, True, False]),
)


@given(st.lists(FACTS, max_size=6))
def test_the_first_that_says_something_counts(facts: list[Fact]) -> None:
    """Of any facts the first with a known word counts, each matter for itself, and names what told it.

    Whatever says otherwise, or is not understood, is told in a note that names it.
    """
    verdict = weigh(facts)
    spoken = [fact for fact in facts if fact.prediction and fact.understood]
    assert (verdict.prediction, verdict.prediction_by) == (
        (spoken[0].prediction, spoken[0].source) if spoken else ("", "")
    )
    zero = [fact for fact in facts if fact.understood and fact.zero_snr is not None]
    assert (verdict.zero_snr, verdict.zero_by) == ((zero[0].zero_snr, zero[0].source) if zero else (None, ""))
    notes = " ".join(verdict.notes)
    for fact in facts:
        other = fact.understood and (
            (fact.prediction and fact.prediction != verdict.prediction)
            or (fact.zero_snr is not None and fact.zero_snr != verdict.zero_snr)
        )
        if other or not fact.understood:
            assert fact.source in notes
    if len({fact.prediction for fact in spoken}) < 2 and len({f.zero_snr for f in zero}) < 2:
        assert verdict.notes == () or any(not fact.understood for fact in facts)


@pytest.mark.parametrize(
    ("key", "value", "prediction", "zero"),
    [
        ("ss_v_parameterization", "True", VELOCITY, None),
        ("ss_v_parameterization", "False", EPSILON, None),
        ("ss_base_model_version", "sd_v2_v", VELOCITY, None),
        ("ss_v2", "True", "", None),
        ("modelspec.prediction_type", "v", VELOCITY, None),
        ("modelspec.prediction_type", "epsilon", EPSILON, None),
        ("modelspec.predict_key", "v", VELOCITY, None),
        ("modelspec.architecture", "stable-diffusion-v2-768-v", VELOCITY, None),
        ("modelspec.architecture", "stable-diffusion-v2-512/lora", EPSILON, None),
        ("modelspec.architecture", "stable-diffusion-xl-v1-base", "", None),
        ("prediction_type", "v-prediction", VELOCITY, None),
        ("easel.prediction_type", "v_prediction", VELOCITY, None),
        ("ot_config", json.dumps({"a": {"force_v_prediction": True}}), VELOCITY, None),
        ("ot_config", json.dumps({"rescale_noise_scheduler_to_zero_terminal_snr": True}), "", True),
        ("ss_zero_terminal_snr", "True", "", True),
        ("ss_zero_terminal_snr", "False", "", False),
        ("ss_zero_terminal_snr", "None", "", None),
        ("modelspec.ztsnr", "true", "", True),
        ("rescale_betas_zero_snr", "true", "", True),
        ("zsnr", "1", "", True),
        ("use_zero_snr", "yes", "", True),
        ("ztsnr", "True", "", True),
        ("ss_tag_frequency", '{"v_pred": true}', "", None),
        ("workflow", '{"sampling": "v_prediction", "zsnr": true}', "", None),
        ("modelspec.title", "v", "", None),
    ],
)
def test_spellings_in_metadata(key: str, value: str, prediction: str, zero: bool | None) -> None:
    """kohya's, ModelSpec's, diffusers', OneTrainer's and our own words; other entries say nothing."""
    verdict = weigh(facts_of_metadata({key: value}))
    assert (verdict.prediction, verdict.zero_snr, verdict.notes) == (prediction, zero, ())


@given(st.sampled_from([None, EPSILON, VELOCITY]), st.booleans(), st.sampled_from([None, EPSILON, VELOCITY]))
def test_sidecar_markers_metadata_shapes(
    tmp_path_factory: pytest.TempPathFactory, beside: str | None, marker: bool, metadata: str | None
) -> None:
    """Sidecar before marker tensors before metadata before the family's own, for each family."""
    for shapes, plain, velocity in (
        (SD1, Architecture.SD1, Architecture.SD1),
        (SD2, Architecture.SD2, Architecture.SD2_V),
        (XL, Architecture.SDXL, Architecture.SDXL_V),
    ):
        said = Sidecar(facts=(Fact("m.yaml", beside),)) if beside else Sidecar()
        made = header(
            tmp_path_factory.mktemp("order"),
            {**shapes, **({"v_pred": ()} if marker else {})},
            {"modelspec.prediction_type": metadata} if metadata else None,
        )
        found = identify(made, name="m.safetensors", sidecar=said)
        first = beside or (VELOCITY if marker else None) or metadata or ""
        assert found.prediction == first
        assert found.architecture is (velocity if first == VELOCITY else plain)
        told = [beside, VELOCITY if marker else None, metadata]
        assert bool(found.notes) == (len({one for one in told if one}) > 1)


@pytest.mark.parametrize("shapes", [SD1, SD2, XL], ids=["sd1", "sd2", "sdxl"])
def test_markers(tmp_path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """`v_pred` and `ztsnr` count for every family; without `ztsnr` nothing is made of v-prediction alone."""
    both = identify(header(tmp_path, {**shapes, "v_pred": (), "ztsnr": ()}), name="m.safetensors")
    assert (both.prediction, both.zero_snr, both.told_by) == (VELOCITY, True, "the tensor v_pred")
    one = identify(header(tmp_path, {**shapes, "v_pred": ()}), name="m.safetensors")
    assert one.prediction == VELOCITY
    assert not one.zero_snr
    assert facts_of_markers(["model.v_pred", "first_stage_model.ztsnr"]) == []


@pytest.mark.parametrize("word", ["x0", "sample", "flow", "edm"])
def test_other_predictions_are_refused(tmp_path: Path, word: str) -> None:
    """What is known and not drawn with is refused in words; a strange word is told, and no more."""
    said = Sidecar(facts=tuple(facts_of_table({"parameterization": word}, "m.yaml")))
    with pytest.raises(UnknownArchitecture, match=r"m\.yaml says that it predicts .*the noise \(epsilon\)"):
        identify(header(tmp_path, SD1), name="m.safetensors", sidecar=said)
    odd = Sidecar(facts=tuple(facts_of_table({"parameterization": "quux"}, "m.yaml")))
    found = identify(header(tmp_path, SD1), name="m.safetensors", sidecar=odd)
    assert found.prediction == ""
    assert "'quux'" in found.notes[0]


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=60), max_size=8))
def test_any_metadata_is_read(metadata: dict[str, str]) -> None:
    """No text in a header is an error."""
    weigh(facts_of_metadata(metadata))
    weigh(facts_of_table(metadata, "m.json"))


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=9), inner, max_size=3), max_leaves=20))  # fmt: skip
def test_any_table_is_read(table: object) -> None:
    """No JSON or YAML is an error."""
    weigh(facts_of_table(table, "m.json"))


def test_what_was_understood_is_seen(tmp_path: Path) -> None:
    """The index says what a checkpoint predicts and by what it was told; nothing where nothing is said."""
    folder = tmp_path / Kind.CHECKPOINT.folder
    sparse(folder / "plain.safetensors", SD1)
    sparse(folder / "v.safetensors", {**SD1, "ztsnr": ()})
    (folder / "v.yaml").write_text("model: {params: {parameterization: v}}")
    store = Store(tmp_path, hashing=False)
    plain, spoken = store.index(Kind.CHECKPOINT)
    assert (plain.architecture, plain.training) == ("sd1", "")
    assert spoken.training == "sd1, v_prediction, zero-terminal SNR (told by v.yaml beside it)"
    (folder / "plain.yaml").write_text("model: {params: {parameterization: v}}")
    assert "v_prediction" in store.index(Kind.CHECKPOINT)[0].training
