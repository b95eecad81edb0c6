"""Fuzzes the header's reader with atheris, which follows the branches: run by hand, for as long as one likes.

    pip install atheris          # wheels for Linux; not among the locked requirements
    python -m tests.models.fuzz_header --seconds 60

What must hold: a checked header or one of our errors; nothing read past the end; not more memory than a
header may take. A find is written to `crash-…` in the folder where it was started.
"""

from __future__ import annotations

import argparse
import json
import resource
import struct
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

MOST_MEMORY = 1_500_000_000
"""Of the whole process, libFuzzer's own tables and corpus included."""
SEEDS = (
    b'{"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}}',
    b'{"__metadata__":{"format":"pt"},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
    b'{"a\\u0041":{"shape":[0],"dtype":"BF16","data_offsets":[0,0]},'
    b'"b":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}} ',
)
# Nobody hits upon these by turning bits.
WORDS = (
    '"dtype":', '"shape":', '"data_offsets":', '"__metadata__":', '"F16"', '"BF16"', '"U8"', '"F4"', "[0,",
    "]", "{", "},", "null", "true", "1e9", "-1", "9223372036854775807", "NaN", "\\u0000", '\\"', ",", ":",
    '":{"', " ",
)  # fmt: skip


def one(data: bytes) -> None:
    """A file of these bytes; and one whose header is these bytes, of which the length tells the truth."""
    from easel.models import FileError
    from easel.models.header import read_header_from
    from tests.models.files import Fenced

    weights = bytes(min(64, len(data)))
    for content in (data, struct.pack("<Q", len(data)) + data + weights):
        with suppress(FileError):
            found = read_header_from(Fenced(content), len(content), "fuzzed")
            edges = [found.header_bytes, *(tensor.end for tensor in found.tensors.values())]
            assert edges[-1] == found.file_bytes == len(content)
            assert [tensor.begin for tensor in found.tensors.values()] == edges[:-1]


def main() -> None:
    """Fuzz for so many seconds; ends with 0 if nothing was found, 2 where there is no atheris."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=int, default=60)
    seconds: int = asked.parse_args().seconds
    try:
        import atheris
    except ImportError:
        sys.stderr.write("atheris is not installed here: `pip install atheris` (Linux, Python up to 3.13)\n")
        sys.exit(2)
    with atheris.instrument_imports(include=["easel.models"]):
        import easel.models.header
        import easel.models.header_table  # noqa: F401 - it is what is followed
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    # libFuzzer ends the process, so nothing here could take the folder away: it is a few kilobytes.
    work = Path(tempfile.mkdtemp(prefix="fuzz-header-"))
    (work / "corpus").mkdir()
    for number, seed in enumerate(SEEDS):
        one(seed)
        (work / "corpus" / str(number)).write_bytes(seed)
    (work / "words").write_text("".join(f"{json.dumps(word)}\n" for word in WORDS))
    options = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=5", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, f"-dict={work / 'words'}", str(work / "corpus")], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
