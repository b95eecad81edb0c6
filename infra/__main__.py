"""The Pulumi program of a team's stack: what `pulumi up` runs.

Pulumi starts it inside this folder, so the repository's root goes on the path first.
"""

import gc
import sys
from importlib import import_module
from pathlib import Path

# The program lives for seconds and what it makes is needed to the end: looking for garbage among the modules
# of pulumi-aws took half the time of a hundred endpoints.
gc.disable()

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infra.preview import show_costs
from infra.program import end_quietly_when_stopped, leave_out_debug_lines, spec_of_stack
from infra.tags import Tags

end_quietly_when_stopped()
leave_out_debug_lines()

# The team's file, with every fault told before anything is registered, and what it costs.
spec = spec_of_stack()
show_costs(spec)

# Only what this target needs is loaded: a second of modules each.
import_module(f"infra.on_{spec.team.runs_on}").provision(spec, Tags.of_stack(spec.name))
