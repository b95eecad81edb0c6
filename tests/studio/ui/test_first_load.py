"""What a visit costs, and the one file that makes it cheap."""

from __future__ import annotations

import pytest

from easel.studio.ui.first_load import UnknownForm, in_one_file
from tests.studio.ui.conftest import generate_button

FETCHED = """performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
  .reduce((sum, one) => sum + one.transferSize, 0)"""


def test_a_visit_is_cheap(visit) -> None:
    """At most 40 requests and 350 kB until one can draw, everything counted; the second visit 60 kB."""
    page = visit("counted")
    page.wait_for_timeout(1000)
    assert len(page.asked) <= 40, page.asked
    assert page.evaluate(FETCHED) <= 350_000
    page.reload()
    generate_button(page).wait_for()
    page.wait_for_timeout(1000)
    assert page.evaluate(FETCHED) <= 60_000
    assert page.faults == []


def test_modules_go_into_one_file() -> None:
    """In the order of their needs, each once; what is loaded later finds the same objects where it looks."""
    modules = {
        "app.js": 'import { a as b } from "./deep/one.js";\nimport "./two.js";\nconsole.log(b);\n',
        "deep/one.js": (
            'import two from "../two.js";\nimport { x } from "../vendor/x.js";\nexport const a = two + x;\n'
        ),
        "two.js": 'const later = () => import("./deep/later.js");\nexport default 2;\n',
        "deep/later.js": 'import { a } from "./one.js";\nexport const here = import.meta.url + a;\n',
        "vendor/x.js": "export{y as x};",
    }
    found = in_one_file("app.js", modules)
    whole = found["app.js"]
    assert whole.index("// two.js") < whole.index("// deep/one.js") < whole.index("// app.js")
    assert whole.count("// two.js") == 1
    assert 'import * as $vendor_x from "./vendor/x.js";' in whole
    assert "const { a: b } = $deep_one;" in whole
    assert "const { default: two } = $two;" in whole
    assert found["deep/one.js"] == 'import { $deep_one } from "../app.js";\nexport const { a } = $deep_one;\n'
    assert found["two.js"] == 'import { $two } from "./app.js";\nexport default $two.default;\n'
    assert found["deep/later.js"] == modules["deep/later.js"]
    assert found["vendor/x.js"] == modules["vendor/x.js"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('import "./app.js";\n', "circle"),
        ("export { a };\n", "export { a };"),
        ('import {a} from "lit";\n', "lit"),
    ],
)
def test_what_is_not_known_is_refused(text: str, words: str) -> None:
    """A module that imports itself in a circle, or is written otherwise than the page's are."""
    with pytest.raises(UnknownForm, match=words):
        in_one_file("app.js", {"app.js": 'import "./one.js";\n', "one.js": text})
