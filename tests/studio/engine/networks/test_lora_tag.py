"""Tags `<lora:…>` with block weights, steps and ranks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine.networks.block_weights import BLOCKS, PRESETS, read_block_weights
from easel.studio.engine.networks.lora_tag import LoraLimits, read_tag

# As sd-webui-lora-block-weight ships them, in lists of 17.
PUBLISHED = {
    "NONE": "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0", "ALL": "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
    "INS": "1,1,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0", "IND": "1,0,0,0,1,1,1,0,0,0,0,0,0,0,0,0,0",
    "INALL": "1,1,1,1,1,1,1,0,0,0,0,0,0,0,0,0,0", "MIDD": "1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0",
    "OUTD": "1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0", "OUTS": "1,0,0,0,0,0,0,0,0,0,0,0,1,1,1,1,1",
    "OUTALL": "1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1",
    "ALL0.5": "0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5",
}  # fmt: skip
LENGTHS = {
    12: "BASE IN04 IN05 IN07 IN08 M00 OUT00 OUT01 OUT02 OUT03 OUT04 OUT05",
    17: "BASE IN01 IN02 IN04 IN05 IN07 IN08 M00 OUT03 OUT04 OUT05 OUT06 OUT07 OUT08 OUT09 OUT10 OUT11",
    20: "BASE IN00 IN01 IN02 IN03 IN04 IN05 IN06 IN07 IN08 M00 OUT00 OUT01 OUT02 OUT03 OUT04 OUT05 OUT06 "
        "OUT07 OUT08",
    26: " ".join(BLOCKS),
}  # fmt: skip


def test_presets() -> None:
    """Each preset is the list that the extension has under its name."""
    assert set(PRESETS) == set(PUBLISHED)
    for name, numbers in PUBLISHED.items():
        assert read_block_weights(name) == read_block_weights(numbers), name


@pytest.mark.parametrize("count", LENGTHS)
def test_lists(count: int) -> None:
    """A list's length tells which blocks its numbers are for; the others do not count."""
    numbers = [round(0.1 * (n + 1), 1) for n in range(count)]
    found = read_block_weights(" , ".join(map(str, numbers)))
    wanted = dict(zip(LENGTHS[count].split(), numbers, strict=True))
    assert dict(zip(BLOCKS, found, strict=True)) == {one: wanted.get(one, 0.0) for one in BLOCKS}


@pytest.mark.parametrize(
    ("said", "te", "unet", "limits"),
    [
        ("x:0.8:lbw=OUTALL", 0.8, 0.8, LoraLimits(read_block_weights("OUTALL"))),
        ("x:0.8:1:lbw=NONE", 0, 1, LoraLimits(read_block_weights("NONE"))),
        ("x:1:OUTD", 1, 1, LoraLimits(read_block_weights("OUTD"))),
        ("x:1:0.5:OUTD", 1, 0.5, LoraLimits(read_block_weights("OUTD"))),
        ("x:1:w=ALL0.5", 0.5, 1, LoraLimits(read_block_weights("ALL0.5"))),
        ("x:1:" + PUBLISHED["INS"], 1, 1, LoraLimits(read_block_weights("INS"))),
        ("x:1:1:8", 1, 1, LoraLimits(rank=8)),
        ("x:1:dyn=8", 1, 1, LoraLimits(rank=8)),
        ("x:1:start=5:stop=0.5", 1, 1, LoraLimits(start=5, stop=0.5)),
        ("x:1:step=5-10", 1, 1, LoraLimits(start=5, stop=10)),
    ],
)
def test_a_tag(said: str, te: float, unet: float, limits: LoraLimits) -> None:
    """Limits by name or by place; BASE is multiplied into the text encoders' weight."""
    tag = read_tag(said)
    assert (tag.name, tag.te, tag.unet, tag.limits, tag.ignored) == ("x", te, unet, limits, ())


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("x:1:lbw=OUTAL", "none of the presets"),
        ("x:1:lbw=1,0,1", "3 block weights"),
        ("x:1:lbw=" + "R," * 16 + "R", "random"),
        ("x:1:lbw=" + "1," * 16 + "nan", "too large"),
        ("x:1:lbwe=ATTNDEEPON", "lbwe"),
        ("x:1:x=3", "x=3"),
        ("x:1:step=5", "two steps"),
        ("x:1:1:8:9", "9"),
    ],
)
def test_what_counts_for_nothing(said: str, word: str) -> None:
    """As in the extension the LoRA is at work without it; here that is said."""
    tag = read_tag(said)
    assert tag.limits.blocks is None
    assert any(word in one for one in tag.ignored), tag.ignored


@pytest.mark.parametrize("said", ["x:1:dyn=0", "x:1:dyn=x", "x:1:1:1.5", "x:1:start=a", "x:1:stop=-1",
                                  "x:1:step=1-x", "x:1:start=nan", "", ":1", "x:1:unet=inf"])  # fmt: skip
def test_what_cannot_be(said: str) -> None:
    """A number that is none is an error, as for weights."""
    with pytest.raises(ValueError, match=r"."):
        read_tag(said)


@given(st.text(alphabet=st.sampled_from("x:=,.-15 OUTALLlbwdynstarteoR"), max_size=120))
def test_any_tag(said: str) -> None:
    """Whatever is said, it is read or refused with a sentence, and weights are numbers."""
    try:
        tag = read_tag(said)
    except ValueError:
        return
    assert math.isfinite(tag.te)
    assert math.isfinite(tag.unet)
    assert tag.limits.blocks is None or len(tag.limits.blocks) == len(BLOCKS)


def test_steps() -> None:
    """A bound below 1 is a share of the steps, never less than the first; the last step is the end."""
    assert [LoraLimits(start=0.5).at_work(n, 4) for n in range(4)] == [False, True, True, True]
    assert [LoraLimits(stop=3).at_work(n, 4) for n in range(4)] == [True, True, False, False]
    assert [LoraLimits(start=0.01, stop=0.99).at_work(n, 4) for n in range(4)] == [True, True, True, False]
    assert all(LoraLimits().at_work(n, 4) for n in range(5))
