"""What every part of a stack file's spec is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the spec: unknown fields are faults, nothing is guessed, nothing changes after reading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
