"""The Pulumi program of a team's stack: what `pulumi up` provisions.

Pulumi starts it inside this folder, so the repository's root goes on the path first.
"""

import gc
import sys
from pathlib import Path

# The program lives for seconds and what it makes is needed to the end: looking for garbage among the modules
# of pulumi-aws took half the time of a hundred endpoints.
gc.disable()

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infra.program import end_quietly_when_stopped, leave_out_debug_lines, spec_of_stack

end_quietly_when_stopped()
leave_out_debug_lines()

# The team's file, with every fault told before anything is registered.
spec = spec_of_stack()

# What carries it. Each is imported when it is meant: a provider's modules are half the time of a preview.
if spec.team.runs_on == "kubernetes":
    from infra.on_kubernetes import provision
elif spec.team.runs_on == "cluster":
    from infra.on_cluster import provision
else:
    from infra.on_instances import provision

provision(spec)
