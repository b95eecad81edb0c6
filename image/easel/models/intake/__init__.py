"""Models in and out: `Intake.add`, `sync`, `verify`, `remove`. What page, API and command line use."""

from easel.models.fetch.policy import OPERATOR, VISITOR, Policy
from easel.models.fetch.progress import Phase, Progress, Watcher, duration
from easel.models.fetch.transfer import Effort
from easel.models.intake.add import Added, Intake, Wish, kind_of
from easel.models.intake.matching import Outcome, Synced, listed, sync
from easel.models.intake.removal import remove
from easel.models.intake.verification import Verdict, verify

__all__ = [
    "OPERATOR",
    "VISITOR",
    "Added",
    "Effort",
    "Intake",
    "Outcome",
    "Phase",
    "Policy",
    "Progress",
    "Synced",
    "Verdict",
    "Watcher",
    "Wish",
    "duration",
    "kind_of",
    "listed",
    "remove",
    "sync",
    "verify",
]
