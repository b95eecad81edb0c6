"""What a picture was drawn over is kept for as long as a picture that was drawn over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from easel.studio.gallery import Gallery, NoSuchRequest, keep_request, request_of
from easel.studio.gallery.kept_requests import MOST_BYTES
from easel.studio.outputs import Outputs
from tests.studio.gallery.test_index import picture

SOURCE, MASK = "data:image/png;base64,AAAA", "B" * 10_000
BODY = {"prompt": "a fox", "init_images": [SOURCE], "mask": MASK, "script_args": [1, {"image": SOURCE}, None]}


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    found = Outputs(tmp_path)
    Gallery(found)
    return found


def files(day: Path) -> list[str]:
    return sorted(one.name for one in (day / ".gallery" / "sent").iterdir())


def test_it_comes_back_whole(outputs: Outputs) -> None:
    """Wherever in the body pictures were; each is kept once, however many were drawn from it."""
    drawn = [outputs.save("ada", picture("a fox"), seed) for seed in (1, 2)]
    keep_request(drawn, BODY)
    assert [request_of(one) for one in drawn] == [BODY, BODY]
    assert len(files(drawn[0].parent)) == 2


def test_it_goes_with_the_last_of_its_pictures(outputs: Outputs) -> None:
    """And what another one was drawn from stays."""
    one, two, three = (outputs.save("ada", picture("a fox"), seed) for seed in (1, 2, 3))
    keep_request([one, two], BODY)
    keep_request([three], {"mask": MASK})
    outputs.remove([one])
    assert request_of(two) == BODY
    outputs.remove([two])
    assert len(files(three.parent)) == 1
    assert request_of(three) == {"mask": MASK}


def test_what_is_not_there_is_said(outputs: Outputs) -> None:
    """Of a picture that was drawn from words, whose source somebody took away, or that was too large."""
    one, two = (outputs.save("ada", picture("a fox"), seed) for seed in (1, 2))
    keep_request([two], {"init_images": ["C" * (MOST_BYTES + 1)]})
    keep_request([one], BODY)
    (one.parent / ".gallery" / "sent" / files(one.parent)[0]).unlink()
    for missing in (one, two):
        with pytest.raises(NoSuchRequest, match="not kept"):
            request_of(missing)


def test_what_is_written_for_each_picture_is_small(tmp_path: Path) -> None:
    """Of a request that is large by many small texts nothing is kept: 60 MB of them were written for each of
    1,600 pictures."""
    pictures = [tmp_path / "2027-01-01" / f"{number:05}-1.png" for number in range(1, 4)]
    pictures[0].parent.mkdir()
    keep_request(pictures, {"prompt": "x", "unknown": ["y" * 3999] * 1000})
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) == 0
