"""What the Pulumi program does with a stack's configuration."""

import pulumi

from infra.faults import SpecError
from infra.spec import Spec
from infra.stackfile import read_spec


class WrongPlace(pulumi.RunError):
    """The stack is for this machine, not for `pulumi up`."""


class NotInThisVersion(pulumi.RunError):
    """The stack asks for something this version of easel cannot do."""


def spec_of_stack() -> Spec:
    """The spec of the stack that Pulumi runs. A faulty one ends the program with its faults, one a line."""
    stack, config = pulumi.get_stack(), pulumi.Config("easel")
    found = {f"easel:{key}": config.get_object(key) for key in ("team", "endpoints")}
    given = {key: value for key, value in found.items() if value is not None}
    try:
        return read_spec(stack, given, f"stacks/Pulumi.{stack}.yaml")
    except SpecError as error:
        raise pulumi.RunError(str(error)) from None


def run() -> None:
    """Read the spec and provision what it asks for. A RunError is shown by Pulumi without a traceback."""
    spec = spec_of_stack()
    if spec.team.runs_on == "local":
        raise WrongPlace(
            f"stacks/Pulumi.{spec.name}.yaml says runs_on: local, which is for one machine: run `make up`"
            f"{'' if spec.name == 'local' else f' with EASEL_STACK={spec.name}'}"
        )
    raise NotInThisVersion(
        f"stacks/Pulumi.{spec.name}.yaml is right, but this version of easel provisions nothing yet: "
        f"runs_on: {spec.team.runs_on} comes with a later one. On one machine: runs_on: local and `make up`"
    )
