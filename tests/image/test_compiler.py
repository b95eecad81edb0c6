"""The stage with a compiler, below the studio's packages: what Triton asks of it, without torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image import containers

TAG = "localhost/easel-compiler:test"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SOURCE = """
#include <Python.h>
static struct PyModuleDef about = {PyModuleDef_HEAD_INIT, "seven"};
PyMODINIT_FUNC PyInit_seven(void) {
    PyObject *module = PyModule_Create(&about);
    PyModule_AddIntConstant(module, "value", 7);
    return module;
}
"""
# By Triton's own rules for compiler, headers and line, which are those of its door to the driver.
PROGRAM = f"""
from triton.runtime.build import compile_module_from_src
print("FOUND", compile_module_from_src({SOURCE!r}, "seven").value)
"""


@pytest.fixture(scope="module")
def files() -> Iterator[Path]:
    """The stage's files, with this machine's Triton among its packages."""
    triton = importlib.util.find_spec("triton")
    if triton is None or triton.origin is None:
        pytest.skip("Triton is not here")
    with containers.alone(), containers.unpacked(containers.build("compiler", TAG, kept=True)) as root:
        (packages,) = root.glob("opt/venv/lib/python3*/site-packages")
        (packages / "triton").mkdir(exist_ok=True)
        yield root


def test_what_a_gpus_kernels_need_is_compiled(files: Path) -> None:
    """As uid 1000 on a read-only root: a module of C with Python's headers, by Triton."""
    (packages,) = files.glob("opt/venv/lib/python3*/site-packages")
    spec = importlib.util.find_spec("triton")
    assert spec is not None
    assert spec.origin is not None
    mounts = {Path(spec.origin).parent: f"/{packages.relative_to(files)}/triton"}
    running = containers.start(files, TAG, ["/opt/venv/bin/python", "-c", PROGRAM], mounts)
    said, _ = running.communicate(timeout=300)
    assert running.returncode == 0, said
    assert "FOUND 7" in said
    assert not (files / "usr/bin/g++").exists(), "on a CPU compiling gains nothing"
