"""Checksums of a file's blocks, by which a damaged copy is told from a good one while it is read.

CRC-32, as file systems and network cards have it: it is against disks that lie, cuts and stray writes, at
more than a gigabyte a second on one core. Who can write to the cache folder on purpose can write anything
there, so a slower hash would gain nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

BLOCK = 1 << 20
"""Bytes of one block; the last one of a file may be shorter."""


def block_count(size: int) -> int:
    """Blocks of a file."""
    return -(-size // BLOCK)


def block_length(index: int, size: int) -> int:
    """Bytes of the block `index` of a file of `size` bytes."""
    return min(BLOCK, size - index * BLOCK)


def block_checksums(buffers: Sequence[memoryview], place: int, size: int) -> Iterator[tuple[int, int]]:
    """Number and checksum of each block that lies wholly in `buffers`, which begin at `place` of the file."""
    position, value, seen = place, 0, 0
    for buffer in buffers:
        taken = 0
        while taken < len(buffer):
            index = position // BLOCK
            step = min(len(buffer) - taken, (index + 1) * BLOCK - position)
            value = zlib.crc32(buffer[taken : taken + step], value)
            taken, position, seen = taken + step, position + step, seen + step
            if position % BLOCK == 0 or position == size:
                if seen == block_length(index, size):
                    yield index, value
                value, seen = 0, 0
