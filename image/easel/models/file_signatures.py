"""What a file is when it is not what its name says: told from its first bytes, in plain words."""

from __future__ import annotations

from easel.remark import remark

_AGAIN = remark("file_again", "download the .safetensors file itself")
_TAKE = remark("file_take", "take the model's .safetensors file")
_PICKLE = remark(
    "file_pickle",
    "this is a pickle (.ckpt, .pt), which can run code when it is opened, so the studio does not open it; "
    "{take}, or convert it on a machine you trust",
    take=_TAKE,
)
_LFS = remark(
    "file_lfs",
    "this is a git-lfs pointer, not the model: the repository was cloned without its large files; "
    "run `git lfs pull`, or {again}",
    again=_AGAIN,
)
_ZIP = remark(
    "file_zip",
    "this is a zip archive: a torch pickle (.ckpt, .pt) or a packed folder; the studio opens neither, {take}",
    take=_TAKE,
)
_GGUF = remark(
    "file_gguf",
    "this is a GGUF file (quantised weights), read as a checkpoint, text encoder or VAE only; {take}",
    take=_TAKE,
)
_RIFF = remark("file_riff", "this is a RIFF file (a WebP picture, or sound); {again}", again=_AGAIN)


def _picture(kind: str) -> str:
    return remark("file_picture", "this is a {kind} picture; {again}", kind=kind, again=_AGAIN)


def _archive(kind: str) -> str:
    return remark("file_archive", "this is a {kind} archive; unpack it first", kind=kind)


# First bytes, and what they mean. Longer ones first where one begins as another.
_SIGNS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", _ZIP),
    (b"\x80\x02", _PICKLE), (b"\x80\x03", _PICKLE), (b"\x80\x04", _PICKLE), (b"\x80\x05", _PICKLE),
    (b"GGUF", _GGUF),
    (b"version https://git-lfs", _LFS),
    (b"\x89HDF", remark("file_hdf5", "this is an HDF5 file; {take}", take=_TAKE)),
    (b"\x1f\x8b", remark("file_gzip", "this is a gzip archive; unpack it, or {again}", again=_AGAIN)),
    (b"Rar!", _archive("RAR")),
    (b"7z\xbc\xaf\x27\x1c", _archive("7z")),
    (b"\x28\xb5\x2f\xfd", _archive("zstd")),
    (b"\x89PNG", _picture("PNG")),
    (b"\xff\xd8\xff", _picture("JPEG")),
    (b"RIFF", _RIFF),
    (b"%PDF", remark("file_pdf", "this is a PDF document; {again}", again=_AGAIN)),
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
        return remark("file_empty", "the file is empty; download it again")
    for sign, meaning in _SIGNS:
        if start.startswith(sign):
            return meaning
    if looks_like_onnx(start):
        return remark(
            "file_onnx",
            "this is an ONNX file: send what `easel models convert` makes of it on your own machine",
        )
    if start[257:262] == b"ustar":
        return _archive("tar")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<script")):
        return remark(
            "file_html",
            "this is a web page (HTML), often a log-in or error page saved under the model's name; {again}",
            again=_AGAIN,
        )
    if text.startswith((b"{", b"[")):
        return remark(
            "file_json",
            "this is JSON, often an error message saved under the model's name; {again}",
            again=_AGAIN,
        )
    if len(start) >= 16 and not start.strip(b"\0"):
        return remark(
            "file_zeros", "the file begins with zeros: a download that never finished; download it again"
        )
    return None
