"""The stack that Pulumi runs: its spec, and whether this program provisions it."""

import os
import signal
import sys

import pulumi
from pulumi.runtime.config import is_config_secret

from infra.faults import SpecError
from infra.neighbours import FOLDER, clashes
from infra.open_secrets import of_pulumi_told
from infra.regions import REGION, SKIP
from infra.spec import Spec
from infra.stackfile import read_spec

DEBUG = "EASEL_DEBUG"
"""Set to anything, it lets the SDK's debug lines through: `EASEL_DEBUG=1 pulumi up --debug`."""

TOLD = 32
"""With this exit status Pulumi adds no words of its own (`pulumi-language-python-exec`)."""


class WrongPlace(pulumi.RunError):
    """The stack is for this machine, not for `pulumi up`."""


def end_quietly_when_stopped() -> None:
    """End without a word when Pulumi interrupts the program, which it does when a resource fails.

    Python's own way are two tracebacks of Pulumi's code, below which nobody finds what failed. Nothing is
    lost: the engine makes resources and keeps the state, this process only says which.
    """
    if any(word.endswith("pulumi-language-python-exec") for word in sys.orig_argv):
        signal.signal(signal.SIGINT, lambda *_: os._exit(TOLD))


def leave_out_debug_lines() -> None:
    """Send the engine none of the SDK's debug lines, unless EASEL_DEBUG is set.

    Nobody sees them without `pulumi up --debug`, and each is a call that the whole program waits for: 70 for
    an endpoint, 45 % of the time of a hundred of them.
    """
    if not os.environ.get(DEBUG):
        pulumi.log.debug = lambda *_, **__: None


def spec_of_stack() -> Spec:
    """The spec of the stack that Pulumi runs.

    Raises RunError, which Pulumi shows without a traceback: with the faults of a faulty one, a line each;
    WrongPlace for what this program does not provision.
    """
    stack, config = pulumi.get_stack(), pulumi.Config("easel")
    found = {f"easel:{key}": config.get_object(key) for key in ("team", "endpoints")}
    aws = pulumi.Config("aws")
    # As the provider looks for it. A profile's own region is not seen here.
    found[REGION] = aws.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    found[SKIP] = aws.get("skipRegionValidation")
    given = {key: value for key, value in found.items() if value is not None}
    file = f"stacks/Pulumi.{stack}.yaml"
    for key in ("easel:team", "easel:endpoints"):
        # Here it is decrypted already; what in the section it was is told by `easel cost` and its like.
        if is_config_secret(key):
            raise pulumi.RunError(f"{file}: {key}: something in it {of_pulumi_told()}")
    try:
        spec = read_spec(stack, given, file)
    except SpecError as error:
        raise pulumi.RunError(str(error)) from None
    _refuse_elsewhere(spec)
    if pulumi.runtime.is_dry_run():  # `pulumi up` has just shown it
        for told in clashes(spec, FOLDER):
            pulumi.log.warn(f"{file}: {told}")
    return spec


def _refuse_elsewhere(spec: Spec) -> None:
    if spec.team.runs_on == "local":
        raise WrongPlace(
            f"stacks/Pulumi.{spec.name}.yaml says runs_on: local, which is for one machine: run `make up`"
            f"{'' if spec.name == 'local' else f' with EASEL_STACK={spec.name}'}"
        )
