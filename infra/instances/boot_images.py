"""What instances start from: the machine images that the stack pins, or AWS's newest when first made."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pulumi
import pulumi_aws as aws

from infra.newest import NEWEST, Kind
from infra.spec import MachineImages


class NoMachineImage(pulumi.RunError):
    """The machine image that the stack pins is not in this region."""


@dataclass(frozen=True)
class BootImage:
    """A machine image, and what its disk must be like."""

    image_id: str
    device: str
    """Its root device, `/dev/xvda`."""
    least: int
    """GiB of its snapshot: EC2 refuses a smaller disk."""
    pinned: bool
    """The stack names it. Otherwise a newer one is not taken until the stack says so."""

    def ignored(self, *path: str) -> list[str]:
        """What of a resource stays as it is: the property with the image's id, unless the stack pins it."""
        return [] if self.pinned else list(path)


class BootImages:
    """The machine images of a stack, each looked up once, and only if something starts from it."""

    def __init__(self, pinned: MachineImages, parent: pulumi.Resource) -> None:
        self._pinned = pinned
        self._opts: Callable[[], pulumi.InvokeOptions] = lambda: pulumi.InvokeOptions(parent=parent)

    @cached_property
    def gateway(self) -> BootImage:
        """What the gateway, and shapes without a GPU, start from."""
        return self._machine("gateway", self._pinned.gateway)

    @cached_property
    def gpu(self) -> BootImage:
        """What shapes with a GPU start from."""
        return self._machine("gpu", self._pinned.gpu)

    def _machine(self, kind: Kind, pinned: str | None) -> BootImage:
        image_id = pinned or aws.ssm.get_parameter(name=NEWEST[kind], opts=self._opts()).value
        by_id = [aws.ec2.GetAmiFilterArgs(name="image-id", values=[image_id])]
        try:
            found = aws.ec2.get_ami(filters=by_id, opts=self._opts())
        except Exception as error:
            # The provider has no type for it: a plain Exception with the words of the lookup.
            if pinned is None or "no results" not in str(error):
                raise
            raise NoMachineImage(
                f"easel:team.machine_images.{kind}: there is no machine image {pinned} in this region (an id "
                "is of one region only). Leave it out to take AWS's newest"
            ) from None
        sizes = [
            int(device.ebs["volume_size"])
            for device in found.block_device_mappings
            if device.device_name == found.root_device_name and device.ebs.get("volume_size")
        ]
        return BootImage(image_id, found.root_device_name, max(sizes, default=1), pinned is not None)
