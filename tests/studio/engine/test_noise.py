"""Noise: sources against the numbers of others, slerp against its formula, resizing against a paste."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.studio.engine import InvalidRequest, TextToImage
from easel.studio.engine.noise import PictureNoise, laid_into, normal_source, slerp
from easel.studio.engine.noise.philox import Philox, philox4x32

CPU = torch.device("cpu")
SHAPE = (4, 8, 6)
SOURCES = ("CPU", "GPU", "NV")
ALL = 0xFFFFFFFF

# torch.manual_seed(0); torch.randn(8, 10, device="cuda"), as torch printed it for somebody who compared
# kernels on such a card and published the notes (cuda-mode-lecture, fused kernels for LoRA)
CARD_0 = """
-0.9247 -0.4253 -2.6438  0.1452 -0.1209 -0.5797 -0.6229 -0.3284 -1.0745 -0.3631
-1.6711  2.2655  0.3117 -0.1842  1.2866  1.1820 -0.1271  1.2169  1.4353  1.0605
-0.4941 -1.4244 -0.7244 -1.2973  0.0697 -0.0074  1.8969  0.6878 -0.0779 -0.8373
 1.3506 -0.2879 -0.5965 -0.3283 -0.9086 -0.8059 -0.7407 -0.0504  0.5435  1.5150
 0.0141  0.4532  1.6349  0.7124 -0.1806  1.0252 -1.4622 -0.7554 -0.1836  0.3824
 0.3918 -0.0830  0.8971 -1.1123  0.1116  0.4863 -0.5499 -0.3231 -0.5469  0.9049
 0.2837  0.1210  0.4730 -1.0823 -0.0334 -0.9734  0.9559 -1.1795 -1.0064  0.1160
 0.6852 -0.4124 -0.6738 -0.5404  0.6898 -1.5517  0.3805 -0.0436  0.3597 -0.5043
"""
# torch.manual_seed(42); torch.randn(…, device="cuda"): the first ten are in flashinfer's documentation of
# `Sample`, all 19 in a comment of another project's plotter
CARD_42 = """
 0.1940  2.1614 -0.1721  0.8491 -1.9244  0.6530 -0.6494 -0.8175  0.5280 -1.2753
-1.6621 -0.3033 -0.0926  0.1992 -1.1204  1.8577 -0.7145  0.6881  0.7968
"""


def drawn(source: str, seed: int, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    one = normal_source(source, seed, CPU)
    return [one.draw(shape) for shape in shapes]


def numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


# ── NV: an NVIDIA card's numbers ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ALL,) * 4, (ALL,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_its_known_answers(counter, key, words) -> None:
    """The known-answer vectors of Random123 (`kat_vectors`, philox4x32 10), from those who made Philox."""
    found = philox4x32(np.array(counter, np.uint64)[:, None], key)
    assert tuple(int(word) for word in found[:, 0]) == words


@pytest.mark.parametrize(("seed", "published"), [(0, CARD_0), (42, CARD_42)])
def test_a_cards_numbers(seed, published) -> None:
    """What cards gave to people who published it, to the four digits that torch prints."""
    expected = numbers(published)
    found, *_ = drawn("NV", seed, (len(expected),))
    np.testing.assert_allclose(found.numpy(), expected, atol=5.1e-5)


def test_a_cards_numbers_to_eight_digits() -> None:
    """A1111's own example of its NV generator; it was printed before A1111 rounded constants to a card's."""
    expected = numbers(
        "-0.92466259 -0.42534415 -2.6438457 0.14518388 -0.12086647 -0.57972564 "
        "-0.62285122 -0.32838709 -1.07454231 -0.36314407 -1.67105067 2.26550497"
    )
    np.testing.assert_allclose(drawn("NV", 0, (12,))[0].numpy(), expected, atol=6e-7)


def box_muller(first: int, second: int) -> float:
    u, v = (first + 0.5) * 2.0**-32, (second + 0.5) * 2.0**-32
    return math.sqrt(-2 * math.log(u)) * math.sin(2 * math.pi * v)


@given(st.integers(0, 2**64 - 1), st.integers(0, 3), st.integers(1, 50))
@settings(max_examples=50)
def test_each_number_has_its_own_counter(seed: int, calls: int, count: int) -> None:
    """Number i of call n is made of the counter (n, 0, i, 0) alone, whatever the shape."""
    source = Philox(seed)
    for _ in range(calls):
        source.draw((7,))
    found = source.draw((count,))
    for index in (0, count - 1):
        counter = np.array([calls, 0, index, 0], np.uint64)[:, None]
        words = philox4x32(counter, (seed & ALL, seed >> 32))[:, 0]
        assert found[index] == pytest.approx(box_muller(int(words[0]), int(words[1])), abs=2e-6)


def test_a_cards_numbers_are_normal() -> None:
    """Mean 0, deviation 1, and no infinity where a word is 0: over two large pictures' worth."""
    found = drawn("NV", 5, (4, 256, 256))[0]
    assert found.dtype == torch.float32
    assert abs(float(found.mean())) < 0.01
    assert abs(float(found.std()) - 1) < 0.01
    assert bool(found.isfinite().all())


# ── all sources ──────────────────────────────────────────────────────────────────────────────────


def noise(
    seed: int = 7, subseed: int = 8, shape: tuple[int, int, int] = SHAPE, **fields: object
) -> PictureNoise:
    return PictureNoise(replace(TextToImage(), **fields), shape, seed, subseed, CPU)  # type: ignore[arg-type]


def test_the_cpus_numbers_are_torchs() -> None:
    """CPU, and GPU where there is none, is torch's own generator: first noise, then the steps' in order."""
    torch.manual_seed(7)
    expected = [torch.randn((1, *SHAPE)) for _ in range(3)]
    for source in ("CPU", "GPU"):
        one = noise(randn_source=source)
        for got, want in zip((one.first(), one.next(), one.next()), expected, strict=True):
            assert torch.equal(got, want)


@pytest.mark.parametrize("source", SOURCES)
def test_later_noise_goes_on(source) -> None:
    """Without ENSD the steps' noise is what the seed's generator draws after the first."""
    one = noise(randn_source=source)
    expected = drawn(source, 7, SHAPE, SHAPE, SHAPE)
    for got, want in zip((one.first(), one.next(), one.next()), expected, strict=True):
        assert torch.equal(got[0], want)


@pytest.mark.parametrize("source", SOURCES)
def test_brownian_trees_have_numbers_of_their_own(source) -> None:
    """Any seed's first numbers can be had at any time, and change nothing of the picture's."""
    one = noise(randn_source=source)
    one.first()
    assert torch.equal(one.first_of(2**62 + 5, (1, 2, 3)), *drawn(source, 2**62 + 5, (1, 2, 3)))
    assert torch.equal(one.next()[0], drawn(source, 7, SHAPE, SHAPE)[1])


@pytest.mark.parametrize("source", SOURCES)
def test_ensd_seeds_the_later_noise(source) -> None:
    """With ENSD the first noise is the seed's, and the steps' is the first of seed + ENSD."""
    one = noise(randn_source=source, eta_noise_seed_delta=31337)
    assert torch.equal(one.first()[0], *drawn(source, 7, SHAPE))
    for want in drawn(source, 7 + 31337, SHAPE, SHAPE):
        assert torch.equal(one.next()[0], want)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("delta", [-31337, 2**63 - 1, -(2**63) + 1])
def test_any_ensd_can_be_drawn_with(source, delta) -> None:
    """A sum below zero or above 2**63 is a seed like any other."""
    one = noise(seed=2**63 - 1 if delta > 0 else 0, randn_source=source, eta_noise_seed_delta=delta)
    one.first()
    assert bool(one.next().isfinite().all())


# ── variation seeds ──────────────────────────────────────────────────────────────────────────────


def column_slerp(fraction: float, low: list[float], high: list[float]) -> list[float]:
    """The formula, number by number."""
    lengths = [math.sqrt(sum(value * value for value in one)) for one in (low, high)]
    angle = math.acos(sum(a * b for a, b in zip(low, high, strict=True)) / lengths[0] / lengths[1])
    p, q = (math.sin(part * angle) / math.sin(angle) for part in (1 - fraction, fraction))
    return [p * a + q * b for a, b in zip(low, high, strict=True)]


@pytest.mark.parametrize("fraction", [0.05, 0.5, 1.0])
def test_slerp_goes_column_by_column(fraction) -> None:
    """Each column of each channel turns by itself, by the formula."""
    low, high = drawn("CPU", 1, SHAPE, SHAPE)
    found = slerp(fraction, low, high)
    for channel in range(SHAPE[0]):
        for column in range(SHAPE[2]):
            expected = column_slerp(
                fraction, low[channel, :, column].tolist(), high[channel, :, column].tolist()
            )
            np.testing.assert_allclose(found[channel, :, column].numpy(), expected, rtol=2e-4, atol=2e-5)


def test_slerp_of_the_same() -> None:
    """Noises that are nearly one are mixed in a straight line, and with A1111's ends: 0 is the second."""
    low = drawn("CPU", 1, SHAPE)[0]
    high = low + 0.001 * drawn("CPU", 2, SHAPE)[0]
    torch.testing.assert_close(slerp(0.25, low, high), 0.25 * low + 0.75 * high)
    assert torch.equal(slerp(0.3, low, low), low * 0.3 + low * 0.7)


@pytest.mark.parametrize("source", SOURCES)
def test_variation_seeds(source) -> None:
    """The first noise lies between the seed's and the subseed's; later noise is the seed's alone."""
    one = noise(randn_source=source, subseed_strength=0.4)
    (own, later), (other,) = drawn(source, 7, SHAPE, SHAPE), drawn(source, 8, SHAPE)
    assert torch.equal(one.first()[0], slerp(0.4, own, other))
    assert torch.equal(one.next()[0], later)
    torch.testing.assert_close(noise(randn_source=source, subseed_strength=1.0).first()[0], other)


# ── resizing seeds ───────────────────────────────────────────────────────────────────────────────


def pasted(around: torch.Tensor, middle: torch.Tensor) -> torch.Tensor:
    """A paste by hand: each number of the middle to where it belongs, if that is in the picture."""
    result = around.clone()
    rows, columns = (math.floor((around.shape[n] - middle.shape[n]) / 2) for n in (1, 2))
    for row in range(middle.shape[1]):
        for column in range(middle.shape[2]):
            to_row, to_column = row + rows, column + columns
            # of an odd surplus A1111 leaves the picture's last row or column as it was
            if 0 <= to_row < around.shape[1] - _left(rows, around, middle, 1) and (
                0 <= to_column < around.shape[2] - _left(columns, around, middle, 2)
            ):
                result[:, to_row, to_column] = middle[:, row, column]
    return result


def _left(gap: int, around: torch.Tensor, middle: torch.Tensor, axis: int) -> int:
    return (middle.shape[axis] - around.shape[axis]) % 2 if gap < 0 else 0


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_smaller_noise_lies_in_the_middle(
    rows: int, columns: int, from_rows: int, from_columns: int
) -> None:
    """Smaller, larger, one of each, odd and even: as a paste by hand."""
    around, middle = torch.zeros(2, rows, columns), torch.randn(2, from_rows, from_columns)
    assert torch.equal(laid_into(around, middle), pasted(around, middle))


@pytest.mark.parametrize("source", SOURCES)
def test_a_resized_seed(source) -> None:
    """The seed's noise of the old size in the middle, around it the picture's own; later noise goes on."""
    one = noise(randn_source=source, seed_resize_from_w=32, seed_resize_from_h=88)
    (around, later), (middle,) = drawn(source, 7, SHAPE, SHAPE), drawn(source, 7, (4, 11, 4))
    first = one.first()
    assert first.shape == (1, *SHAPE)
    assert torch.equal(first[0], pasted(around, middle))
    assert torch.equal(one.next()[0], later)


def test_a_resized_variation() -> None:
    """Both seeds are drawn at the old size, mixed there, and laid into the picture's own."""
    one = noise(seed_resize_from_w=32, seed_resize_from_h=64, subseed_strength=0.5)
    shape = (4, 8, 4)
    mixed = slerp(0.5, *drawn("CPU", 7, shape), *drawn("CPU", 8, shape))
    assert torch.equal(one.first()[0], pasted(*drawn("CPU", 7, SHAPE), mixed))


def test_a_seed_resized_from_next_to_nothing() -> None:
    """Less than eight pixels are no latents: what lies around fills the picture, as in A1111."""
    for fields in ({}, {"subseed_strength": 0.5}):
        one = noise(seed_resize_from_w=7, seed_resize_from_h=7, **fields)
        assert torch.equal(one.first(), noise().first())


@pytest.mark.parametrize(("width", "height"), [(48, 64), (0, 512), (512, -1), (50, 70)])
def test_seeds_that_are_not_resized(width, height) -> None:
    """The picture's own size, or only one of two sides: nothing is resized."""
    one = noise(seed_resize_from_w=width, seed_resize_from_h=height)
    assert torch.equal(one.first(), noise().first())


# ── what a request may say ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"randn_source": "AMD"}, "CPU, GPU, NV"),
        ({"seed_resize_from_w": 4000}, "-1 to 2048"),
        ({"seed_resize_from_h": -2}, "-1 to 2048"),
        ({"eta_noise_seed_delta": 2**64}, str(2**63 - 1)),
    ],
)
def test_what_cannot_be_drawn_is_taught(fields, allowed) -> None:
    """The field and what it may be stand in the error."""
    with pytest.raises(InvalidRequest, match=allowed) as caught:
        replace(TextToImage(), **fields).resolved()
    assert caught.value.field in fields
