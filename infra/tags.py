"""Names and tags of resources, so that a bill, a policy and a listing all read by team and endpoint."""

from dataclasses import dataclass

TEAM = "easel:team"
STACK = "easel:stack"
ENDPOINT = "easel:endpoint"


@dataclass(frozen=True)
class Tags:
    """What the resources of one stack are called and tagged.

    Policies hold to the tag `easel:team` and never to a name's beginning: team `art` is not team `art-2`.
    """

    team: str
    stack: str
    """`<project>/<stack>`, which is where a stray resource's owner is found."""

    @classmethod
    def of_stack(cls, team: str) -> "Tags":
        """The tags of the stack that Pulumi runs."""
        import pulumi  # `easel cost` and `easel new` want the names, and `make up` installs no Pulumi

        return cls(team, f"{pulumi.get_project()}/{pulumi.get_stack()}")

    def name(self, noun: str, endpoint: str | None = None) -> str:
        """A resource's logical name, `easel-<team>[-<endpoint>]-<noun>`; Pulumi adds seven random letters."""
        return "-".join(part for part in ("easel", self.team, endpoint, noun) if part)

    def of_team(self, noun: str) -> dict[str, str]:
        """Tags of a resource that belongs to the whole team."""
        return {"Name": self.name(noun), TEAM: self.team, STACK: self.stack}

    def of_endpoint(self, endpoint: str, noun: str) -> dict[str, str]:
        """Tags of a resource that belongs to one endpoint."""
        name = {"Name": self.name(noun, endpoint)}
        return {**name, TEAM: self.team, STACK: self.stack, ENDPOINT: endpoint}
