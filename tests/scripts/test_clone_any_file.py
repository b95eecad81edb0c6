"""Cloning an endpoint in any stack file: every other line stays."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.commands.clone import cloned
from scripts.stacks.teams import Address
from tests.scripts.test_clone import added

# Stack files as people write them: comments, blank lines, quotes, flow and block, in any order.
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("team", "console")
)
COMMENT = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\ufeff"), max_size=12)
SHAPES = st.sampled_from(["gpu.t4", '"gpu.t4"', "'gpu.a10'", "gpu.l40s"])
FIELDS = st.fixed_dictionaries(
    {"shape": SHAPES},
    optional={
        "replicas": st.sampled_from(["{min: 0, max: 3}", "{max: 2,}", "\n{i}  max: 9\n{i}  min: 1 # x"]),
        "idle": st.sampled_from(["15m", '"1h"', "90s   # short"]),
        "env": st.sampled_from(
            ["{}", "{A: 'b: c', D: \"#\"}", "\n{i}  A: |\n{i}    x\n\n{i}    y\n", "{A: 'x\n\n{i} y'}"]
        ),
        "models": st.sampled_from(["[]", "[s3://a/b.safetensors]", "\n{i}- s3://a/b\n{i}- s3://c/d # 2"]),
    },
)  # fmt: skip


@st.composite
def stack_texts(draw: st.DrawFn) -> tuple[str, str]:
    """A right stack file, and the name of an endpoint in it."""
    step = " " * draw(st.integers(1, 4))
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    lines = ["config:", f"{step}easel:team: {{domain: a.example.com}}", f"{step}easel:endpoints:"]
    for name in names:
        fields = list(draw(FIELDS).items())
        if draw(st.booleans()):
            inner = ", ".join(
                f"{key}: {value}" for key, value in fields if "\n" not in value and "#" not in value
            )
            lines.append(f"{step * 2}{name}: {{{inner}}}")
        else:
            lines.append(f"{step * 2}{name}:")
            for key, value in draw(st.permutations(fields)):
                lines.append(f"{step * 3}{key}: {value}".replace("{i}", step * 3).replace(": \n", ":\n"))
                lines += draw(
                    st.lists(st.builds(lambda c: f"{step * 3}# {c}", COMMENT) | st.just(""), max_size=2)
                )
    if draw(st.booleans()):
        lines.append(f"{step}aws:region: us-east-1")
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n", "\n# end\n"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"]))), draw(st.sampled_from(names))


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(stack_texts(), st.none() | st.sampled_from(["gpu.l40s", "gpu.l4"]), st.none() | st.integers(1, 9))
def test_every_other_line_of_any_file_is_unchanged(
    tmp_path: Path, found: tuple[str, str], shape: str | None, most: int | None
) -> None:
    """Lines are added in one place, and the file means what it meant and the clone beside it."""
    text, source = found
    file = tmp_path / "Pulumi.art.yaml"
    file.write_bytes(text.encode())
    proposal, before, after = cloned(
        file, file, Address("art", source), Address("art", "the-clone"), shape=shape, most=most
    )
    assert before is not None
    assert added(text, proposal.after)
    assert {name: after.endpoints[name] for name in before.endpoints} == before.endpoints
    clone, original = after.endpoints["the-clone"], before.endpoints[source]
    replicas = original.replicas if most is None else original.replicas.model_copy(update={"max": most})
    assert clone == original.model_copy(update={"shape": shape or original.shape, "replicas": replicas})
