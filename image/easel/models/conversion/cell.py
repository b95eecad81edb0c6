"""The process that reads a pickle: `python cell.py SOURCE TARGET BYTES SECONDS`.

It cuts itself off before the first byte is read: no network (a namespace of its own where the kernel lets it,
and in any case Python refuses sockets), no other programs, no file to write but the one that is open already,
little memory and time. Its last line is JSON: `tensors`, `left_out`, `cut_off`, or `problem`.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import signal
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

if TYPE_CHECKING:
    import torch

_NEWUSER, _NEWNET = 0x10000000, 0x40000000
_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVILEGES = 1, 4, 38
# Beside what the interpreter and torch take, and twice the file (torch maps it, and one tensor is copied).
_MEMORY = 1_000_000_000
_REFUSED = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.",
            "os.startfile", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate",
            "os.chmod", "os.chown", "os.mkdir", "os.kill", "ctypes.", "shutil.", "webbrowser.")  # fmt: skip
# Where trainers put the tensors.
_INSIDE = ("state_dict", "params_ema", "params", "model", "depth_model")
# DeepDanbooru's file has the names of its tags beside its tensors, and says nothing without them.
_TAGS, _MOST_TAGS, _LONGEST_TAG = "tags", 50_000, 200
# An IP-Adapter is two tables, whose names are the first part of its tensors' names elsewhere.
_TABLES = ("image_proj", "ip_adapter")
# Lightning's checkpoints name their own classes as keys of their notes. Names only: these do nothing.
_NAMES = ("pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
          "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint")  # fmt: skip
_MOST_TENSORS = 200_000


class PickleRefused(Exception):
    """Why this is not converted, for people."""


def main(arguments: list[str]) -> None:
    """Convert; the exit code is 0 only if a file was written."""
    source, target, size, seconds = (
        Path(arguments[0]),
        Path(arguments[1]),
        int(arguments[2]),
        int(arguments[3]),
    )
    cut_off = "namespace" if _leave_network() else "hook"
    told: dict[str, object]
    if zipfile.is_zipfile(source):
        try:
            _check_archive(source, size)
        except PickleRefused as error:
            _say({"problem": str(error)})
    import torch  # before the limits, for it takes hundreds of megabytes by itself

    with open(target, "xb") as out:
        _lock(size, seconds)
        try:
            found = _load(torch, source)
            tensors, left_out = _tensors(found)
            texts = _texts(found)
            left_out -= len(texts)
            _write(torch, out, tensors, texts, size)
            told = {"tensors": len(tensors), "left_out": left_out, "cut_off": cut_off}
        except PickleRefused as error:
            told = {"problem": str(error)}
        except MemoryError:
            told = {"problem": "it asks for more memory than a file of its size needs"}
        except Exception as error:
            told = {"problem": _plain(error)}
    _say(told)


def _say(told: Mapping[str, object]) -> NoReturn:
    """The last line, and the end, without torch's farewells."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    os._exit(1 if "problem" in told else 0)


def _leave_network() -> bool:
    """Into a network without interfaces, if the kernel lets this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return bool(libc.unshare(_NEWNET) == 0 or libc.unshare(_NEWUSER | _NEWNET) == 0)


def _lock(size: int, seconds: int) -> None:
    """From here on: little memory and time, no other file, program or connection."""
    used = _data()
    for what, limit in {
        resource.RLIMIT_DATA: used + 2 * size + _MEMORY,
        resource.RLIMIT_CPU: max(1, seconds),
        resource.RLIMIT_FSIZE: 2 * size + (1 << 20),
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }.items():
        resource.setrlimit(what, (limit, limit))

    def refuse(event: str, details: tuple[Any, ...]) -> None:
        if event.startswith(_REFUSED):
            raise PickleRefused(f"it tried to do something else than hold tensors ({event})")
        if event == "open":
            mode, flags = details[1], details[2]
            writes = isinstance(mode, str) and set(mode) & set("wax+")
            if writes or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                raise PickleRefused("it tried to write a file of its own")

    sys.addaudithook(refuse)


def _data() -> int:
    text = Path("/proc/self/status").read_text()
    match = re.search(r"VmData:\s+(\d+) kB", text)
    return int(match[1]) * 1024 if match else 4_000_000_000


def _check_archive(source: Path, size: int) -> None:
    """Torch packs without compression; anything else may unpack to whatever it likes."""
    try:
        with zipfile.ZipFile(source) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise PickleRefused(f"the archive is damaged ({error}): download it again") from None
    if any(one.filename.partition("/")[2].startswith("code/") for one in parts):
        raise PickleRefused("it is TorchScript, which is a program: it was not run")
    if (
        any(one.compress_type != zipfile.ZIP_STORED for one in parts)
        or sum(p.file_size for p in parts) > size
    ):
        raise PickleRefused("it is packed in a way that torch never packs")


def _load(torch: Any, source: Path) -> object:
    names = [(type(name.rpartition(".")[2], (), {}), name) for name in _NAMES]
    torch.serialization.add_safe_globals(names)
    whole = zipfile.is_zipfile(source)
    return torch.load(source, map_location="cpu", weights_only=True, mmap=whole)


def _tensors(found: object) -> tuple[dict[str, torch.Tensor], int]:
    """The tensors by name, and how many other entries there are. Looks into no more than two levels."""
    import torch

    if isinstance(found, Mapping) and isinstance(found.get("string_to_param"), Mapping):
        # A textual inversion of A1111's.
        vectors = [one for one in found["string_to_param"].values() if isinstance(one, torch.Tensor)]
        if len(vectors) == 1:
            return {"emb_params": vectors[0].detach()}, len(found) - 1
    left_out = 0
    if isinstance(found, Mapping):
        inside = next((found[key] for key in _INSIDE if isinstance(found.get(key), Mapping)), None)
        if inside is not None:
            left_out, found = len(found) - 1, inside
    if not isinstance(found, Mapping):
        raise PickleRefused("it holds no table of tensors")
    tables = {key: found[key] for key in _TABLES if isinstance(found.get(key), Mapping)}
    if len(tables) == len(_TABLES):
        found = {f"{key}.{name}": one for key, table in tables.items() for name, one in table.items()}
    if len(found) > _MOST_TENSORS:
        raise PickleRefused(f"it holds {len(found)} entries, more than any model")
    tensors = {
        name: one.detach()
        for name, one in found.items()
        if isinstance(name, str) and len(name) < 1000 and isinstance(one, torch.Tensor)
        and one.layout == torch.strided and one.dtype in _dtypes(torch)
        and not one.is_quantized and not one.is_meta
    }  # fmt: skip
    if not tensors:
        raise PickleRefused("it holds no tensors")
    return tensors, left_out + len(found) - len(tensors)


def _texts(found: object) -> dict[str, str]:
    """Of what is no tensor, what a network cannot do without, for the file's metadata."""
    tags = found.get(_TAGS) if isinstance(found, Mapping) else None
    if not isinstance(tags, list) or not 0 < len(tags) <= _MOST_TAGS:
        return {}
    if not all(isinstance(one, str) and len(one) <= _LONGEST_TAG for one in tags):
        return {}
    return {_TAGS: json.dumps(tags)}


def _write(
    torch: Any, out: BinaryIO, tensors: Mapping[str, torch.Tensor], texts: Mapping[str, str], size: int
) -> None:
    """A safetensors file, one tensor at a time. The format: see header.py."""
    if sum(one.numel() * one.element_size() for one in tensors.values()) > 2 * size:
        raise PickleRefused("its tensors claim to be larger than the file")
    table: dict[str, object] = {"__metadata__": {"format": "pt", **texts}}
    place = 0
    for name, one in tensors.items():
        end = place + one.numel() * one.element_size()
        table[name] = {
            "dtype": _dtypes(torch)[one.dtype],
            "shape": list(one.shape),
            "data_offsets": [place, end],
        }
        place = end
    out.write(safetensors_header(table))
    for one in tensors.values():
        if one.numel():
            out.write(one.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    out.flush()


def safetensors_header(table: Mapping[str, object]) -> bytes:
    """What a safetensors file begins with: its table, and how long that is. Tensors begin at whole eights."""
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _dtypes(torch: Any) -> dict[Any, str]:
    return {
        torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
        torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
        torch.bool: "BOOL", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
    }  # fmt: skip


def _plain(error: Exception) -> str:
    text = str(error)
    asked = re.search(r"GLOBAL ([\w.]+)", text)
    if asked is not None:
        return f"it asks for {asked[1]}, which is no tensor and may be a program: it was not run"
    if "allocate memory" in text or "not enough memory" in text:
        return "it asks for more memory than a file of its size needs"
    first = (text or type(error).__name__).splitlines()[0]
    return f"torch cannot read it as plain tensors ({first[:200]})"


if __name__ == "__main__":
    main(sys.argv[1:])
