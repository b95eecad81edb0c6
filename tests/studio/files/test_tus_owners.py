"""Whose an upload is, how much one person may send, and what becomes of what is left."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from easel.models import Store, Uploads
from tests.studio.files.conftest import model, sha256
from tests.studio.files.sending import TUS, Asked, begin, left, patch, send


def test_uploads_are_ones_own(asked: Asked, data: bytes) -> None:
    """Another person's upload is not there; it can be neither seen, filled nor cancelled."""
    url = begin(asked("ada"), len(data)).headers["location"]
    for user in ("bob", "ada/browser"):
        bob = asked(user)
        assert bob.head(url, headers=TUS).status_code == 404
        assert bob.get(url).status_code == 404
        assert patch(bob, url, 0, data).status_code == 404
        assert bob.delete(url, headers=TUS).status_code == 404
    assert asked("ada").head(url, headers=TUS).status_code == 200


def test_strangers_send_and_remove_nothing(asked: Asked, home: Path, data: bytes) -> None:
    """People of a public endpoint neither see, send nor remove models."""
    assert send(asked("ada"), data).status_code == 204
    visitor = asked("anonymous/x")
    assert begin(visitor, 1000).status_code == 403
    path = {"path": "models/Lora/style.safetensors"}
    assert visitor.get("/files/list", params={"path": "models"}).status_code == 403
    assert visitor.get("/files/content", params=path).status_code == 403
    assert visitor.delete("/files/content", params=path).status_code == 403
    assert [one["path"] for one in visitor.get("/files/list").json()["entries"]] == ["outputs"]
    assert (home / "models" / "Lora" / "style.safetensors").exists()


def test_the_quota(asked: Asked, home: Path, data: bytes) -> None:
    """Over the quota nothing is begun, and words say what to do; what is under way counts, too."""
    quota = int(2.5 * len(data))
    ada = asked(quota=quota)
    assert send(ada, data, filename="one").status_code == 204
    begun = begin(ada, len(data), filename="two")
    assert begun.status_code == 201
    refused = begin(ada, len(data), filename="three")
    assert refused.status_code == 413
    assert "quota" in refused.json()["detail"]
    assert "storage.quota" in refused.json()["detail"]
    assert ada.delete(begun.headers["location"], headers=TUS).status_code == 204
    assert send(ada, data, filename="three").status_code == 204
    assert begin(ada, len(data), filename="four").status_code == 413
    assert ada.delete("/files/content", params={"path": "models/Lora/one.safetensors"}).status_code == 200
    assert begin(ada, len(data), filename="four").status_code == 201


def test_one_person_begins_only_so_much(asked: Asked) -> None:
    """Twenty unfinished uploads are enough for anybody; another person has twenty too."""
    ada = asked()
    assert {begin(ada, 1000, filename=f"f{number}").status_code for number in range(20)} == {201}
    assert begin(ada, 1000, filename="more").status_code == 429
    assert begin(asked("bob"), 1000, filename="more").status_code == 201


def test_the_same_name_twice(asked: Asked, home: Path, data: bytes, tmp_path: Path) -> None:
    """The first to be whole has the name; another file is refused, the same one is there already."""
    other = model(tmp_path / "other.safetensors", 1000, seed=5).read_bytes()
    ada, bob = asked("ada"), asked("bob")
    first, second = begin(ada, len(data)), begin(bob, len(other))
    assert patch(bob, second.headers["location"], 0, other[:-1]).status_code == 204
    assert patch(ada, first.headers["location"], 0, data).status_code == 204
    late = patch(bob, second.headers["location"], len(other) - 1, other[-1:])
    assert late.status_code == 409
    assert "another file of this name" in late.json()["detail"]
    target = home / "models" / "Lora" / "style.safetensors"
    assert target.read_bytes() == data
    same = begin(bob, len(data), kind="Lora", sha256=hashlib.sha256(data).hexdigest())
    assert (same.status_code, same.json()["error"]) == (409, "AlreadyThere")
    assert begin(bob, len(other), kind="Lora").json()["error"] == "NameTaken"
    assert send(bob, other, kind="Lora", replace="true").status_code == 204
    assert target.read_bytes() == other
    assert left(home) == []


def test_a_beginning_that_was_not_heard(asked: Asked, data: bytes) -> None:
    """Who begins the same file again gets the same upload, with what is there; others get another."""
    said = {"sha256": hashlib.sha256(data).hexdigest()}
    first = begin(asked(), len(data), **said)
    assert patch(asked(), first.headers["location"], 0, data[:1000]).status_code == 204
    again = begin(asked(), len(data), **said)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["upload-offset"] == "1000"
    for other in (begin(asked("bob"), len(data), **said), begin(asked(), len(data), folder="x", **said)):
        assert other.headers["location"] != first.headers["location"]


def test_what_is_left_alone_expires(home: Path, data: bytes) -> None:
    """An upload that nobody goes on with is thrown away, its bytes and what killed processes left too."""
    store = Store(home / "models", hashing=False)
    uploads = Uploads(store, kept=0.2)
    upload = uploads.begin("ada", "style", len(data))
    with uploads.taking(upload, 0) as taking:
        uploads.learn(taking, data[:5000])
    stray = home / "models" / ".easel" / "uploads" / ("f" * 32 + ".part")
    stray.write_bytes(b"x")
    until, gone = time.monotonic() + 10, 0
    while not gone or stray.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
        gone += uploads.sweep()
    assert list((home / "models" / ".easel" / "uploads").iterdir()) == []


def test_a_garbled_journal_is_no_upload(asked: Asked, home: Path) -> None:
    """What cannot be read is not there; nothing of it is trusted."""
    ada = asked()
    url = begin(ada, 1000).headers["location"]
    journal = home / "models" / ".easel" / "uploads" / f"{url.rsplit('/', 1)[1]}.json"
    for text in ("", "{", "[]", '{"id": 1}', json.dumps({**json.loads(journal.read_text()), "offset": 5000})):
        journal.write_text(text)
        assert ada.head(url, headers=TUS).status_code == 404


def test_what_is_offered(asked: Asked) -> None:
    """OPTIONS says the version and the extensions; a POST may stand for another method."""
    ada = asked()
    offered = ada.options("/files/uploads")
    assert offered.status_code == 204
    assert offered.headers["tus-version"] == "1.0.0"
    assert set(offered.headers["tus-extension"].split(",")) == {
        "creation",
        "expiration",
        "checksum",
        "termination",
    }
    url = begin(ada, 1000).headers["location"]
    assert ada.post(url, headers={**TUS, "X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert ada.head(url, headers=TUS).status_code == 404


def test_fetching(asked: Asked, home: Path, data: bytes, tmp_path: Path) -> None:
    """Bytes come whole or by ranges, with their hash; another state of a file is another ETag."""
    ada = asked()
    send(ada, data)
    path = {"path": "models/Lora/style.safetensors"}
    whole = ada.get("/files/content", params=path)
    assert whole.content == data
    assert whole.headers["x-sha256"] == hashlib.sha256(data).hexdigest()
    assert whole.headers["content-disposition"].startswith("attachment")
    etag = whole.headers["etag"]
    rest = ada.get("/files/content", params=path, headers={"Range": "bytes=1000-", "If-Range": etag})
    assert (rest.status_code, rest.content) == (206, data[1000:])
    stale = ada.get("/files/content", params=path, headers={"Range": "bytes=1000-", "If-Range": '"old"'})
    assert (stale.status_code, stale.content) == (200, data)
    beyond = ada.get("/files/content", params=path, headers={"Range": f"bytes={len(data)}-"})
    assert beyond.status_code == 416
    by_hand = model(home / "models" / "VAE" / "hand.safetensors", seed=2)
    hashed = ada.head("/files/content", params={"path": "models/VAE/hand.safetensors", "hash": "1"})
    assert hashed.headers["x-sha256"] == sha256(by_hand)


def test_removing(asked: Asked, home: Path, data: bytes) -> None:
    """A model goes with what lies beside it; folders only when empty; the types' own folders never."""
    ada = asked()
    send(ada, data, kind="Lora", folder="people")
    (home / "models" / "Lora" / "people" / "style.preview.png").write_bytes(b"png")
    assert ada.delete("/files/content", params={"path": "models/Lora/people"}).status_code == 409
    assert ada.delete("/files/content", params={"path": "models/Lora"}).status_code == 403
    assert ada.delete("/files/content", params={"path": "models"}).status_code == 403
    assert ada.delete("/files/content", params={"path": ""}).status_code == 403
    assert ada.delete("/files/content", params={"path": "models/Lora/../x"}).status_code == 400
    gone = {"path": "models/Lora/people/style.safetensors"}
    assert ada.delete("/files/content", params=gone).status_code == 200
    assert list((home / "models" / "Lora" / "people").iterdir()) == []
    assert ada.delete("/files/content", params=gone).status_code == 404
    assert ada.delete("/files/content", params={"path": "models/Lora/people"}).status_code == 200
