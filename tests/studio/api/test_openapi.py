"""The OpenAPI description: true, complete, and hammered by schemathesis."""

from __future__ import annotations

import re

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.studio.api.answers import sent


def small(body: object) -> object:
    """The same request, quick to draw: what is tried is what is taken, not how large a picture can be."""
    if not isinstance(body, dict):
        return body
    limits = {"steps": 2, "width": 64, "height": 64, "n_iter": 1, "batch_size": 2}
    quick = {key: min(body[key], most) if type(body.get(key)) is int else body.get(key, most)
             for key, most in limits.items()}  # fmt: skip
    return {**body, **quick}


PICTURE = sent(Image.new("RGB", (64, 64), "#204080"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_schemathesis(running) -> None:
    """Whatever fits the description, and much that does not: no 500, no answer that is not described."""
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    tried = []
    for result in schema.include(path_regex="^/(sdapi|internal)/").get_all_operations():
        operation = result.ok()
        kinds = [operation.as_strategy(mode) for mode in schemathesis.GenerationMode]

        @settings(
            max_examples=30 if operation.method == "post" else 8,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(*kinds))
        def attack(case) -> None:
            if case.path.endswith(("/txt2img", "/img2img")):
                case.body = small(case.body)
            if isinstance(case.body, dict) and isinstance(case.body.get("init_images"), list):
                case.body["init_images"] = [PICTURE]
            case.headers["X-Easel-User"] = "schemathesis"
            case.call_and_validate(checks=CHECKS)

        attack()
        tried.append(operation.label)
    assert "POST /sdapi/v1/txt2img" in tried
    assert len(tried) > 25
    assert running.draw("after").status_code == 200


def test_docs_need_no_network(ada) -> None:
    """/docs names every route of the description, escapes what it shows and loads nothing from elsewhere."""
    page = ada.get("/docs").text
    for path in ada.get("/openapi.json").json()["paths"]:
        assert path in page
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
