"""Hooks reach groups that exist, and a changed one replaces no group."""

import dataclasses

import pytest

from infra.instances import hooks
from tests.infra.engine.replaced import replacing
from tests.infra.graph import Graph, Node, provision

TWO = {"studio": {"shape": "gpu.a10", "warm": 1}, "proofs": {"shape": "gpu.t4"}}


def hooks_of(group: Node, graph: Graph) -> dict[str, dict[str, object]]:
    """The hooks that are resources, by name, without the group that they are of."""
    found = [hook.inputs for hook in graph.of("LifecycleHook")]
    return {
        str(hook["name"]): {key: value for key, value in hook.items() if key != "autoscalingGroupName"}
        for hook in found
        if hook["autoscalingGroupName"] == group.physical
    }


def test_every_group_has_its_hooks_from_the_first_instance_on_and_later() -> None:
    """The same twice: a new group's own are there before its warm pool launches, and never change again."""
    graph = provision(TWO)
    groups = graph.of("Group")
    assert len(groups) == 2
    for group in groups:
        initial = {str(hook["name"]): hook for hook in group.inputs["initialLifecycleHooks"]}
        assert initial == hooks_of(group, graph)
        assert set(initial) == {"ready", "drained"}


def test_a_changed_hook_reaches_groups_that_exist_and_replaces_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the provider other initial hooks are another group, with the end of all that runs in this one."""
    before = provision(TWO)
    slower = tuple(dataclasses.replace(hook, heartbeat_timeout=3600) for hook in hooks.HOOKS)
    monkeypatch.setattr(hooks, "HOOKS", slower)
    after = provision(TWO)
    for old in (*before.of("Group"), *before.of("LifecycleHook")):
        new = after.one(old.short, old.name)
        changed = {key for key in new.inputs if new.inputs[key] != old.inputs.get(key)} - set(new.ignored)
        assert not replacing(new.short, changed, new.inputs), old.name
        assert changed == ({"heartbeatTimeout"} if new.short == "LifecycleHook" else set()), old.name
