"""GPT-2's letters for bytes, in which byte pairs are written."""

from __future__ import annotations

from functools import cache


@cache
def letters() -> dict[int, str]:
    """The letter of each byte: those that can be printed, then the others from U+0100 on."""
    printed = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printed]
    return {byte: chr(byte) for byte in printed} | {byte: chr(0x100 + n) for n, byte in enumerate(others)}
