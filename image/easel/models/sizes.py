"""Numbers of bytes in words, in decimal units, as downloads and disks are sold."""

from __future__ import annotations

from easel.remark import remark


def gigabytes(count: int) -> str:
    """Bytes in words, in decimal units, as downloads and disks are sold: "2.1 GB", "19.4 MB", "812 bytes"."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def part_of_whole(part: int, whole: int) -> str:
    """`part` of `whole` bytes, in the unit of the whole: "2.1 of 6.9 GB"."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if whole >= size:
            short = f"{part / size:.1f}"
            # Cut short by a hair, both would read the same; then only the exact numbers say anything.
            if short != f"{whole / size:.1f}":
                return _part(short, f"{whole / size:.1f} {unit}")
            break
    return _part(str(part), f"{whole} bytes")


def _part(part: str, whole: str) -> str:
    return remark("part_of_whole", "{part} of {whole}", part=part, whole=whole)
