"""No path leads out of its root, and nobody reaches what is another's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from easel.models import Store
from easel.studio.files.access import FileAccess
from easel.studio.files.paths import BadPath, NoSuchFile, PathResolver, parts_of
from easel.studio.outputs import Outputs
from easel.studio.owner import NotYours
from tests.studio.files.conftest import model

ADA = FileAccess.of({"x-easel-user": "ada"})
OPERATOR = FileAccess.of({"x-easel-user": "@operator"})

# What people try: steps up, other slashes, letters that turn into them, hidden names, bytes that end names.
_PARTS = st.one_of(
    st.sampled_from(
        [
            "..",
            ".",
            "",
            "models",
            "outputs",
            "Lora",
            "style.safetensors",
            "secret",
            ".easel",
            "etc",
            "link",
            "folderlink",
            "%2e%2e",
            "..%2f",
            "\u2025",
            "\uff0f",
            "a\uff0f..",
            "..\\",
            "\0",
            "x\0",
            "C:",
            "~",
            ".. ",
            "..\u200f",
            "...",
            "..;",
            "\ud800",
            "‥/",
            "．．",
        ]
    ),
    st.text(max_size=8),
)
_PATHS = st.builds("/".join, st.lists(_PARTS, max_size=6))


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> PathResolver:
    """A store and pictures, secrets around them, and links that lead to those."""
    top = tmp_path_factory.mktemp("top")
    model(top / "models" / "Lora" / "style.safetensors")
    model(top / "models" / ".easel" / "secret.safetensors")
    model(top / "models" / "Stable-diffusion" / "base.safetensors")
    (top / "secret").write_text("secret")
    os.symlink(top / "secret", top / "models" / "Lora" / "link")
    os.symlink(top, top / "models" / "Lora" / "folderlink")
    os.symlink(top / "models" / ".easel", top / "models" / "Lora" / "within")
    os.symlink("loop", top / "models" / "Lora" / "loop")
    outputs = Outputs(top / "outputs" / "studio")
    outputs.save("ada", b"\x89PNG ada", 1)
    outputs.save("bob", b"\x89PNG bob", 2)
    (outputs.owned("ada") / "options.json").write_text("{}")
    os.symlink(outputs.owned("bob"), outputs.owned("ada") / "bobs")
    return PathResolver(Store(top / "models", hashing=False), outputs)


@given(path=_PATHS)
@example(path="models/Lora/../../secret")
@example(path="models/Lora/link")
@example(path="models/Lora/folderlink/secret")
@example(path="models/Lora/within/secret.safetensors")
@example(path="models/Lora/loop")
@example(path="outputs/bobs")
@example(path="outputs/../../secret")
@example(path="/etc/passwd")
@example(path="models/.easel/secret.safetensors")
@example(path="models/Lora/" + "x/" * 3000)
def test_no_path_leads_out(paths: PathResolver, path: str) -> None:
    """Whatever is asked for, what is found lies below the caller's own root and is no hidden file."""
    try:
        found = paths.find(ADA, path)
    except (BadPath, NoSuchFile, NotYours):
        return
    store, outputs = paths._store.root, paths._outputs.owned("ada")
    roots = {"models": store, "outputs": outputs, "": store}
    assert found.real.is_relative_to(roots[found.root])
    below = found.real.relative_to(roots[found.root]).parts
    assert not any(part.startswith(".") for part in below)
    assert found.root != "outputs" or "bob" not in str(found.real.relative_to(outputs))


@given(path=_PATHS)
def test_the_parts_of_a_path_are_names(path: str) -> None:
    """A path is taken as plain names or not at all."""
    try:
        parts = parts_of(path)
    except BadPath:
        return
    for part in parts:
        assert part not in ("", ".", "..")
        assert not part.startswith(".")
        assert not set(part) & set("/\\\0")


def test_what_is_there_is_found(paths: PathResolver) -> None:
    """The checks refuse no honest path."""
    assert paths.find(ADA, "models/Lora/style.safetensors").item.size > 0
    assert paths.find(ADA, "/models/Lora/").item.folder
    shown = [item.path for item in paths.entries(ADA, paths.find(ADA, "models/Lora"))]
    assert shown == ["models/Lora/style.safetensors"]
    assert [item.path for item in paths.entries(ADA, paths.find(ADA, "models"))] == [
        "models/Lora",
        "models/Stable-diffusion",
    ]


def test_pictures_are_their_owners(paths: PathResolver) -> None:
    """One person's `outputs` are that person's; the operator's are everybody's, settings nobody's."""
    (day,) = paths.entries(ADA, paths.find(ADA, "outputs"))
    (picture,) = paths.entries(ADA, paths.find(ADA, day.path))
    assert paths.find(ADA, picture.path).real.read_bytes() == b"\x89PNG ada"
    people = list(paths.entries(OPERATOR, paths.find(OPERATOR, "outputs")))
    assert len(people) == 2
    for name in ("options.json", "bobs"):
        with pytest.raises(NoSuchFile):
            paths.find(ADA, f"outputs/{name}")


@pytest.mark.parametrize(
    ("user", "operator", "member"),
    [
        ("@operator", True, True),
        ("ada", False, True),
        ("ada/browser", False, True),
        ("anonymous", False, False),
        ("anonymous/x", False, False),
        ("local", False, True),
        ("operator", False, True),
        ("", True, True),
    ],
)
def test_who_is_who(user: str, operator: bool, member: bool) -> None:
    """Only the gateway's word makes an operator, which no token can be called; strangers are no members."""
    caller = FileAccess.of({"x-easel-user": user} if user else {})
    assert (caller.operator, caller.member) == (operator, member)


def test_a_folder_of_a_kind_may_lie_elsewhere(tmp_path: Path) -> None:
    """A1111's whole folder may be linked in; below it no link leads on."""
    model(tmp_path / "a1111" / "style.safetensors")
    (tmp_path / "models").mkdir()
    os.symlink(tmp_path / "a1111", tmp_path / "models" / "Lora")
    os.symlink(tmp_path, tmp_path / "a1111" / "up")
    paths = PathResolver(Store(tmp_path / "models", hashing=False), Outputs(tmp_path / "outputs"))
    assert paths.find(ADA, "models/Lora/style.safetensors").item.size > 0
    with pytest.raises(NoSuchFile):
        paths.find(ADA, "models/Lora/up")


@pytest.mark.parametrize("target", [".", "..", "../..", "../../.."])
def test_a_link_to_its_own_folder(tmp_path: Path, target: str) -> None:
    """It hung a listing for ever; each folder is listed once, under the name that it really has."""
    root = tmp_path / "home" / "models"
    model(root / "Lora" / "style.safetensors")
    model(root / "VAE" / "sub" / "vae.safetensors")
    os.symlink(target, root / "Lora" / "l")
    os.symlink("../Lora", root / "VAE" / "a")
    paths = PathResolver(Store(root, hashing=False), Outputs(tmp_path / "outputs"))
    for top in ("", "models", "models/Lora"):
        found = [item.path for item in paths.entries(OPERATOR, paths.find(OPERATOR, top), deep=True)]
        assert len(set(found)) == len(found)
        assert [path for path in found if path.endswith("style.safetensors")] == [
            "models/Lora/style.safetensors"
        ]
        assert "models/VAE/sub/vae.safetensors" in found or top == "models/Lora"


def test_a_link_out_of_the_store(tmp_path: Path) -> None:
    """The operator's link shows models, and nothing else that lies with them."""
    elsewhere = tmp_path / "a1111"
    model(elsewhere / "sub" / "style.safetensors")
    for name in ("tokens.json", "sub/secret", "sub/style.txt", ".hidden.safetensors"):
        (elsewhere / name).write_text("secret")
    root = tmp_path / "models"
    (root / "Lora").mkdir(parents=True)
    os.symlink(elsewhere, root / "Lora" / "linked")
    os.symlink(elsewhere / "sub" / "style.safetensors", root / "Lora" / "one.safetensors")
    os.symlink(elsewhere / "tokens.json", root / "Lora" / "two.safetensors")
    paths = PathResolver(Store(root, hashing=False), Outputs(tmp_path / "outputs"))
    found = [item.path for item in paths.entries(ADA, paths.find(ADA, "models/Lora"), deep=True)]
    assert found == [
        "models/Lora/linked",
        "models/Lora/one.safetensors",
        "models/Lora/linked/sub",
        "models/Lora/linked/sub/style.safetensors",
    ]
    assert paths.find(ADA, found[-1]).linked


def test_what_is_linked_is_not_removed(tmp_path: Path, home: Path, asked) -> None:
    """A file of A1111's is its own program's: the answer says so."""
    file = model(tmp_path / "a1111" / "style.safetensors")
    (home / "models" / "Lora").mkdir(parents=True)
    os.symlink(file.parent, home / "models" / "Lora" / "linked")
    os.symlink(".", home / "models" / "Lora" / "l")
    with asked("ada") as client:
        answer = client.get("/files/list", params={"path": "models", "recursive": "1"})
        paths = [one["path"] for one in answer.json()["entries"]]
        assert "models/Lora/linked/style.safetensors" in paths
        assert client.get("/files/content", params={"path": paths[-1]}).content == file.read_bytes()
        answer = client.delete("/files/content", params={"path": paths[-1]})
    assert answer.status_code == 403
    assert "lies elsewhere" in answer.json()["detail"]
    assert file.exists()
