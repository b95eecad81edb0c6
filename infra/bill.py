"""Which arithmetic a team's costs are reckoned by: what it runs on decides."""

from typing import Protocol

from infra import cost as instances
from infra.cluster import cost as cluster
from infra.cost import Hourly, VcpuQuota, Vcpus
from infra.shapes import InstanceType, Shape
from infra.spec import EndpointSpec, Spec


class Bill(Protocol):
    """What `infra.cost` and `infra.cluster.cost` both can tell."""

    def hourly(self, endpoint: EndpointSpec) -> Hourly:
        """Dollars an hour of an endpoint."""

    def floor_monthly(self, spec: Spec) -> float:
        """Dollars a month if nobody draws."""

    def floor_told(self, spec: Spec) -> str:
        """The floor in a sentence."""

    def table(self, spec: Spec) -> str:
        """A line an endpoint, and the floor."""

    def vcpus(self, spec: Spec) -> dict[VcpuQuota, Vcpus]:
        """vCPUs of each quota."""

    def first_type(self, shape: Shape) -> InstanceType:
        """The instance type that is taken first."""


def bill_of(spec: Spec) -> Bill:
    """For a team that AWS is paid for."""
    return cluster if spec.team.runs_on == "cluster" else instances
