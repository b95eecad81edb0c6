from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from easel.models import (
    Archived,
    EarlyAccess,
    Intake,
    Kind,
    ModelError,
    ModelRequest,
    NeedsToken,
    NoAccess,
    NotThere,
    Secrets,
    SourceError,
    Store,
    TooManyRequests,
    Unreachable,
    Unsafe,
)
from tests.models.civitai_stand_in import CONTENT, PNG, TOKEN, Civitai, file, version
from tests.models.conftest import leftovers
from tests.models.serving import Serving, model_bytes, serving, sha256

Make = Callable[..., Intake]
PAGE = "https://civitai.com/models/4384/dreamshaper?modelVersionId=128713"


@pytest.fixture
def civitai(server: Serving, monkeypatch: pytest.MonkeyPatch) -> Iterator[Civitai]:
    with serving() as storage:
        monkeypatch.setenv("CIVITAI_ENDPOINT", server.url)
        yield Civitai(server, storage)


def test_a_page_brings_all_that_belongs_to_it(civitai: Civitai, store: Store, intake: Make) -> None:
    """Kind, name and hash from the service; information and preview as Civitai Helper keeps them."""
    civitai.publish(version())
    added = intake().add(ModelRequest(PAGE))
    path = store.folder(Kind.CHECKPOINT) / "dreamshaper_8.safetensors"
    assert path.read_bytes() == CONTENT
    assert added.record.source == "civitai://models/4384?version=128713"
    info = json.loads(path.with_name("dreamshaper_8.civitai.info").read_text())
    assert (info["id"], info["modelId"], info["trainedWords"]) == (128713, 4384, ["dreamy", "soft light"])
    assert (info["model"]["name"], info["model"]["type"], info["model"]["tags"]) == (
        "DreamShaper",
        "Checkpoint",
        ["style"],
    )
    assert info["model"]["allowCommercialUse"] == ["Image"]
    assert info["creator"]["username"] == "Lykon"
    assert path.with_name("dreamshaper_8.preview.png").read_bytes() == PNG
    (entry,) = store.index(Kind.CHECKPOINT)
    assert entry.trained_words == ("dreamy", "soft light")
    assert entry.base_model == "SD 1.5"
    assert entry.preview == path.with_name("dreamshaper_8.preview.png")
    assert entry.sha256 == sha256(CONTENT)
    assert entry.autov3 == sha256(CONTENT[512:])[:12]


def test_without_a_version_the_newest_is_taken(civitai: Civitai, intake: Make) -> None:
    """`civitai://models/ID` is what the page shows first."""
    civitai.publish(version(1, files=[file(name="old.safetensors")]))
    civitai.publish(version(2, files=[file(name="new.safetensors")]))
    assert intake().add(ModelRequest("civitai://models/4384")).file.name == "new.safetensors"


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        ("LORA", "Lora"),
        ("LoCon", "Lora"),
        ("DoRA", "Lora"),
        ("TextualInversion", "embeddings"),
        ("VAE", "VAE"),
        ("Controlnet", "ControlNet"),
        ("Upscaler", "ESRGAN"),
    ],
)
def test_types_have_their_folders(civitai: Civitai, intake: Make, kind: str, folder: str) -> None:
    """Each of Civitai's types goes where A1111 looks for it."""
    civitai.publish(version(kind=kind))
    assert intake().add(ModelRequest("civitai://models/4384")).file.path.parent.name == folder


def test_a_file_is_chosen_by_its_type(civitai: Civitai, intake: Make) -> None:
    """`type=VAE` takes the VAE of a checkpoint, into its own folder."""
    vae = file(id=2, name="dream.vae.safetensors", type="VAE", primary=False, hashes={})
    civitai.publish(version(files=[file(), vae]))
    added = intake().add(ModelRequest("civitai://models/4384?version=128713&type=VAE"))
    assert (added.file.kind, added.file.path.name) == (Kind.VAE, "dream.vae.safetensors")
    with pytest.raises(
        SourceError, match=r"no file with type=Config; it has: Model SafeTensor pruned fp16, VAE"
    ):
        intake().add(ModelRequest("civitai://models/4384?version=128713&type=Config"))


def test_of_several_the_primary_one_is_taken(civitai: Civitai, intake: Make) -> None:
    """Wherever it stands: Civitai's own button downloads it. Where none is, the first."""
    pruned = file(id=2, name="pruned.safetensors", type="Pruned Model", primary=False)
    civitai.publish(version(files=[pruned, file()]))
    assert intake().add(ModelRequest(PAGE)).file.name == "dreamshaper_8.safetensors"
    civitai.publish(version(5, files=[pruned, file(name="last.safetensors", primary=False)]))
    assert intake().add(ModelRequest("civitai://models/4384?version=5")).file.name == "pruned.safetensors"


def test_the_safetensors_is_taken_where_the_first_is_a_pickle(civitai: Civitai, intake: Make) -> None:
    """A primary `.ckpt` beside a `.safetensors` is passed over; alone it is refused."""
    pickle = file(id=1, name="dream.ckpt", metadata={"format": "PickleTensor"})
    civitai.publish(version(files=[pickle, file(primary=False)]))
    assert intake().add(ModelRequest(PAGE)).file.name == "dreamshaper_8.safetensors"
    civitai.publish(version(5, files=[pickle]))
    with pytest.raises(Unsafe, match=r"dream\.ckpt.*run code"):
        intake().add(ModelRequest("civitai://models/4384?version=5"))


@pytest.mark.parametrize("scan", ["pickleScanResult", "virusScanResult"])
def test_what_a_scan_found_dangerous_is_refused(
    civitai: Civitai, store: Store, intake: Make, scan: str
) -> None:
    """Not a byte of it is fetched."""
    civitai.publish(version(files=[file(**{scan: "Danger"})]))
    with pytest.raises(Unsafe, match="dangerous"):
        intake().add(ModelRequest(PAGE))
    assert civitai.signed == 0


def test_the_service_hash_is_held_to(civitai: Civitai, store: Store, intake: Make) -> None:
    """Other bytes than Civitai's SHA-256 says are thrown away."""
    civitai.publish(version(), content=model_bytes(1_500_000, seed=4))
    with pytest.raises(ModelError, match="its source says"):
        intake().add(ModelRequest(PAGE))
    assert leftovers(store.root) == []


REFUSALS = [
    (401, {"error": "Unauthorized", "message": "sign in"}, NeedsToken, "CIVITAI_TOKEN"),
    (
        403,
        {"error": "Early Access", "deadline": "2027-01-05T00:00:00Z", "message": "buy"},
        EarlyAccess,
        "2027-01-05",
    ),
    (403, {"error": "Forbidden"}, NoAccess, "open its page"),
    (404, {"error": "File not found"}, NotThere, "deleted"),
    (410, {"error": "Gone", "message": "archived"}, Archived, "archived by its creator"),
    (429, {"error": "Too many"}, TooManyRequests, "goes on from where it was"),
    (500, {"error": "oops"}, Unreachable, "try again later"),
]


@pytest.mark.parametrize(
    ("status", "said", "error", "words"), REFUSALS, ids=[str(each[0]) for each in REFUSALS]
)
def test_refusals_in_plain_words(
    civitai: Civitai, store: Store, intake: Make, status: int, said: dict[str, str], error: type, words: str
) -> None:
    """Each of Civitai's answers says what it means and what to do; nothing is left behind."""
    civitai.publish(version())
    civitai.refusals[128713] = (status, said)
    with pytest.raises(error, match=words) as caught:
        intake().add(ModelRequest(PAGE))
    assert str(caught.value).startswith("civitai://models/4384?version=128713: ")
    assert leftovers(store.root) == []


def test_a_model_that_is_not_there(civitai: Civitai, intake: Make) -> None:
    """Neither the version nor the model exists."""
    for address in (
        "civitai://models/9",
        "civitai://models/9?version=9",
        "https://civitai.com/api/download/models/9",
    ):
        with pytest.raises(NotThere, match="404"):
            intake().add(ModelRequest(address))


def test_a_version_of_another_model(civitai: Civitai, intake: Make) -> None:
    """A mixed up address is not fetched."""
    civitai.publish(version())
    with pytest.raises(SourceError, match="belongs to model 4384, not to 7"):
        intake().add(ModelRequest("civitai://models/7?version=128713"))


def test_a_creator_who_wants_people_signed_in(civitai: Civitai, intake: Make) -> None:
    """Without a token it is said how to get one; with it the file comes, and storage never sees the token."""
    civitai.publish(version())
    civitai.needs_login = True
    with pytest.raises(NeedsToken, match="signed in"):
        intake().add(ModelRequest(PAGE))
    assert intake(secrets=Secrets(civitai=TOKEN)).add(ModelRequest(PAGE)).fetched
    with pytest.raises(NeedsToken, match="does not know this token"):
        intake(secrets=Secrets(civitai="wrong")).add(ModelRequest("civitai://models/4384?version=7"))


def test_an_archived_model_shows_its_version_still(civitai: Civitai, intake: Make) -> None:
    """A 404 for the model beside a version that is there costs the description, not the file."""
    civitai.publish(version())
    civitai.models_gone = True
    assert intake().add(ModelRequest(PAGE)).fetched


@pytest.mark.parametrize(
    "name",
    [
        "../evil.safetensors",
        "a/b.safetensors",
        "..\\evil.safetensors",
        ".x.safetensors",
        "a\nb.safetensors",
        "x" * 300 + ".safetensors",
        "con\u202etrol.safetensors",
    ],
)
def test_names_that_leave_the_folder(civitai: Civitai, store: Store, intake: Make, name: str) -> None:
    """What the service calls a file is checked as what anybody says."""
    civitai.publish(version(files=[file(name=name)]))
    with pytest.raises(ModelError):
        intake().add(ModelRequest(PAGE))
    assert not [path for path in store.root.parent.rglob("*") if path.is_file()]


def test_a_preview_that_is_no_picture(civitai: Civitai, store: Store, intake: Make) -> None:
    """Told by its bytes, not by its name: then there is none, and the model is there all the same."""
    civitai.publish(version())
    civitai.storage.put("/preview.png", b"<script>alert(1)</script>")
    path = intake().add(ModelRequest(PAGE)).file.path
    assert leftovers(store.root) == ["Stable-diffusion/dreamshaper_8.civitai.info"]
    assert path.exists()
