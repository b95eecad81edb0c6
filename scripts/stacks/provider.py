"""What a stack file tells Pulumi's provider of AWS: the region, and the profile."""

from pathlib import Path


def provider_of(file: Path) -> tuple[str | None, str | None]:
    """The region and the profile that a stack file names; None where it leaves it to the environment."""
    import yaml  # takes a while, and most commands do without

    config = (yaml.safe_load(file.read_text()) or {}).get("config") or {}
    region, profile = config.get("aws:region"), config.get("aws:profile")
    return str(region) if region else None, str(profile) if profile else None
