"""How what a team's stack makes is called in ARNs, before any of it is there."""

from dataclasses import dataclass

from infra.spec import Spec

SUFFIX = "?" * 7
"""The letters that Pulumi adds to a name. No star: `easel-art-config-*` is also team `art-config`'s."""


@dataclass(frozen=True)
class Place:
    """A team, and where of AWS it lives. In a policy `*` is any account: of others it is good for nothing."""

    spec: Spec
    partition: str = "aws"

    @property
    def team(self) -> str:
        """The team's name, which is the stack's."""
        return self.spec.name

    def arn(self, service: str, resource: str, account: str = "*", region: str = "*") -> str:
        """`place.arn("logs", "log-group:/easel/art")`."""
        return f"arn:{self.partition}:{service}:{region}:{account}:{resource}"

    def of_iam(self, resource: str) -> str:
        """What has no region: `place.of_iam("role/easel-art-*")`."""
        return self.arn("iam", resource, region="")

    @property
    def buckets(self) -> list[str]:
        """The team's buckets."""
        return [f"arn:{self.partition}:s3:::easel-{self.team}-{noun}-{SUFFIX}" for noun in ("bake", "config")]

    @property
    def roles(self) -> list[str]:
        """Names of the team's roles, and of its profiles that hold them. An endpoint's may be another team's,
        whose name begins as this one's: `easel-art-*-replicas-…` is also team `art-2`'s."""
        nouns = ["bake", "gateway"]
        on_cluster = self.spec.team.runs_on == "cluster"
        nouns += ["cluster", "mounts", "nodes"] if on_cluster else ["*-replicas"]
        return [f"easel-{self.team}-{noun}-{SUFFIX}" for noun in nouns]

    @property
    def cluster(self) -> str:
        """The name of the cluster that the team is on, its own or a platform's."""
        platform = self.spec.team.platform
        return f"easel-{self.team if self.owns_cluster else platform.rpartition('/')[2]}-cluster"

    @property
    def owns_cluster(self) -> bool:
        """Whether a cluster that it is on is its own."""
        return self.spec.team.platform == "own"
