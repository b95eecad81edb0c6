"""The stack file that EASEL_STACK names, read and refused in one line a fault."""

from infra.faults import SpecError
from infra.spec import Spec
from infra.stackfile import load_stack
from scripts.settings import Refusal, Settings, shown


def spec_of(settings: Settings) -> Spec:
    """Read the stack file. Raises Refusal."""
    try:
        return load_stack(settings.stack, shown(settings.stack))
    except SpecError as error:
        raise Refusal(str(error)) from None
