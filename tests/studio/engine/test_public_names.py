"""The engine's door: light to import, and every name that it shows is there."""

from __future__ import annotations

import subprocess
import sys


def test_importing_is_cheap_and_every_name_is_there() -> None:
    """torch comes with the first name that needs it, and not with the package."""
    program = """
import ast, sys
from pathlib import Path
import easel.studio.engine as engine
assert "torch" not in sys.modules and "diffusers" not in sys.modules
imports = [node for node in ast.walk(ast.parse(Path(engine.__file__).read_text()))
           if isinstance(node, ast.ImportFrom) and node.module.startswith("easel.")]
names = [alias.name for node in imports for alias in node.names]
assert {"Engine", "Checkpoint"} <= set(names)
missing = [name for name in names if not hasattr(engine, name)]
assert not missing, missing
assert "torch" in sys.modules and not hasattr(engine, "nothing")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
