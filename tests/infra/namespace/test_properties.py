"""Whatever a stack file says that is right becomes objects that the API takes."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.names import ENDPOINT_LENGTH, RESERVED, TEAM_LENGTH
from infra.namespace import manifests
from infra.on_kubernetes import target_of
from infra.shapes import SHAPES
from infra.stackfile import read_spec
from tests.infra.namespace.teams import IMAGE, links, pods
from tests.infra.namespace.validity import wrong


def _names(longest: int) -> st.SearchStrategy[str]:
    return st.from_regex(rf"[a-z]([a-z0-9-]{{0,{longest - 2}}}[a-z0-9])?", fullmatch=True).filter(
        lambda name: name not in RESERVED
    )


_KEYS = st.from_regex(
    r"([a-z]([a-z0-9-]{0,20}[a-z0-9])?\.example/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,20}[a-z0-9])?", fullmatch=True
)
_VALUES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,40}[A-Za-z0-9])?", fullmatch=True)
_GPUS = st.sampled_from(["nvidia.com/gpu", "amd.com/gpu", "nvidia.com/mig-3g.20gb", "gpu.intel.com/i915"])
_TOLERATIONS = st.lists(
    st.one_of(
        st.just({}),
        st.fixed_dictionaries({"key": _KEYS}),
        st.fixed_dictionaries({"key": _KEYS, "operator": st.just("Equal"), "value": _VALUES}),
    ),
    max_size=2,
)
_VARIABLES = st.dictionaries(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True), st.text(max_size=30), max_size=3
)
_OWN = st.fixed_dictionaries(
    {
        "ref": st.just("ghcr.io/acme/comfy:1"),
        "port": st.integers(1, 65535),
        "health": st.sampled_from(["none", "/", "/health?full=1"]),
        "mounts": st.lists(
            st.fixed_dictionaries(
                {
                    "source": st.sampled_from(["models", "outputs"]),
                    "path": st.from_regex(r"/[a-z]{1,9}", fullmatch=True),
                }
            ),
            max_size=3,
            unique_by=lambda mount: mount["path"],
        ),
    },
    optional={
        "user": st.integers(1, 65534),
        "registry": st.just("login"),
        "command": st.lists(st.text(), min_size=1),
    },
)
_ENDPOINTS = st.fixed_dictionaries(
    {"shape": st.sampled_from(sorted(SHAPES)), "env": _VARIABLES},
    optional={
        "replicas": st.integers(0, 3).map(lambda low: {"min": low, "max": low + 1}),
        "idle": st.sampled_from(["1s", "15m", "30d"]),
        "concurrency": st.integers(1, 1000),
        "timeouts": st.sampled_from([{"wake": "1s"}, {"wake": "1h", "request": "1d"}, {"request": "1s"}]),
        "storage": st.sampled_from(
            [{"outputs": False}, {"disk": "16TB", "retention": "520w"}, {"disk": "30GB"}]
        ),
        "public": st.booleans(),
        "image": _OWN,
    },
)
_PLACEMENTS = st.fixed_dictionaries(
    {},
    optional={
        "gpu": _GPUS,
        "node_selector": st.dictionaries(_KEYS, _VALUES, max_size=2),
        "tolerations": _TOLERATIONS,
    },
)
_KUBERNETES = st.builds(
    lambda placement, edge, shapes: {"context": "c", "edge": edge, "shapes": shapes, **placement},
    _PLACEMENTS,
    st.sampled_from([{"ingress": "nginx"}, {"gateway": "infra/public"}, {"address": "fd00::80"}]),
    st.dictionaries(st.sampled_from(sorted(SHAPES)), _PLACEMENTS, max_size=2),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=_names(TEAM_LENGTH),
    endpoints=st.dictionaries(_names(ENDPOINT_LENGTH), _ENDPOINTS, max_size=3),
    kubernetes=_KUBERNETES,
)
def test_a_right_file_becomes_right_objects(
    name: str, endpoints: dict[str, Any], kubernetes: dict[str, Any]
) -> None:
    """Names of at most 63 characters where they must be, labels, quantities; one GPU or none a replica."""
    team = {"runs_on": "kubernetes", "domain": "a.example.com", "image": IMAGE, "kubernetes": kubernetes}
    spec = read_spec(name, {"easel:team": team, "easel:endpoints": endpoints}, "stack")
    objects = manifests(spec, target_of(spec), links(spec))
    assert [fault for each in objects for fault in wrong(each)] == []
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(set(names)) == len(names)
    for deployment, pod in pods(objects):
        limits = pod["containers"][0]["resources"].get("limits", {})
        limits = {key: count for key, count in limits.items() if "/" in key}
        assert list(limits.values()) in ([], ["1"]), deployment["metadata"]["name"]
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == {
            v["name"] for v in pod["volumes"]
        }
