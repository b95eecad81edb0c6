"""A stack file, read and refused in one line a fault."""

from pathlib import Path

from infra.faults import SpecError
from infra.spec import Spec
from infra.stackfile import load_stack
from scripts.settings import CommandRefused, shown


def spec_at(file: Path) -> Spec:
    """Read a stack file. Raises CommandRefused with every fault in it."""
    try:
        return load_stack(file, shown(file))
    except SpecError as error:
        raise CommandRefused(str(error)) from None
