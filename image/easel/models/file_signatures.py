"""What a file is when it is not what its name says: told from its first bytes, in plain words."""

from __future__ import annotations

_AGAIN = "download the .safetensors file itself"
_TAKE = "take the model's .safetensors file"
_PICKLE = (
    "this is a pickle (.ckpt, .pt), which can run code when it is opened, so the studio does not open it; "
    f"{_TAKE}, or convert it on a machine you trust"
)

# First bytes, and what they mean. Longer ones first where one begins as another.
_SIGNS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "this is a zip archive: a torch pickle (.ckpt, .pt) or a packed folder; the studio "
                    f"opens neither, {_TAKE}"),
    (b"\x80\x02", _PICKLE), (b"\x80\x03", _PICKLE), (b"\x80\x04", _PICKLE), (b"\x80\x05", _PICKLE),
    (b"GGUF", "this is a GGUF file (quantised weights), read as a checkpoint, text encoder or VAE only; "
              + _TAKE),
    (b"version https://git-lfs", "this is a git-lfs pointer, not the model: the repository was cloned "
                                 "without its large files; run `git lfs pull`, or " + _AGAIN),
    (b"\x89HDF", "this is an HDF5 file; " + _TAKE),
    (b"\x1f\x8b", "this is a gzip archive; unpack it, or " + _AGAIN),
    (b"Rar!", "this is a RAR archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "this is a 7z archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "this is a zstd archive; unpack it first"),
    (b"\x89PNG", "this is a PNG picture; " + _AGAIN),
    (b"\xff\xd8\xff", "this is a JPEG picture; " + _AGAIN),
    (b"RIFF", "this is a RIFF file (a WebP picture, or sound); " + _AGAIN),
    (b"%PDF", "this is a PDF document; " + _AGAIN),
)  # fmt: skip

# Of protobuf's tags: producer_name, its version, domain, model_version, graph, opset_import.
_ONNX_SECOND = (0x12, 0x1A, 0x22, 0x28, 0x3A, 0x42)


def looks_like_onnx(start: bytes) -> bool:
    """Whether a file that begins so is ONNX: the version of its format, and behind that who made it, or one
    of the other fields that writers begin with."""
    return len(start) > 2 and start[0] == 8 and 3 <= start[1] <= 32 and start[2] in _ONNX_SECOND


def foreign_format(start: bytes, size: int) -> str | None:
    """What a file of `size` bytes that begins with `start` looks like; None if nothing is recognised."""
    if size == 0:
        return "the file is empty; download it again"
    for sign, meaning in _SIGNS:
        if start.startswith(sign):
            return meaning
    if looks_like_onnx(start):
        return "this is an ONNX file: send what `easel models convert` makes of it on your own machine"
    if start[257:262] == b"ustar":
        return "this is a tar archive; unpack it first"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<script")):
        return (
            f"this is a web page (HTML), often a log-in or error page saved under the model's name; {_AGAIN}"
        )
    if text.startswith((b"{", b"[")):
        return f"this is JSON, often an error message saved under the model's name; {_AGAIN}"
    if len(start) >= 16 and not start.strip(b"\0"):
        return "the file begins with zeros: a download that never finished; download it again"
    return None
