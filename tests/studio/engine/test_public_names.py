"""The engine's door: light to import, and every name that it shows is there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from easel.studio import engine


def test_importing_is_cheap() -> None:
    """torch comes with the first name that needs it, and not with the package. That it does come is asked of
    this process, below: another one would take five seconds of CPU for it."""
    program = """
import sys
import easel.studio.engine
assert "torch" not in sys.modules and "diffusers" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_every_name_is_there() -> None:
    """Those that its `__init__` imports, for type checkers only too. Asked of this process, which has
    imported diffusers already."""
    tree = ast.parse(Path(engine.__file__).read_text())
    imports = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("easel.")
    ]
    names = {alias.name for node in imports for alias in node.names}
    assert {"Engine", "Checkpoint"} <= names
    assert not [name for name in names if not hasattr(engine, name)]
    assert "torch" in sys.modules
    assert not hasattr(engine, "nothing")
