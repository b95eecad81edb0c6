"""Numbers of bytes in words, in decimal units, as downloads and disks are sold."""

from __future__ import annotations

from easel.remark import figure, remark

_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def gigabytes(count: int) -> str:
    """Bytes in words, in decimal units, as downloads and disks are sold: "2.1 GB", "19.4 MB", "812 bytes"."""
    for unit, size in _UNITS:
        if count >= size:
            return _sized(figure(count / size, ".1f"), unit)
    return _exactly(count)


def part_of_whole(part: int, whole: int) -> str:
    """`part` of `whole` bytes, in the unit of the whole: "2.1 of 6.9 GB"."""
    for unit, size in _UNITS:
        if whole >= size:
            short, long = figure(part / size, ".1f"), figure(whole / size, ".1f")
            # Cut short by a hair, both would read the same; then only the exact numbers say anything.
            if short != long:
                return _part(short, _sized(long, unit))
            break
    return _part(figure(part, "d"), _exactly(whole))


def _sized(number: str, unit: str) -> str:
    return remark("byte_size", "{n} {unit}", n=number, unit=unit)


def _exactly(count: int) -> str:
    return remark("counted_bytes", "{n} bytes", n=figure(count, "d"))


def _part(part: str, whole: str) -> str:
    return remark("part_of_whole", "{part} of {whole}", part=part, whole=whole)
