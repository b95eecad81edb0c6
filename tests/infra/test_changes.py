"""What a change of a stack file changes: two graphs compared, input by input. Rules for one: `test_graph`."""

import json
from typing import Any

import pytest

from tests.infra.graph import Node, provision
from tests.infra.program_stacks import STACKS, graph_of, stacks_world
from tests.infra.test_graph import path_of


@pytest.mark.parametrize("gone", ["studio-3", "studio-9"])
def test_removing_an_endpoint_touches_its_own_resources_only(gone: str) -> None:
    """Whatever is not its own is the same in both programs, input by input."""
    before = graph_of("ten of five shapes")
    stack = STACKS["ten of five shapes"]
    after = provision({name: e for name, e in stack.endpoints.items() if name != gone}, world=stacks_world())
    component = before.component("Replicas", f"art-{gone}")
    own = {path_of(node, before) for node in (component, *before.below(component))}
    had = {path_of(node, before): _comparable(node) for node in before.nodes}
    has = {path_of(node, after): _comparable(node) for node in after.nodes}
    assert had.keys() - has.keys() == own
    assert has == {path: inputs for path, inputs in had.items() if path not in own}


def test_another_model_changes_its_endpoints_configuration_and_one_policy_only() -> None:
    """What the gateway may fetch comes and goes with the endpoint: no machine is replaced for a model, nor
    are the policies of others touched."""
    before, stack = graph_of("ten of five shapes"), STACKS["ten of five shapes"]
    changed = {**stack.endpoints["studio-3"], "models": ["s3://art-models/other.safetensors"]}
    after = provision({**stack.endpoints, "studio-3": changed}, world=stacks_world())
    had = {path_of(node, before): _comparable(node) for node in before.nodes}
    has = {path_of(node, after): _comparable(node) for node in after.nodes}
    assert had.keys() == has.keys()
    named = {node.name for node in after.nodes if has[path_of(node, after)] != had[path_of(node, after)]}
    assert named == {"easel-art-studio-3-configuration", "easel-art-studio-3-supply"}


def test_the_gateway_is_the_same_whatever_endpoints_and_models_there_are() -> None:
    """Its machine, its role and its own policy, input by input: most of it would replace the machine."""

    def gateway(name: str) -> dict[tuple[str, ...], Any]:
        graph = graph_of(name)
        return {
            path_of(node, graph): _comparable(node) for node in graph.below(graph.component("GatewayHost"))
        }

    none, ten = gateway("platform without endpoints"), gateway("ten of five shapes")
    assert len(none) > 10
    assert none == ten


def _comparable(node: Node) -> dict[str, Any]:
    """The inputs, without what is random: tokens' hashes."""
    text = json.dumps(node.inputs, sort_keys=True, default=str)
    found: dict[str, Any] = json.loads(text)
    content = found.get("content")
    if isinstance(content, str) and "hash" in content:
        configuration = json.loads(content)
        for holder in (configuration, configuration.get("console", {})):
            holder.pop("link", None)
        found["content"] = configuration
    return found
