"""The plan of what goes where in a device's memory: arithmetic on bytes, as properties."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from easel.studio.engine.memory.memory_plan import DrawingBytes, WeightBytes, WeightPlacement, need, plan

GB = 1_000_000_000
BYTES = st.integers(0, 40 * GB)
# SDXL in half precision, its VAE in single, with prompt and negative prompt at 1024 (docs/performance.md)
SDXL = WeightBytes(text_encoders=1_720_000_000, backbone=5_400_000_000, vae=180_000_000, layer=133_000_000)
DRAWING = DrawingBytes(call=414_000_000, vae=(4_050_000_000, 1_030_000_000, 277_000_000), fixed=700_000_000)


@st.composite
def cases(draw: st.DrawFn) -> tuple[WeightBytes, DrawingBytes]:
    parts = [draw(BYTES) for _ in range(3)]
    weights = WeightBytes(*parts, layer=draw(st.integers(0, max(parts))), expanding=draw(BYTES))
    vae = tuple(sorted(draw(st.lists(BYTES, min_size=1, max_size=4)), reverse=True))
    return weights, DrawingBytes(draw(BYTES), vae, draw(BYTES))


@given(cases(), BYTES, st.booleans())
def test_a_plan_never_exceeds_what_is_free(
    case: tuple[WeightBytes, DrawingBytes], free: int, apart: bool
) -> None:
    """And it counts everything: whoever adds up the parts comes to the same number."""
    weights, drawing = case
    found = plan(weights, drawing, free, apart=apart)
    if found is None:
        return
    assert found.need <= free
    assert found.need == need(weights, drawing, found.placement, found.vae_way, found.width)
    drawn = drawing.fixed + drawing.call * found.width + drawing.vae[found.vae_way]
    assert found.need == found.resident + weights.expanding + drawn
    assert apart or found.placement is WeightPlacement.WHOLE


@given(cases(), BYTES, BYTES, st.booleans())
def test_more_memory_never_gives_a_slower_plan(
    case: tuple[WeightBytes, DrawingBytes], free: int, more: int, apart: bool
) -> None:
    """Nor none where there was one."""
    before, after = (plan(*case, free=room, apart=apart) for room in (free, free + more))
    if before is not None:
        assert after is not None
        assert after.slowness <= before.slowness


@given(cases(), BYTES)
def test_nothing_is_refused_that_fits(case: tuple[WeightBytes, DrawingBytes], free: int) -> None:
    """Without a plan, one picture by the smallest tiles is too much even with all weights outside."""
    if plan(*case, free=free, apart=True) is None:
        assert min(need(*case, placement) for placement in WeightPlacement) > free


def test_what_sdxl_gets_on_the_cards_that_people_have() -> None:
    """16 GB hold it whole and draw eight at once; 12 GB decode by tiles; 8 GB leave text encoders and VAE
    outside; 4 GB the UNet too; 1 GB holds nothing to draw with."""
    plans = {size: plan(SDXL, DRAWING, size * GB, apart=True) for size in (1, 4, 8, 12, 16)}
    found = {size: one and (one.placement, one.vae_way, one.width) for size, one in plans.items()}
    assert found == {
        1: None,
        4: (WeightPlacement.NOTHING, 1, 4),
        8: (WeightPlacement.BACKBONE, 1, 1),
        12: (WeightPlacement.WHOLE, 1, 4),
        16: (WeightPlacement.WHOLE, 0, 8),
    }
