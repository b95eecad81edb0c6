"""What the package brings with it."""

from __future__ import annotations

import subprocess
import sys


def test_no_torch() -> None:
    """Whoever resizes a picture or builds a grid waits for no tensors."""
    code = "import sys, easel.studio.engine.imaging; print({'torch', 'scipy', 'cv2'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "set()"
