"""Who reaches whom, by the network policies of a team's namespace."""

import ipaddress
from typing import Any

from infra.namespace import Target
from infra.namespace.manifest import Manifest
from infra.on_kubernetes import target_of
from tests.infra.namespace.teams import TEAMS, objects_of, one

METADATA_SERVICE = "169.254.169.254"


def reached(policy: dict[str, Any], address: str, port: int) -> bool:
    """Whether a policy lets its pods out to an address outside the cluster, by TCP."""
    asked = ipaddress.ip_address(address)

    def within(block: dict[str, Any]) -> bool:
        network = ipaddress.ip_network(block["cidr"])
        return asked in network and not any(
            asked in ipaddress.ip_network(one) for one in block.get("except", ())
        )

    for rule in policy["spec"]["egress"]:
        if port not in [each["port"] for each in rule["ports"] if each["protocol"] == "TCP"]:
            continue
        blocks = [peer["ipBlock"] for peer in rule.get("to", ()) if "ipBlock" in peer]
        if "to" not in rule or any(within(block) for block in blocks):
            return True
    return False


def test_a_studio_reaches_models_and_names_and_nothing_private() -> None:
    """Sources of models by 443; no metadata service, no neighbour, no node, by IPv4 or IPv6."""
    studio = one(objects_of(TEAMS["several"]), "NetworkPolicy", "studio")
    assert reached(studio, "140.82.112.3", 443)
    assert reached(studio, "2606:4700::1", 443)
    for private in ("10.1.2.3", "172.20.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "127.0.0.1"):
        assert not any(reached(studio, private, port) for port in (80, 443, 6443, 7860, 7861)), private
    assert not reached(studio, "fd00:ec2::254", 443)
    assert not reached(studio, "140.82.112.3", 22)
    assert reached(studio, "10.96.0.10", 53)


def test_the_gateway_reaches_the_api_but_no_metadata_service() -> None:
    """Whoever asks that gets the node's rights; a cloud gives rights to pods by one address alone."""
    team = TEAMS["one"]
    gateway = one(objects_of(team), "NetworkPolicy", "gateway")
    assert reached(gateway, "10.0.0.1", 6443)
    assert not any(reached(gateway, METADATA_SERVICE, port) for port in (80, 443))
    given = target_of(team.spec)
    target = Target(**{**vars(given), "rights_at": "169.254.170.23/32"})
    gateway = one(objects_of(team, target), "NetworkPolicy", "gateway")
    assert reached(gateway, "169.254.170.23", 80)
    assert not reached(gateway, METADATA_SERVICE, 80)


def test_only_the_gateway_reaches_a_studio(objects: list[Manifest]) -> None:
    """And only KEDA and other gateways what the gateway says inside; everything else is denied."""
    deny = one(objects, "NetworkPolicy", "deny-all")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    component = "app.kubernetes.io/component"
    for policy in (each for each in objects if each["kind"] == "NetworkPolicy"):
        if policy["metadata"]["name"] == "studio":
            (rule,) = policy["spec"]["ingress"]
            (who,) = rule["from"]
            assert who["podSelector"]["matchLabels"][component] == "gateway"
    door, inner = one(objects, "NetworkPolicy", "gateway")["spec"]["ingress"]
    assert [port["port"] for port in door["ports"]] == [8080]
    assert [port["port"] for port in inner["ports"]] == [7861]
    keda, gateway = inner["from"]
    assert keda["podSelector"] == {"matchLabels": {"app": "keda-operator"}}
    assert keda["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}
    assert gateway["podSelector"]["matchLabels"][component] == "gateway"
