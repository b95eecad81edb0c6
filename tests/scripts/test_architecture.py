"""docs/pictures/architecture.svg shows what the Pulumi program registers."""

import re
from functools import cache
from xml.etree import ElementTree

import pytest

from scripts.docs.architecture import (
    ENDPOINTS,
    PICTURE,
    TEAM,
    GraphEdge,
    allowed,
    panels,
    picture,
    references,
    words,
)
from tests.infra.graph import Graph, provision

SVG = "{http://www.w3.org/2000/svg}"


@cache
def graph() -> Graph:
    return provision(ENDPOINTS, TEAM)


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_every_component_and_every_resource_is_in_the_picture() -> None:
    """Nothing that is provisioned is missing; run `python -m scripts.docs.architecture` after a change."""
    shown = " · ".join(texts(PICTURE.read_text()))
    for title, panel in panels(graph()).items():
        assert title in shown
        for row in panel.rows:
            assert row.text in shown, f"{title}: {row.text}"
    for node in graph().nodes:
        if node.custom:
            assert words(node).split(",")[0].split(" in ")[0] in shown, node.type


def test_every_way_in_is_an_arrow() -> None:
    """As the security groups say; the world reaches the gateway alone, by 80 and 443."""
    edges = allowed(graph())
    assert [edge for edge in edges if edge.source == "world"] == [GraphEdge("world", "Gateway", (80, 443))]
    assert {(edge.source, edge.target, edge.ports) for edge in edges if edge.source != "world"} == {
        ("Gateway", "Endpoint studio", (7860,)),
        ("Gateway", "Endpoint portraits", (7860,)),
        ("Gateway", "Files", (2049,)),
        ("Endpoint studio", "Files", (2049,)),
        ("Endpoint portraits", "Files", (2049,)),
    }
    shown = texts(PICTURE.read_text())
    assert shown.count("HTTP 7860") == 2
    assert shown.count("NFS 2049") == 2, "endpoints are alike: one of them and the gateway"
    assert shown.count("HTTP 80, 443") == 1


def test_what_refers_to_what_is_known() -> None:
    """The dashed arrows are dependencies of the registered resources."""
    found = references(graph())
    assert {GraphEdge("Buckets", "Gateway"), GraphEdge("Images", "Endpoint portraits")} <= found
    assert GraphEdge("Endpoint studio", "Network") not in found
    assert {"configuration", "image by digest"} <= set(texts(PICTURE.read_text()))


def test_the_order_of_registration_does_not_show() -> None:
    """Pulumi registers in any order; git shows a change only where there is one."""
    turned = Graph(graph().nodes[::-1], graph().outputs, graph().secret_outputs, graph().said)
    assert picture(turned) == picture(graph())


def test_a_resource_without_a_word_is_called_by_its_type() -> None:
    """So that a new kind shows, and somebody finds a word for it."""
    node = graph().of("Eip")[0]
    strange = type(node)(**{**node.__dict__, "type": "aws:x/someThing:SomeThing"})
    assert words(strange) == "some thing"


def test_words_stay_inside_their_boxes() -> None:
    """A line that is too long would run over the edge: about 7 pixels a letter."""
    tree = ElementTree.fromstring(PICTURE.read_text())
    boxes = [
        tuple(float(node.get(key, 0)) for key in ("x", "y", "width", "height"))
        for node in tree.iter(f"{SVG}rect")
        if node.get("class") == "panel"
    ]
    assert len(boxes) == len(panels(graph())), (
        "a box for each, people in the place of the network, which is the frame"
    )
    for text in tree.iter(f"{SVG}text"):
        x, y = float(text.get("x", 0)), float(text.get("y", 0))
        for left, top, width, height in boxes:
            if left <= x <= left + width and top <= y <= top + height:
                assert x + 7 * len("".join(text.itertext())) <= left + width, "".join(text.itertext())


def test_boxes_do_not_overlap() -> None:
    """Whatever has grown, the others make room."""
    tree = ElementTree.fromstring(PICTURE.read_text())
    boxes = [
        tuple(float(node.get(key, 0)) for key in ("x", "y", "width", "height"))
        for node in tree.iter(f"{SVG}rect")
        if node.get("class") == "panel"
    ]
    for number, (x, y, w, h) in enumerate(boxes):
        for other_x, other_y, other_w, other_h in boxes[number + 1 :]:
            assert x + w <= other_x or other_x + other_w <= x or y + h <= other_y or other_y + other_h <= y


@pytest.mark.parametrize(
    "wrong", ["<script", "<image", "<foreignObject", "@import", "url(http", "@font-face"]
)
def test_the_picture_needs_nothing_else(wrong: str) -> None:
    """No font, script or picture from elsewhere; light and dark pages both have colours."""
    text = PICTURE.read_text()
    assert wrong not in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r'(href|src)="', text)
