"""What a replica's container reaches: iptables and the kernel's networks are real, Docker's part is not."""

from __future__ import annotations

import subprocess

import pytest

from infra.namespace.policies import PRIVATE_V4
from tests.infra.instances.host.machine import ADDRESS, HERE, Machine
from tests.infra.instances.host.replica import host, pytestmark

__all__ = ["host", "pytestmark"]

CONTAINER, BRIDGE = "172.17.0.2", "172.17.0.1"
PEER, RESOLVER, OFFICE, SHARED, TASKS = "10.0.0.9", "10.0.0.2", "192.168.7.7", "100.64.9.9", "169.254.170.2"
PUBLIC = "203.0.113.9"
BEYOND = (PEER, RESOLVER, OFFICE, SHARED, TASKS, PUBLIC)

# Two networks more: the container's behind docker0, and all that is beyond the host.
AROUND = """
set -e
mkdir -p /run/netns
for name in container beyond; do ip netns add $name; ip -n $name link set lo up; done
ip link add inside type veth peer name eth0 netns container
ip link set inside master docker0 up
ip -n container address add {CONTAINER}/16 dev eth0
ip -n container link set eth0 up
ip -n container route add default via {BRIDGE}
ip link add outside type veth peer name eth0 netns beyond
ip address add 198.51.100.1/24 dev outside
ip link set outside up
ip -n beyond link set eth0 up
ip -n beyond address add 198.51.100.2/24 dev eth0
ip -n beyond route add default via 198.51.100.1
for address in {BEYOND}; do
    ip -n beyond address add $address/32 dev lo
    ip route add $address via 198.51.100.2
done
echo 1 >/proc/sys/net/ipv4/ip_forward
"""


@pytest.fixture
def fenced(host: Machine) -> Machine:
    """A replica that serves, with a network for its container and one beyond."""
    host.boot()
    inside = [*host._enter, "bash", "-c"]
    around = AROUND.format(CONTAINER=CONTAINER, BRIDGE=BRIDGE, BEYOND=" ".join(BEYOND))
    # Names of networks are mounts: in the machine's own, so that nothing of them is left here.
    subprocess.run([*inside, f"mount -t tmpfs tmpfs /run\n{around}"], check=True)
    service = host.service("easel-replica")
    assert service.start(), service.output
    for network, port in (("beyond", 443), ("beyond", 53), ("container", 7860)):
        listen(host, "ip", "netns", "exec", network, port=port)
    listen(host, port=22)
    return host


def listen(host: Machine, *within: str, port: int) -> None:
    """Something that answers whoever connects, at every address of a network."""
    program = f"""
import socket
server = socket.create_server(("0.0.0.0", {port}))
print("listening", flush=True)
while True:
    server.accept()[0].close()
"""
    process = host._start(*host._enter, *within, "python3", "-c", program)
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"


def reaches(host: Machine, network: str, address: str, port: int) -> bool:
    """Does a connection from one network come through?"""
    program = f"import socket; socket.create_connection(({address!r}, {port}), 3)"
    words = [*host._enter, "ip", "netns", "exec", network, "python3", "-c", program]
    return subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0


def test_a_container_reaches_the_internet_and_names_and_nothing_private(fenced: Machine) -> None:
    """Neither peers of the VPC, nor an office behind it, nor metadata, nor the host; the gateway comes in."""
    assert reaches(fenced, "container", PUBLIC, 443)
    assert reaches(fenced, "container", RESOLVER, 53)
    assert [to for to in BEYOND if reaches(fenced, "container", to, 443)] == [PUBLIC]
    near = [(to, port) for to in (BRIDGE, ADDRESS, "169.254.169.254") for port in (22, 80)]
    assert not [each for each in near if reaches(fenced, "container", *each)]
    assert reaches(fenced, "beyond", CONTAINER, 7860), "the gateway, from a private address"


def test_another_start_writes_the_same_and_no_rule_twice(fenced: Machine) -> None:
    """Rules are those of the first start, after an end and a start."""
    rules = fenced.run("iptables", "-S").stdout
    service = fenced.service("easel-replica")
    fenced.run("/opt/easel/stop.sh")
    assert service.start(), service.output
    assert fenced.run("iptables", "-S").stdout == rules
    assert rules.count("docker0") == 2 + len(PRIVATE_V4) + 1


def test_without_dockers_chain_nothing_starts(host: Machine) -> None:
    """Rules in a chain that nothing passes would be a fence on paper."""
    host.boot()
    assert host.run("iptables", "-D", "FORWARD", "-j", "DOCKER-USER").returncode == 0
    service = host.service("easel-replica")
    assert not service.start()
    assert host.tags()[-1][0] == "failed"
    assert "DOCKER-USER" in host.tags()[-1][1]
    assert not host.calls("docker create")


def test_the_ranges_are_those_of_a_cluster() -> None:
    """A studio is as far from what is private on a machine as in a pod."""
    text = (HERE.parents[3] / "infra" / "instances" / "host" / "fence.sh").read_text()
    assert [each for each in PRIVATE_V4 if each not in text] == []
