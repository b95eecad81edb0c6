"""docs/pictures/architecture.svg, drawn from what the Pulumi program registers.

    python -m scripts.docs.architecture

The program runs under Pulumi's mocks, as its tests run it. Boxes are its components, lines in them the
resources inside; solid arrows are what the security groups let through, dashed ones what refers to what.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from scripts.docs.svg import Arrow, Frame, Panel, Row, document
from scripts.settings import ROOT

if TYPE_CHECKING:
    from tests.infra.graph import Graph, Node

PICTURE = ROOT / "docs" / "pictures" / "architecture.svg"
ENDPOINTS = {
    "studio": {"shape": "gpu.a10", "replicas": {"min": 0, "max": 3}},
    "portraits": {"shape": "gpu.l40s", "warm": 1},
}
TEAM = {"budget": {"monthly": 500, "notify": "lead@example.com"}}
WORLD = "world"

# What a resource is called in the picture, in the order of its lines. A kind that is not here is called by
# its type, so none is left out.
WORDS = {
    "Instance": "{instanceType}, recovers by itself",
    "Group": "Auto Scaling group {minSize:g}..{maxSize:g}{warm}",
    "LifecycleHook": "hooks when ready and drained",
    "LaunchTemplate": "launch template",
    "Vpc": "VPC {cidrBlock}",
    "Subnet": "public subnets in {zones} zones",
    "InternetGateway": "internet gateway, no NAT",
    "VpcEndpoint": "S3 by gateway endpoint",
    "RouteTable": "routes",
    "RouteTableAssociation": "routes",
    "Record": "{name}",
    "Eip": "Elastic IP",
    "EipAssociation": "Elastic IP",
    "Token": "first link (secret)",
    "Bake": "the bake: archive → CodeBuild → digest",
    "Project": "CodeBuild project",
    "FileSystem": "EFS, {throughputMode}, encrypted",
    "MountTarget": "mount targets in {zones} zones",
    "AccessPoint": "access point {rootDirectory[path]}",
    "FileSystemPolicy": "policy: TLS, IAM, access points",
    "BackupPolicy": "backups",
    "Volume": "data volume, {size:g} GB",
    "VolumeAttachment": "data volume",
    "Bucket": "bucket {noun}",
    "BucketVersioning": "versions",
    "BucketLifecycleConfiguration": "life cycle",
    "BucketPolicy": "private, encrypted, TLS only",
    "BucketPublicAccessBlock": "private, encrypted, TLS only",
    "BucketServerSideEncryptionConfiguration": "private, encrypted, TLS only",
    "BucketObjectv2": "configuration {key}",
    "InstanceProfile": "role with least rights",
    "Role": "role with least rights",
    "RolePolicy": "role with least rights",
    "DefaultSecurityGroup": "security groups",
    "SecurityGroup": "security groups",
    "SecurityGroupEgressRule": "security groups",
    "SecurityGroupIngressRule": "security groups",
    "LogGroup": "logs, {retentionInDays:g} days",
    "MetricAlarm": "alarm: restarted when it hangs",
    "Budget": "budget ${limitAmount} a month",
    "Zone": "hosted zone",
}
TITLES = {
    "Alarm": "Alarm on spending",
    "Buckets": "Buckets",
    "Domain": "Domain",
    "Filesystem": "Files",
    "GatewayHost": "Gateway",
    "Image": "Images",
    "Link": "Console's first link",
    "Network": "Network",
    "Replicas": "Endpoint {name}",
}


@dataclass(frozen=True, order=True)
class GraphEdge:
    """What may reach what, by components' titles; or, without ports, what refers to what."""

    source: str
    target: str
    ports: tuple[int, ...] = ()


@click.command()
def main() -> None:
    """Draw the picture."""
    from tests.infra.graph import provision

    PICTURE.write_text(picture(provision(ENDPOINTS, TEAM)))
    click.echo(PICTURE.relative_to(ROOT))


def panels(graph: "Graph") -> dict[str, Panel]:
    """A panel for each component that stands at the top, by its title, in the order of registration."""
    found = {}
    for node in graph.nodes:
        if not node.custom and node.parent.count("$") == 0 and "::pulumi:pulumi:Stack::" in node.parent:
            inside = [each for each in graph.below(node) if each.custom]
            rows = list(_rows(inside)) or [Row("the zone that holds it, found", "soft")]
            found[_title(node)] = Panel(_title(node), rows)
    return found


def allowed(graph: "Graph") -> list[GraphEdge]:
    """Who may open a connection to whom, as the security groups say."""
    wearers = _wearers(graph)
    ports: dict[tuple[str, str], set[int]] = {}
    for rule in graph.of("SecurityGroupIngressRule"):
        group = rule.inputs.get("referencedSecurityGroupId")
        for source in wearers.get(group, ()) if group else (WORLD,):
            for target in wearers.get(rule.inputs["securityGroupId"], ()):
                ports.setdefault((source, target), set()).add(int(rule.inputs["toPort"]))
    return sorted(
        GraphEdge(source, target, tuple(sorted(found))) for (source, target), found in ports.items()
    )


def references(graph: "Graph") -> set[GraphEdge]:
    """Which component's resources name another's in what they are made from: `GraphEdge(named, by)`."""
    found = set()
    owners = {node.urn: owner for owner, node in _owned(graph)}
    for owner, node in _owned(graph):
        for urn in node.depends:
            if urn in owners and owners[urn] != owner:
                found.add(GraphEdge(owners[urn], owner))
    return found


def picture(graph: "Graph") -> str:
    """The SVG."""
    boxes = dict(sorted(panels(graph).items()))
    network = boxes.pop("Network")
    endpoints = [boxes[title] for title in reversed(boxes) if title.startswith("Endpoint ")]
    top = [
        boxes[title] for title in ("Domain", "Console's first link", "Alarm on spending") if title in boxes
    ]
    gateway, files, buckets, images = (boxes[title] for title in ("Gateway", "Files", "Buckets", "Images"))
    placed = {id(panel) for panel in (*endpoints, *top, gateway, files, buckets, images)}
    rest = [panel for panel in boxes.values() if id(panel) not in placed]

    _row(top, 30, 30, 330, 20)
    frame_y = max(panel.bottom for panel in top) + 30
    y = frame_y + 40 + 18 * 2 + 10
    gateway.x, gateway.y, gateway.width = 230, y, 260
    bottom = y
    for panel in endpoints:
        panel.x, panel.y, panel.width = 650, bottom, 320
        bottom = panel.bottom + 16
    people = Panel("People", [Row("browsers and"), Row("API clients")], 30, y + 6, 110)
    lines = [" · ".join(row.text for row in part) for part in (network.rows[:4], network.rows[4:])]
    frame = Frame("Network", lines, 200, frame_y, 800, bottom - frame_y + 6)
    floor = bottom + 90
    _row([buckets, files, images, *rest], 30, floor, 320, 20)

    last = endpoints[-1]
    ends = {WORLD: people, "Gateway": gateway, "Files": files, last.title: last}
    ends |= {panel.title: panel for panel in endpoints}
    arrows = [
        _down(ends[edge.source], files, f"NFS {_ports(edge)}")
        if edge.target == "Files"
        else _across(ends[edge.source], ends[edge.target], f"HTTP {_ports(edge)}")
        for edge in allowed(graph)
        # Endpoints are alike: what leads down from them is drawn once, from the lowest.
        if edge.target != "Files" or edge.source in ("Gateway", last.title)
    ]
    named = references(graph)
    if GraphEdge("Buckets", "Gateway") in named:
        arrows.append(_up(buckets, gateway, "configuration"))
    if GraphEdge("Images", last.title) in named:
        arrows.append(_up(images, last, "image by digest"))
    whole: list[Panel | Arrow | Frame] = [frame, people, *boxes.values(), *arrows]
    height = max(panel.bottom for panel in boxes.values())
    width = max(panel.right for panel in boxes.values())
    foot = (
        "Solid: what the security groups let through. Dashed: what is read. Kept: what destroying it leaves."
    )
    return document(width + 30, height + 60, "A team on AWS, from the registered resources", whole, foot)


def _ports(edge: GraphEdge) -> str:
    return ", ".join(str(port) for port in edge.ports)


def _across(source: Panel, target: Panel, label: str) -> Arrow:
    """From the side of a panel to the side of one at its right, with a step where that one is lower."""
    start, end = source.y + 36, target.y + 36
    middle = (source.right + target.x) / 2
    if target.y + 10 < start < target.bottom - 10:
        return Arrow([(source.right, start), (target.x, start)], label, (middle, start - 14))
    points = [(source.right, start), (middle, start), (middle, end), (target.x, end)]
    return Arrow(points, label, (middle, end - 14))


def _down(source: Panel, target: Panel, label: str) -> Arrow:
    """From the lower edge of a panel straight down to one that stands partly below it."""
    x = _shared(source, target)
    return Arrow([(x, source.bottom), (x, target.y)], label, (x, target.y - 34))


def _up(source: Panel, target: Panel, label: str) -> Arrow:
    x = _shared(source, target)
    return Arrow([(x, source.y), (x, target.bottom)], label, (x, source.y - 34), dashed=True)


def _shared(one: Panel, other: Panel) -> float:
    """The middle of what two panels have in common from left to right."""
    return (max(one.x, other.x) + min(one.right, other.right)) / 2


def _row(row: list[Panel], x: float, y: float, width: float, gap: float) -> None:
    for panel in row:
        panel.x, panel.y, panel.width = x, y, width
        x = panel.right + gap


def _title(node: "Node") -> str:
    short = node.name.split("-", 1)[-1]
    return TITLES.get(node.short, node.short).format(name=short)


def _owned(graph: "Graph") -> Iterator[tuple[str, "Node"]]:
    """Every resource with the title of the component it stands in."""
    for top in graph.nodes:
        if not top.custom and "::pulumi:pulumi:Stack::" in top.parent and "$" not in top.parent:
            yield from ((_title(top), node) for node in graph.below(top) if node.custom)


def _wearers(graph: "Graph") -> dict[str, set[str]]:
    """Security groups by id, and the components whose machines wear them."""
    groups = [f"securitygroup-{node.name}" for node in graph.of("SecurityGroup")]
    found: dict[str, set[str]] = {group: set() for group in groups}
    for owner, node in _owned(graph):
        if node.short in ("Instance", "LaunchTemplate", "MountTarget"):
            text = json.dumps(node.inputs, default=str)
            for group in groups:
                if f'"{group}"' in text:
                    found[group].add(owner)
    return found


def words(node: "Node", alike: int = 1) -> str:
    """What a resource is called; `alike` is how many of its kind stand beside it."""
    noun = re.sub(r"^easel-[a-z0-9]+-", "", node.name)
    warm = (node.inputs.get("warmPool") or {}).get("maxGroupPreparedCapacity", 0)
    inputs = {**node.inputs, "zones": alike, "noun": noun, "warm": f", {warm:g} warm" if warm else ""}
    spelt = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", node.short).lower()
    try:
        return WORDS.get(node.short, spelt).format_map(inputs)
    except (KeyError, ValueError, TypeError):
        return spelt


def _rows(inside: list["Node"]) -> Iterator[Row]:
    """A line for each thing, those that AWS splits into several resources once."""
    rows: dict[str, bool] = {}
    order = list(WORDS)
    ranked = sorted(
        inside, key=lambda node: (order.index(node.short) if node.short in WORDS else 99, node.name)
    )
    for node in ranked:
        alike = sum(each.short == node.short for each in inside)
        text = words(node, alike)
        rows[text] = rows.get(text, False) or node.retained
    # Details that only some resources name are told by the longer line.
    short = {text for text in rows if any(other != text and other.startswith(f"{text},") for other in rows)}
    for text in short:
        longer = next(other for other in rows if other.startswith(f"{text},"))
        rows[longer] = rows[longer] or rows[text]
    for text, kept in rows.items():
        if text not in short:
            yield Row(f"{text} (kept)" if kept else text, "keep" if kept else "")


if __name__ == "__main__":
    main()
