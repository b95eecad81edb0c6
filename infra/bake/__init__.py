"""The bake: `image/` becomes two container images in the team's own account, next to where they run.

`archive` says what goes in and by which hash it is known, `registry` where the images are, `build` how
CodeBuild is started and followed, `bakery` puts them together, `provider` is how Pulumi runs it.
"""

TARGETS = ("gateway", "studio")
"""The targets of image/Dockerfile, the small one first: a mistake shows sooner."""

REPOSITORY = "easel/images"
"""The account's repository of them (`infra.bake.registry`)."""
