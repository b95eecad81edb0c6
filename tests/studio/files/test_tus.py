"""Uploads as tus 1.0.0 has them, asked in this process: what is taken, what is refused, what is kept."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from easel.models import Store, Uploads
from tests.studio.files.sending import TUS, Asked, b64, begin, left, patch, send


def test_a_model_comes_in_by_pieces(asked: Asked, home: Path, data: bytes) -> None:
    """Pieces of any size make one model in the folder that its header says, with its hash, there at once."""
    ada = asked()
    begun = begin(ada, len(data), sha256=hashlib.sha256(data).hexdigest())
    assert begun.status_code == 201
    url, at = begun.headers["location"], 0
    target = home / "models" / "Lora" / "style.safetensors"
    for size in (1, 7, 1000, 100_000, len(data)):
        assert not target.exists()
        piece = data[at : at + size]
        answer = patch(ada, url, at, piece)
        at += len(piece)
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(at)), answer.text
    assert target.read_bytes() == data
    said = ada.get(url).json()
    assert (said["state"], said["path"]) == ("done", "models/Lora/style.safetensors")
    assert said["sha256"] == hashlib.sha256(data).hexdigest()
    (found,) = ada.get("/files/list", params={"path": "models/Lora"}).json()["entries"]
    assert (found["size"], found["sha256"]) == (len(data), said["sha256"])
    assert ada.head(url, headers=TUS).headers["upload-offset"] == str(len(data))
    assert left(home) == []


def test_another_process_goes_on(asked: Asked, home: Path, data: bytes) -> None:
    """What one process took, another knows; bytes that no journal claims are sent again."""
    url = begin(asked(), len(data)).headers["location"]
    assert patch(asked(), url, 0, data[:5000]).status_code == 204
    (part,) = (home / "models" / ".easel" / "uploads").glob("*.part")
    with part.open("ab") as file:
        file.write(b"not noted")
    ada = asked()
    assert ada.head(url, headers=TUS).headers["upload-offset"] == "5000"
    assert patch(ada, url, 5000, data[5000:]).status_code == 204
    assert (home / "models" / "Lora" / "style.safetensors").read_bytes() == data


def test_death_between_the_last_byte_and_the_model(asked: Asked, home: Path, data: bytes) -> None:
    """HEAD finishes what is whole, so that a client which only looks has a model too."""
    url = begin(asked(), len(data)).headers["location"]
    uploads = Uploads(Store(home / "models", hashing=False))
    upload = uploads.find("ada", url.rsplit("/", 1)[1])
    with uploads.taking(upload, 0) as taking:
        uploads.learn(taking, data)
    assert not (home / "models" / "Lora").exists()
    assert asked().head(url, headers=TUS).headers["x-sha256"] == hashlib.sha256(data).hexdigest()
    assert (home / "models" / "Lora" / "style.safetensors").read_bytes() == data


def test_death_between_the_rename_and_its_note(asked: Asked, home: Path, data: bytes) -> None:
    """The model is there, the journal does not say so: it is found out and told."""
    ada = asked()
    url = begin(ada, len(data)).headers["location"]
    assert patch(ada, url, 0, data).status_code == 204
    journal = home / "models" / ".easel" / "uploads" / f"{url.rsplit('/', 1)[1]}.json"
    said = json.loads(journal.read_text())
    journal.write_text(json.dumps({**said, "state": "open"}))
    assert asked().head(url, headers=TUS).status_code == 200
    assert ada.get(url).json()["state"] == "done"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.safetensors", b"\x80\x02}q\x00" + b"x" * 3000, "pickle"),
        ("a.safetensors", b"<!doctype html><html>" + b"x" * 3000, "web page"),
        ("a.safetensors", b"PK\x03\x04" + b"x" * 3000, "zip"),
        ("a.safetensors", b"\0" * 3000, "zeros"),
        ("a.safetensors", b"\xff" * 4000, "not a safetensors file"),
        ("a.safetensors", b"short", "cut short"),
    ],
)
def test_what_is_no_model_is_refused(asked: Asked, home: Path, name: str, data: bytes, words: str) -> None:
    """What download refuses is refused here, in the same words, and leaves nothing behind."""
    ada = asked()
    url = begin(ada, len(data), filename=name).headers["location"]
    answer = patch(ada, url, 0, data)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    said = json.loads(answer.headers["x-easel-remark"])
    assert said["values"]["problem"]["code"], "a page says it in its own language"
    assert ada.get(url).json()["state"] == "failed"
    assert ada.head(url, headers=TUS).status_code == 410
    assert patch(ada, url, 0, data).status_code == 410
    assert left(home) == []
    assert not list((home / "models").glob("*/*.safetensors"))


def test_no_model_is_told_before_all_of_it_came(asked: Asked) -> None:
    """A pickle of gigabytes is refused at its first kilobyte; so is a header that lies about the length."""
    ada = asked()
    url = begin(ada, 1_000_000_000).headers["location"]
    assert patch(ada, url, 0, b"\x80\x02" + b"x" * 2000).status_code == 422


def test_a_cut_or_longer_file_is_refused(asked: Asked, data: bytes) -> None:
    """The header's last offset must be the file's end."""
    assert "cut short" in send(asked(), data[:-10]).json()["detail"]
    assert "follow the last tensor" in send(asked(), data + b"more").json()["detail"]


def test_a_wrong_hash_is_refused(asked: Asked, home: Path, data: bytes) -> None:
    """What came is not what the sender has: it is thrown away."""
    answer = send(asked(), data, sha256="0" * 64)
    assert answer.status_code == 422
    assert "SHA-256" in answer.json()["detail"]
    assert left(home) == []


@pytest.mark.parametrize(
    "name",
    [
        "../style.safetensors",
        "a/b.safetensors",
        ".hidden",
        "",
        "a\0b",
        "a\\b",
        "x" * 300,
        "a\u202eb",
        "..",
        "a:b",
    ],
)
def test_names_stay_in_the_folder(asked: Asked, home: Path, name: str) -> None:
    """A name that leads elsewhere is refused before a byte is sent."""
    answer = begin(asked(), 1000, filename=name)
    assert answer.status_code == 400, answer.text
    assert not (home / "models" / ".easel" / "uploads").exists() or left(home) == []


@pytest.mark.parametrize("folder", ["..", "a/../..", "a//b", ".easel", "a\\b"])
def test_folders_stay_in_the_store(asked: Asked, folder: str) -> None:
    """The same for folders."""
    assert begin(asked(), 1000, folder=folder).status_code == 400
    assert begin(asked(), 1000, folder=folder, kind="Lora").status_code == 400


def test_pickles_are_refused_by_name(asked: Asked) -> None:
    """`.ckpt` and its kin are not even begun."""
    answer = begin(asked(), 1000, filename="model.ckpt")
    assert answer.status_code == 422
    assert "pickles" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "x"}, 400),
        ({"Upload-Length": "9" * 19}, 400),
        ({"Upload-Length": "0"}, 422),
        ({"Upload-Length": "9" * 17}, 507),
        ({"Upload-Metadata": "filename not*base64"}, 400),
        ({"Upload-Metadata": ""}, 400),
        ({"Upload-Metadata": "filename " + "A" * 9000}, 400),
        ({"Upload-Metadata": f"filename {b64('a')},kind {b64('Nonsense')}"}, 400),
        ({"Upload-Metadata": f"filename {b64('a')},sha256 {b64('12')}"}, 400),
    ],
)
def test_bad_beginnings(asked: Asked, headers: dict[str, str], status: int) -> None:
    """Each fault has its status and words; none makes an upload."""
    sent = {**TUS, "Upload-Length": "1000", "Upload-Metadata": f"filename {b64('a')}", **headers}
    answer = asked().post("/files/uploads", headers=sent)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]


def test_bad_pieces(asked: Asked, data: bytes) -> None:
    """A piece must say where it begins, be of the right type, and not be more than is to come."""
    ada = asked()
    url = begin(ada, len(data)).headers["location"]
    assert patch(ada, url, 5, data).status_code == 409
    assert patch(ada, url, 0, data, **{"Content-Type": "text/plain"}).status_code == 415
    assert patch(ada, url, 0, data, **{"Upload-Offset": "x"}).status_code == 400
    assert patch(ada, url, 0, data, **{"Upload-Checksum": "md5 abcd"}).status_code == 400
    assert patch(ada, url, 0, data, **{"Tus-Resumable": "2"}).status_code == 412
    assert ada.put(url).status_code == 405
    for gone in ("/files/uploads/" + "0" * 32, "/files/uploads/x", "/files/uploads/..%2f..%2fx"):
        assert ada.head(gone, headers=TUS).status_code in (404, 405)
    assert patch(ada, url, 0, data + b"more").status_code == 422


def test_checksums_of_pieces(asked: Asked, home: Path, data: bytes) -> None:
    """A piece that is not what its checksum says is not taken, and may be sent again."""
    ada = asked()
    url = begin(ada, len(data)).headers["location"]
    half = len(data) // 2
    for at, piece in ((0, data[:half]), (half, data[half:])):
        right = "sha256 " + base64.b64encode(hashlib.sha256(piece).digest()).decode()
        wrong = patch(ada, url, at, b"\x11" * len(piece), **{"Upload-Checksum": right})
        assert wrong.status_code == 460
        assert ada.head(url, headers=TUS).headers["upload-offset"] == str(at)
        assert patch(ada, url, at, piece, **{"Upload-Checksum": right}).status_code == 204
    assert (home / "models" / "Lora" / "style.safetensors").read_bytes() == data
