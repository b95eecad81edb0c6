"""What compiling takes, and what is said where it is not here."""

from __future__ import annotations

from pathlib import Path

import pytest

from easel.remark import Remark
from easel.studio.engine.compiling import Compiling, missing_compiler


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of this folder alone, and no compiler named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    return tmp_path


def executable(folder: Path, name: str) -> Path:
    """A program of this name."""
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def headers(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Python's headers are these."""
    for name in names:
        (folder / name).touch()
    monkeypatch.setattr("sysconfig.get_paths", lambda scheme: {"include": str(folder)})


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_gpu_takes_c_and_pythons_headers(bin: Path, monkeypatch: pytest.MonkeyPatch, compiler: str) -> None:
    """One without the other ends a kernel's first run."""
    headers(bin, monkeypatch)
    assert "no C compiler: gcc / clang" in missing_compiler("cuda")
    executable(bin, compiler)
    assert "Python.h" in missing_compiler("cuda")
    headers(bin, monkeypatch, "Python.h")
    assert missing_compiler("cuda") == ""
    assert "no C++ compiler" in missing_compiler("cpu"), "which that is not"


def test_a_cpu_takes_cplusplus(bin: Path) -> None:
    """And no header of Python's: Inductor's are torch's."""
    executable(bin, "gcc")
    assert "no C++ compiler: g++" in missing_compiler("cpu")
    executable(bin, "g++")
    assert missing_compiler("cpu") == ""


@pytest.mark.parametrize(("variable", "device"), [("CC", "cuda"), ("CXX", "cpu")])
def test_one_that_is_named_counts_alone(
    bin: Path, monkeypatch: pytest.MonkeyPatch, variable: str, device: str
) -> None:
    """As torch and Triton take it, wherever it is."""
    headers(bin, monkeypatch, "Python.h")
    executable(bin, "gcc")
    executable(bin, "g++")
    monkeypatch.setenv(variable, "/there/is/no/compiler")
    assert "/there/is/no/compiler" in missing_compiler(device)
    monkeypatch.setenv(variable, str(executable(bin, "zcc")))
    assert missing_compiler(device) == ""


def test_why_is_said_of_what_serves(bin: Path) -> None:
    """Nothing where nobody asked; of the next checkpoint anew."""
    assert not Compiling().begins("a", "cpu")
    assert (Compiling().why, Compiling().how) == ("", "")
    asked = Compiling(asked=True)
    assert not asked.begins("a", "cpu")
    assert isinstance(asked.why, Remark)
    assert "not compiled: there is no C++ compiler" in asked.why
    executable(bin, "g++")
    assert asked.begins("b", "cpu")
    assert (asked.why, asked.how) == ("", "compiled")
    asked.ends("b", "an operation that cannot be traced")
    assert asked.why == "not compiled: an operation that cannot be traced"
    assert asked.begins("c", "cpu")
