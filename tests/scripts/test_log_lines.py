"""Logs as people read them."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scripts.logs.lines import by_time, is_news, readable
from scripts.logs.tail import LogTail

AT = "2026-11-22T06:27:04.677802Z"


def line(**fields: object) -> str:
    return json.dumps({"timestamp": AT, "level": "info", **fields})


def test_a_line_is_a_time_a_source_and_a_sentence() -> None:
    """Fields follow as name=value; what everyone knows is left out."""
    text = readable(line(event="loading the checkpoint", name="easel-starter", logger="x"), "studio-1")
    time, rest = text.split("  ", 1)
    assert time.endswith(":27:04")
    assert rest == "studio-1  loading the checkpoint  name=easel-starter"


def test_an_event_of_a_replica_is_told_as_the_replicas() -> None:
    """The gateway tells it, but it happened to studio-1."""
    assert "  studio-1  ready" in readable(line(event="ready", endpoint="studio", replica="1"), "gateway")


def test_trouble_is_named_and_its_traceback_is_shown() -> None:
    """A log that hides tracebacks is no log."""
    text = readable(line(event="failed", level="error", exception="Traceback\n  File x"), "studio-1")
    assert "error: failed" in text
    assert text.splitlines()[1:] == ["          Traceback", "            File x"]


def test_a_line_that_is_no_json_stays_as_it_is() -> None:
    """Libraries print what they like."""
    assert readable("Killed", "studio-1").strip() == "studio-1  Killed"


def test_of_caddy_only_errors_are_news() -> None:
    """It has a line for each request."""
    assert not is_news(line(level="info", msg="handled request"), "caddy")
    assert is_news(line(level="error", msg="dial failed"), "caddy")
    assert is_news(line(level="info", event="ready"), "gateway")


def test_that_an_inner_server_listens_is_no_news() -> None:
    """Its address is not the one to open, and "Press CTRL+C to quit" would end more than it says."""
    assert not is_news(
        line(event="Uvicorn running on http://127.0.0.1:42157", logger="uvicorn.error"), "studio-1"
    )
    assert is_news(line(event="failed", logger="uvicorn.error", level="error"), "studio-1")


@given(st.text(), st.sampled_from(["caddy", "gateway", "studio-1"]))
def test_no_line_steers_the_terminal(text: str, source: str) -> None:
    """A log may quote what a stranger sent, whatever it is."""
    shown = readable(text, source)
    assert all(row.isprintable() or "\t" in row for row in shown.split("\n"))
    is_news(text, source)


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    )
)
def test_any_record_can_be_shown(value: object) -> None:
    """Whatever a library puts into its fields."""
    for key in ("timestamp", "level", "event", "exception", "endpoint", "other"):
        assert readable(json.dumps({key: value}), "gateway")


def test_a_tail_shows_what_is_added(tmp_path: Path) -> None:
    """Whole lines only, of files that come later too, and from the start after a file was cut."""
    log = tmp_path / "studio-1.log"
    log.write_text("old\n")
    tail = LogTail(tmp_path)
    assert tail.lines() == []
    with log.open("a") as more:
        more.write("new\nha")
    assert tail.lines() == [("studio-1", "new")]
    with log.open("a") as more:
        more.write("lf\n")
    (tmp_path / "gateway.log").write_bytes(b"\xff later\n\n")
    assert sorted(tail.lines()) == [("gateway", "\N{REPLACEMENT CHARACTER} later"), ("studio-1", "half")]
    log.write_text("cut\n")
    assert tail.lines() == [("studio-1", "cut")]
    with log.open("a") as more:
        more.write("last words\n")
    log.rename(tmp_path / "studio-1.log.1")
    log.write_text("a new file that is longer than the one before\n")
    assert [text for _, text in tail.lines()] == [
        "last words",
        "a new file that is longer than the one before",
    ]


def test_a_tail_of_an_endpoint_leaves_the_others_out(tmp_path: Path) -> None:
    """`studio` is studio-1 and studio-2, not studiox."""
    for name in ("studio-1", "studio-2", "studiox-1", "gateway"):
        (tmp_path / f"{name}.log").write_text("x\n")
    assert {source for source, _ in LogTail(tmp_path, "studio", from_start=True).lines()} == {
        "studio-1",
        "studio-2",
    }


def test_lines_of_several_files_are_in_one_order() -> None:
    """A line without a time goes with the one before it in its file."""
    lines = [
        ("a", line(event="2", timestamp="2026-01-01T00:00:02Z")),
        ("a", "more of 2"),
        ("b", line(event="1", timestamp="2026-01-01T00:00:01Z")),
    ]
    assert [text for _, text in by_time(lines)] == [lines[2][1], lines[0][1], "more of 2"]
