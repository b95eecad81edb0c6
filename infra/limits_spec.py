"""What one person may ask of an endpoint: `limits` of a stack file."""

from pydantic import Field

from infra.section import Section


class PersonLimitsSpec(Section):
    """What one person may ask for and have waiting; what is left out is as for everyone."""

    pictures_waiting: int | None = Field(
        default=None, ge=1, le=100_000, description="Pictures of tickets that one person has not finished."
    )
    requests_waiting: int | None = Field(
        default=None, ge=1, le=10_000, description="Tickets that one person has not finished."
    )
    work_per_person: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="Megapixel-steps that one person has waiting or under way; 512x512 at 20 steps is 5.2.",
    )
    work_per_request: int | None = Field(
        default=None, ge=1, le=1_000_000_000, description="Megapixel-steps of all pictures of one request."
    )
    pixels_per_request: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Megapixels of all pictures of one request, which are in memory until it is answered.",
    )

    @property
    def said(self) -> dict[str, int]:
        """What is set, by its name."""
        return self.model_dump(exclude_none=True)


class LimitsSpec(Section):
    """What one person may ask for, by how they come in."""

    everyone: PersonLimitsSpec = Field(
        default=PersonLimitsSpec(), description="Of whoever nothing else is said of."
    )
    members: PersonLimitsSpec = Field(
        default=PersonLimitsSpec(), description="People who sign in at the team's identity provider."
    )
    tokens: PersonLimitsSpec = Field(
        default=PersonLimitsSpec(), description="People and programs with a token or a link of their own."
    )
    visitors: PersonLimitsSpec = Field(
        default=PersonLimitsSpec(), description="Anyone at a public endpoint without a token."
    )
    operators: PersonLimitsSpec = Field(
        default=PersonLimitsSpec(), description="Whoever operates the console."
    )
