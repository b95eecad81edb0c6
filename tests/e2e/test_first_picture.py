"""From a link to a picture, as a newcomer does it: through the real door, in a real browser."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import openai
import pytest
import requests
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Locator, Page, expect

from scripts.starter.judge import judge
from tests.gateway.disk.test_permissions import open_to_others
from tests.gateway.relay.test_revoking import call, ends, stream
from tests.scripts.running import Up
from tests.scripts.running import easel as command
from tests.studio.ui.conftest import ask_small, generate_button

pytestmark = pytest.mark.timeout(300)
PROMPT = "a red circle on a blue background"
DRAWN_WITHIN = 90_000


def open_studio(page: Page, running: Up) -> None:
    """Open the link and wait for the page."""
    page.goto(running.link("studio"))
    expect(generate_button(page)).to_be_enabled(timeout=30_000)


def ask(page: Page, prompt: str) -> None:
    """Type a prompt and press the button."""
    page.get_by_label("Prompt", exact=True).fill(prompt)
    with page.expect_response(re.compile("/sdapi/v1/txt2img$")) as answer:
        generate_button(page).click()
    assert answer.value.status == 202


def drawn(page: Page) -> Locator:
    """The picture on the stage."""
    return page.locator(".easel .view img")


def draw(page: Page, prompt: str) -> None:
    """Draw, and wait for the picture."""
    ask(page, prompt)
    expect(drawn(page)).to_have_attribute("alt", re.compile(re.escape(prompt)), timeout=DRAWN_WITHIN)


def shown(page: Page) -> Image.Image:
    """The picture on the stage, as the browser received it."""
    source = drawn(page).get_attribute("src")
    assert source
    answer = page.request.get(urljoin(page.url, source))
    assert answer.ok
    return Image.open(io.BytesIO(answer.body()))


def test_a_picture_from_a_link(page: Page, easel: Up) -> None:
    """Open the link, type a prompt, watch it arrive, see what was asked for."""
    open_studio(page, easel)
    assert "token=" not in page.url, "the token must not stay in the address bar and the history"
    page.get_by_label("Seed", exact=True).fill("1")
    ask(page, PROMPT)
    expect(page.get_by_role("progressbar")).to_be_visible(timeout=30_000)
    expect(drawn(page)).to_have_attribute("alt", re.compile(PROMPT), timeout=DRAWN_WITHIN)
    picture = shown(page)
    # In the starter's own size, however soon somebody presses the button.
    assert re.search(r"Steps: 20,.* Seed: 1, Size: 128x128\b", picture.info["parameters"])
    seen = judge(picture.convert("RGB"))
    assert (seen.shape, seen.colour, seen.ground) == ("circle", "red", "blue")


def test_pictures_stay(page: Page, easel: Up) -> None:
    """A person's pictures are there again after the page is loaded anew."""
    open_studio(page, easel)
    draw(page, "a green star on white")
    page.reload()
    expect(drawn(page)).to_have_attribute("alt", re.compile("a green star on white"), timeout=30_000)


@pytest.mark.slow
def test_two_people_with_one_link(browser: Browser, easel: Up) -> None:
    """A link opened twice is two people: neither sees, stops or waits behind the other's work; a picture's
    address opens nothing for the other."""
    first, second = browser.new_context(), browser.new_context()
    ada, bob = first.new_page(), second.new_page()
    open_studio(ada, easel)
    open_studio(bob, easel)
    draw(ada, "a yellow ring on black")
    ask_small(ada, "a purple heart on yellow", steps=150, side=512)
    ask(ada, "a purple heart on yellow")
    expect(ada.get_by_role("progressbar")).to_be_visible(timeout=30_000)
    (hers,) = [
        one["id"]
        for one in ada.request.get(urljoin(ada.url, "/jobs")).json()["jobs"]
        if one["prompt"].startswith("a purple")
    ]
    draw(bob, "a black square on white")
    expect(bob.locator(".film li:not(.all)")).to_have_count(1)
    expect(bob.locator(".ticket")).to_have_count(0)
    secrets = (f"/jobs/{hers}", f"/jobs/{hers}/result", urlsplit(drawn_address(ada)).path)
    assert [bob.request.get(urljoin(bob.url, one)).status for one in secrets] == [404, 404, 404]
    # As his own page would: the door lets no others change anything.
    stopped = "(id) => fetch(`jobs/${id}`, { method: 'DELETE' }).then((one) => one.status)"
    assert bob.evaluate(stopped, hers) == 404
    for path in ("/jobs", "/studio/gallery", "/studio/session"):
        said = bob.request.get(urljoin(bob.url, path)).text()
        assert "purple heart" not in said
        assert "yellow ring on black" not in said
    expect(ada.get_by_role("progressbar")).to_be_visible()
    ada.locator(".stage .line").click()
    ada.keyboard.press("Escape")
    expect(ada.locator(".ticket")).to_have_count(0, timeout=30_000)
    first.close()
    second.close()


def drawn_address(page: Page) -> str:
    """The address of the newest picture in the strip, whatever the stage shows."""
    found = page.request.get(urljoin(page.url, "/studio/gallery")).json()["pictures"][0]
    return urljoin(page.url, "/" + found["url"])


def test_the_api_with_a_token(page: Page, easel: Up) -> None:
    """A developer's way: a token from the command line, Bearer or Basic, one request, one picture."""
    token = command("token", "new", "--endpoint", "studio", "--name", "e2e", env=easel.env).stdout.strip()
    address = f"http://127.0.0.1:{easel.env['EASEL_PORT']}/sdapi/v1/txt2img"
    body = {"prompt": PROMPT, "width": 128, "height": 128, "steps": 20, "seed": 1}
    basic = base64.b64encode(f"anyone:{token}".encode()).decode()
    pictures = []
    for kind in (f"Bearer {token}", f"Basic {basic}"):
        answer = page.request.post(address, data=body, headers={"Authorization": kind}, timeout=DRAWN_WITHIN)
        assert answer.ok, answer.text()
        pictures.append(Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0]))))
    assert pictures[0].info["parameters"].startswith(PROMPT)
    differences = ImageChops.difference(pictures[0], pictures[1]).getextrema()
    assert all(high <= 2 for _, high in differences)
    seen = judge(pictures[0].convert("RGB"))
    assert (seen.shape, seen.colour, seen.ground) == ("circle", "red", "blue")


def test_without_a_token(page: Page, easel: Up) -> None:
    """Private by default: a browser sees a sign-in page, an API client JSON, both 401, neither the studio."""
    root = f"http://127.0.0.1:{easel.env['EASEL_PORT']}"
    landed = page.goto(root)
    assert landed is not None
    assert landed.status == 401
    expect(page.locator("#token")).to_be_visible()
    answer = page.request.get(f"{root}/sdapi/v1/options", headers={"Accept": "application/json"})
    assert answer.status == 401
    assert answer.json()["detail"]


def test_nothing_is_fetched_from_elsewhere(page: Page, easel: Up) -> None:
    """The page works on a machine without internet: every request stays on this host."""
    elsewhere: list[str] = []
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("http://127.0.0.1:", "data:", "blob:"))
            else elsewhere.append(request.url)
        ),
    )
    open_studio(page, easel)
    draw(page, "a blue square on white")
    assert elsewhere == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out(browser: Browser, easel: Up, tmp_path: Path, width: int) -> None:
    """On a desktop and on a phone nothing has to be scrolled sideways, and Generate is in reach."""
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    open_studio(page, easel)
    draw(page, "an orange triangle on black")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = generate_button(page).bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    context.close()


def test_the_first_call_of_a_program(easel: Up) -> None:
    """The shortest call that a newcomer can type: an address with the token in it, and a prompt."""
    address, _, token = easel.link("studio").partition("/?token=")
    answer = requests.post(
        address.replace("http://", f"http://any:{token}@") + "/sdapi/v1/txt2img",
        data=json.dumps({"prompt": PROMPT, "seed": 1}),
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    picture = Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0])))
    assert picture.size == (128, 128)
    seen = judge(picture)
    assert (seen.shape, seen.colour, seen.ground) == ("circle", "red", "blue")


def test_openais_client_at_the_door(easel: Up) -> None:
    """The token is the API key; the address of a picture leads through the same door, to the same caller."""
    address, _, token = easel.link("studio").partition("/?token=")
    with openai.OpenAI(base_url=f"{address}/v1", api_key=token, max_retries=0) as client:
        answer = client.images.generate(
            prompt=PROMPT, size="128x128", response_format="url", extra_body={"seed": 1}
        )
    url = answer.data[0].url if answer.data else None
    assert url is not None
    assert url.startswith(f"{address}/files/pictures/")
    assert requests.get(url, timeout=30).status_code == 401
    file = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    seen = judge(Image.open(io.BytesIO(file.content)))
    assert (seen.shape, seen.colour, seen.ground) == ("circle", "red", "blue")
    with (
        pytest.raises(openai.AuthenticationError),
        openai.OpenAI(base_url=f"{address}/v1", api_key="easel_no", max_retries=0) as client,
    ):
        client.models.list()


def test_what_is_revoked_ends_in_the_real_studio(easel: Up) -> None:
    """The page's stream, and a picture that is being drawn for an API client, end within 5 s of their
    token; the client is told why."""
    root = f"http://127.0.0.1:{easel.env['EASEL_PORT']}"
    token = command("token", "new", "--endpoint", "studio", "--name", "leaked", env=easel.env).stdout.strip()
    browser = httpx.Client(base_url=root, timeout=60, trust_env=False)
    assert browser.get("/", params={"token": token}).status_code == 303
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    program = httpx.Client(base_url=root, timeout=60, trust_env=False, headers=headers)
    body = json.dumps({"prompt": PROMPT, "width": 512, "height": 512, "steps": 150})
    open_ = [
        stream(browser, "/studio/events"),
        call(program, "POST", "/sdapi/v1/txt2img", body),
    ]
    assert not any(one.over for one in open_)
    said = command("token", "revoke", "--endpoint", "studio", "--name", "leaked", env=easel.env)
    assert said.returncode == 0, said.stderr
    ends(open_, "what came by the token ends")
    assert open_[1].status == 401
    assert "has ended" in open_[1].text


def test_all_of_the_home_is_its_owners(easel: Up) -> None:
    """After models, pictures, logs and tokens were written, nobody else can read any of it."""
    assert open_to_others(Path(easel.env["EASEL_HOME"])) == []
