"""What ADetailer's areas are drawn by beside a unit's own arguments: settings of the request, as exact."""

from __future__ import annotations

from typing import Any

import pytest

from easel.studio.api.requests.ordering import Ordering
from tests.studio.api import test_detailer
from tests.studio.api.answers import info, pictures
from tests.studio.api.test_detailer import FACE, detailed

detector, seen = test_detailer.detector, test_detailer.seen


@pytest.mark.parametrize(
    "fields",
    [
        {"sampler_name": "Euler", "s_churn": 30, "s_noise": 1.2},
        {"sampler_name": "DDIM", "override_settings": {"eta_ancestral": 0.2}, "unit": {"ad_use_sampler": True,
         "ad_sampler": "Euler a"}},
    ],
)  # fmt: skip
def test_an_infotext_says_what_units_are_drawn_by(running, seen, fields) -> None:
    """What the request says of the sampler counts for its areas too, as the infotext will have it; and what
    the sampler of a unit alone reads is said."""
    unit, asked = fields.get("unit", {}), {key: one for key, one in fields.items() if key != "unit"}
    answer = detailed(running, {**FACE, **unit}, exact=True, **asked)
    (text,) = info(answer)["infotexts"]
    again = running.draw(infotext=text, exact=True)
    assert info(again)["infotexts"] == [text]
    assert pictures(again)[0].tobytes() == pictures(answer)[0].tobytes()


def test_areas_of_an_exact_picture_are_exact(running, seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn over it goes alone as it does."""
    asked: list[bool] = []
    submit = Ordering.submit

    def noted(self: Ordering, prepared: Any, **more: Any) -> Any:
        asked.append(prepared.request.exact)
        return submit(self, prepared, **more)

    monkeypatch.setattr(Ordering, "submit", noted)
    assert detailed(running, FACE, exact=True).status_code == 200
    assert len(asked) > 1
    assert all(asked)
