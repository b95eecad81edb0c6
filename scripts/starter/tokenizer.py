"""CLIP's tokenizer files from the vocabulary that OpenAI published with CLIP.

The vocabulary, `bpe_simple_vocab_16e6.txt.gz`, is in the package `open_clip_torch`
(`pip download --no-deps open_clip_torch`, then unzip the wheel). Run as

    python -m scripts.starter.tokenizer open_clip/bpe_simple_vocab_16e6.txt.gz FOLDER
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import click

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77
"""Tokens in a prompt, start and end included, as every CLIP text encoder has it."""

_MERGES = 49152 - 256 - 2


def convert(source: Path, folder: Path) -> None:
    """Write vocab.json, merges.txt and the two settings files into `folder`."""
    with gzip.open(source, "rt", encoding="utf-8") as stream:
        lines = stream.read().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : _MERGES + 1]]
    letters = _letters()
    words = [*letters, *(letter + "</w>" for letter in letters)]
    words += ["".join(merge) for merge in merges]
    words += [START, END]
    vocabulary = {word: index for index, word in enumerate(words)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(
        json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
    )
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{' '.join(merge)}\n" for merge in merges), encoding="utf-8"
    )
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": LENGTH,
            "do_lower_case": True,
            "add_prefix_space": False,
            "errors": "replace",
            "bos_token": START,
            "eos_token": END,
            "pad_token": END,
            "unk_token": END,
        },
    )
    _write(
        folder / "special_tokens_map.json",
        {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END},
    )


def _letters() -> list[str]:
    """The 256 bytes as printable letters, in the order CLIP numbers them."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = 256 - len(plain)
    return [chr(code) for code in plain] + [chr(256 + index) for index in range(others)]


def _write(file: Path, content: dict[str, object]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(source: Path, folder: Path) -> None:
    """Convert SOURCE, CLIP's vocabulary, to tokenizer files in FOLDER."""
    convert(source, folder)


if __name__ == "__main__":
    main()
