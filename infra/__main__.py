"""The Pulumi program of a team's stack.

Pulumi starts it inside this folder, so the repository's root goes on the path first.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infra.program import run

run()
