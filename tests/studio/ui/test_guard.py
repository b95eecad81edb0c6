"""Files through the page: one's own pictures, nobody else's, nothing else."""

from __future__ import annotations

import httpx
import pytest


@pytest.fixture(scope="module")
def picture(running) -> str:
    """A saved picture of ada's, as the path that her page asks for."""
    assert running.draw("ada", save_images=True).status_code == 200
    return str(running.studio.outputs.recent("ada", 1)[0])


def test_own_pictures_are_shown(running, picture) -> None:
    """The owner gets the file as it is, to be shown in the page."""
    with running.ask("ada") as ada:
        answer = ada.get(f"/gradio_api/file={picture}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert b"parameters" in answer.content


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("owner", ["bob", "", "ada/../bob", "ADA"])
def test_others_pictures_are_not(running, picture, owner, method) -> None:
    """Whoever knows or guesses the path of another's picture finds nothing there."""
    with running.ask(owner) as other:
        assert other.request(method, f"/gradio_api/file={picture}").status_code == 404


@pytest.mark.parametrize(
    "shape",
    ["/gradio_api/file={folder}/x/../{name}", "/gradio_api/file//{path}", "/gradio_api/file=//{path}",
     "/gradio_api/file=%2F{path}", "/gradio_api/file={folder}/./{name}", "/gradio_api/file/{path}"],
)  # fmt: skip
def test_no_spelling_gets_around_it(running, picture, shape) -> None:
    """Dots, double slashes and escapes lead to the same answer."""
    folder, _, name = picture.rpartition("/")
    path = shape.format(folder=folder, name=name, path=picture.lstrip("/"))
    request = httpx.Request("GET", running.url + path, headers={"X-Easel-User": "bob"})
    with running.ask("bob") as bob:
        answer = bob.send(request)
    assert answer.status_code in (403, 404)
    assert b"PNG" not in answer.content


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/file=/etc/passwd", "/gradio_api/file=image/easel/studio/app.py",
     "/gradio_api/file=pyproject.toml",
     "/gradio_api/file=http://127.0.0.1:9/x", "/gradio_api/file=https://example.com/x.png",
     "/gradio_api/file=file:///etc/passwd", "/gradio_api/proxy=http://127.0.0.1:9/x",
     "/gradio_api/file=a%00b",
     "/gradio_api/proxy=https://example.hf.space/x"],
)  # fmt: skip
def test_nothing_else_is_served_or_fetched(ada, path) -> None:
    """No file of the server, and no address on a visitor's word."""
    answer = ada.get(path)
    assert answer.status_code in (403, 404)
    assert b"root:" not in answer.content


def test_options_file_of_others(running, picture) -> None:
    """Another's options are below the same rule."""
    running.studio.defaults.update("ada", {"x": 1})
    path = running.studio.outputs.owned("ada") / "options.json"
    with running.ask("bob") as bob:
        assert bob.get(f"/gradio_api/file={path}").status_code == 404
