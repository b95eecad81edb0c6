"""The copy of the project that the engine's tests run on; it needs no Pulumi."""

from pathlib import Path

from tests.infra.engine.pulumi import LOCAL, copy_project


def test_a_clone_with_stack_files_of_its_own_gives_the_same_copy(tmp_path: Path) -> None:
    """Teams of whoever works here, also ones with names that the tests use, and a changed local stack."""
    here, there = tmp_path / "here", tmp_path / "there"
    for file in (
        *(f"stacks/Pulumi.{name}.yaml" for name in ("art", "life", "local", "try-busy", "wrong", "zoo")),
        "stacks/Pulumi.art.yaml~",
        "stacks/templates/studio.yaml",
        "stacks/easel.schema.json",
        "infra/__pycache__/a.pyc",
        "infra/bake/__pycache__/b.pyc",
        "infra/bake/build.py",
        "Pulumi.yaml",
    ):
        path = here / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("somebody's")
    there.mkdir()
    copy_project(here, there)
    found = {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}
    assert found == {
        "Pulumi.yaml",
        "infra/bake/build.py",
        "stacks/Pulumi.local.yaml",
        "stacks/easel.schema.json",
        "stacks/templates/studio.yaml",
    }
    assert (there / "stacks/Pulumi.local.yaml").read_text() == LOCAL
