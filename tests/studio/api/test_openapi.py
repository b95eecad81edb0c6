"""The OpenAPI description: true, complete, and hammered by schemathesis."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from easel.studio.png import encode

FILE = encode(Image.new("RGB", (64, 64), "#204080"))
PICTURE = base64.b64encode(FILE).decode()
# What asks Civitai of itself, whatever is sent; and a stream that does not end.
NOT_ASKED = "^/studio/(models/(scan|updates)|events)$"
# Where nobody listens.
NOWHERE = "http://127.0.0.1:1/a.safetensors"


def small(body: object) -> object:
    """The same request, quick to draw: what is tried is what is taken, not how large a picture can be."""
    if not isinstance(body, dict):
        return body
    limits = {"steps": 2, "width": 64, "height": 64, "n_iter": 1, "batch_size": 2}
    quick = {key: min(body[key], most) if type(body.get(key)) is int else body.get(key, most)
             for key, most in limits.items()}  # fmt: skip
    return {**body, **quick}


def prepared(path: str, body: object) -> object:
    """A body of a route that draws, with a picture where one belongs: random bytes are refused at once."""
    if not isinstance(body, dict):
        return body
    if path.endswith(("/txt2img", "/img2img")):
        sent = {"init_images": [PICTURE]} if isinstance(body.get("init_images"), list) else {}
        return {**small(body), **sent}
    if path.endswith("/images/generations"):
        return {
            **body,
            "size": "64x64" if body.get("size") == "auto" else body.get("size", "64x64"),
            "steps": 2,
        }
    if path in {"/studio/models/info", "/studio/models/downloads"} and isinstance(body.get("url"), str):
        return {**body, "url": NOWHERE}
    if path.endswith("/images/edits"):
        return {**body, "image": FILE, "steps": "2"}
    return body


def checks(operation: Any) -> list[Any]:
    """Training is refused with a 501, which is described; any other 5xx is a fault."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as described

    found = [
        described.status_code_conformance,
        described.content_type_conformance,
        described.response_schema_conformance,
    ]
    return found if "501" in operation.definition.raw["responses"] else [not_a_server_error, *found]


@pytest.mark.parametrize("examples", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_schemathesis(running, examples: int) -> None:
    """Whatever fits the description, and much that does not: no 500, no answer that is not described."""
    import schemathesis  # half a second, which each process that looks for tests would take

    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    tried = []
    for result in schema.exclude(path_regex=NOT_ASKED).get_all_operations():
        operation = result.ok()
        kinds = [operation.as_strategy(mode) for mode in schemathesis.GenerationMode]

        @settings(
            max_examples=examples if operation.method == "post" else max(2, examples // 4),
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(*kinds))
        def attack(case) -> None:
            case.body = prepared(case.path, case.body)
            case.headers["X-Easel-User"] = "schemathesis"
            case.call_and_validate(checks=checks(case.operation))

        attack()
        tried.append(operation.label)
    described = running.ask().get("/openapi.json").json()["paths"]
    every = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert every - set(tried) == {
        "POST /studio/models/scan",
        "POST /studio/models/updates",
        "GET /studio/events",
    }
    assert running.draw("after").status_code == 200


def test_docs_need_no_network(ada) -> None:
    """/docs names every route of the description, escapes what it shows and loads nothing from elsewhere."""
    page = ada.get("/docs").text
    for path in ada.get("/openapi.json").json()["paths"]:
        assert path in page
    edits = page.partition("/v1/images/edits</code>")[2].partition("</details>")[0]
    assert "input_fidelity" in edits
    assert "<form" not in edits  # it would send JSON
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_every_route_of_the_issue_is_described(ada) -> None:
    """What clients are promised is in the description, each with words."""
    paths = ada.get("/openapi.json").json()["paths"]
    promised = {"txt2img", "img2img", "prompt-styles", "progress", "interrupt",
                 "options", "samplers", "schedulers", "sd-models",
                "refresh-checkpoints", "png-info", "memory"}  # fmt: skip
    assert promised <= {path.removeprefix("/sdapi/v1/") for path in paths}
    for path, methods in paths.items():
        for operation in methods.values():
            assert operation.get("description"), path


def test_errors_are_described_as_they_are(ada) -> None:
    """Every 4xx and 5xx of the description has the shape that is answered, OpenAI's below /v1, A1111's
    elsewhere; every operation has a short name of its own."""
    said = ada.get("/openapi.json").json()
    names = []
    for path, operations in said["paths"].items():
        for operation in operations.values():
            names.append(operation["operationId"])
            shape = "OpenAiError" if path.startswith("/v1/") else "ErrorBody"
            for status, answer in operation["responses"].items():
                if status >= "400":
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": f"#/components/schemas/{shape}"}, (path, status)
    assert len(set(names)) == len(names)
    assert {"txt2img_post", "v1_images_generations_post", "options_get"} <= set(names)
    assert "HTTPValidationError" not in said["components"]["schemas"]


def test_every_operation_is_told(ada) -> None:
    """A summary of its own words, a tag that the description explains, a description, and of each success
    what kind of content comes; the words of a summary are no function's name."""
    said = ada.get("/openapi.json").json()
    tags = {one["name"] for one in said["tags"] if one["description"]}
    for path, operations in said["paths"].items():
        for operation in operations.values():
            assert operation["description"].startswith(operation["summary"].split("\n")[0][:20]), path
            assert len(operation["summary"]) < 110, path
            assert set(operation["tags"]) <= tags, path
            assert operation["tags"], path
            for status, answer in operation["responses"].items():
                assert answer["description"], (path, status)
                assert answer.get("content") or status in ("202", "204"), (path, status)


def test_the_headers_of_every_answer_are_described(ada) -> None:
    """X-Request-Id and X-Process-Time are in each response of the description, and in each that is given:
    a success, a refusal, a path that is not there, a file, the page."""
    said = ada.get("/openapi.json").json()
    headers = {"X-Request-Id", "X-Process-Time"}
    assert set(said["components"]["headers"]) == headers
    for path, operations in said["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                assert set(answer["headers"]) == headers, (path, status)
    for path in ("/sdapi/v1/memory", "/sdapi/v1/nothing", "/v1/models/none", "/files/list", "/", "/metrics"):
        answer = ada.get(path)
        assert float(answer.headers["X-Process-Time"]) >= 0, path
        assert answer.headers["X-Request-Id"], path
    large = ada.post("/sdapi/v1/png-info", content=b"{}", headers={"X-Request-Id": "mine-1"})
    assert large.headers["X-Request-Id"] == "mine-1"


def test_every_status_of_the_description_is_one_that_the_code_gives(ada) -> None:
    """Successes and what the tables of errors and the middleware answer; and every refusal of those tables
    is described somewhere."""
    from easel.studio.api import errors

    given = {str(status) for _, status, _ in errors.ANSWERS} | {
        "200", "201", "202", "204", "400", "413", "422", "501", "503",
    }  # fmt: skip
    described = {
        status
        for operations in ada.get("/openapi.json").json()["paths"].values()
        for operation in operations.values()
        for status in operation["responses"]
    }
    assert described == given
