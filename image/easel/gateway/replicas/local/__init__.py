"""Replicas as processes of this machine.

Others import from here alone: the backend, and the kind of function that gives a replica's command line.
Knows of the fleet only what a backend promises it.
"""

from easel.gateway.replicas.local.backend import LocalBackend
from easel.gateway.replicas.local.supervisor import Command
