"""Panels and arrows as SVG, readable on light and on dark pages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
  svg { --page: #ffffff; --panel: #f6f8fa; --edge: #8c959f; --text: #1f2328; --soft: #59636e; --keep: #9a6700;
        --go: #0969da; }
  @media (prefers-color-scheme: dark) {
    svg { --page: #0d1117; --panel: #161b22; --edge: #6e7681; --text: #e6edf3; --soft: #9198a1;
          --keep: #d29922; --go: #58a6ff; }
  }
  text { font-family: ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; font-size: 13px;
         fill: var(--text); }
  .title { font-weight: 600; font-size: 14px; }
  .soft { fill: var(--soft); font-size: 12px; }
  .keep { fill: var(--keep); }
  .page { fill: var(--page); }
  .panel { fill: var(--panel); stroke: var(--edge); }
  .frame { fill: none; stroke: var(--edge); stroke-dasharray: 5 4; }
  .arrow { fill: none; stroke: var(--go); stroke-width: 1.6; }
  .dashed { stroke-dasharray: 5 4; }
  .head { fill: var(--go); }
  .label { fill: var(--go); font-size: 12px; }
  .under { fill: var(--page); }
"""
LINE, PAD, TITLE = 18, 12, 22
_LETTER = 6.6
"""How wide a letter of the label's size is, about."""


@dataclass(frozen=True)
class Row:
    """A line of a panel."""

    text: str
    style: str = ""
    """`soft` or `keep`; none for plain text."""


@dataclass
class Panel:
    """A box with a title and lines; `x`, `y` and `width` say where it is."""

    title: str
    rows: Sequence[Row]
    x: float = 0
    y: float = 0
    width: float = 240

    @property
    def height(self) -> float:
        """As high as its lines need."""
        return 2 * PAD + TITLE + LINE * len(self.rows) - 4

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    def drawn(self) -> str:
        """The box as SVG."""
        lines = [
            f'<rect class="panel" x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" '
            f'height="{self.height:g}" rx="8"/>',
            _text(self.x + PAD, self.y + PAD + 12, self.title, "title"),
        ]
        for number, row in enumerate(self.rows):
            y = self.y + PAD + TITLE + 12 + LINE * number
            lines.append(_text(self.x + PAD, y, row.text, row.style))
        return "\n".join(lines)


@dataclass(frozen=True)
class Arrow:
    """A way through some points, with a label beside its middle stretch."""

    points: Sequence[tuple[float, float]]
    label: str
    at: tuple[float, float]
    """Where the label's middle is."""
    dashed: bool = False

    def drawn(self) -> str:
        """The way, its head and its label as SVG."""
        way = "M" + " L".join(f"{x:g} {y:g}" for x, y in self.points)
        style = "arrow dashed" if self.dashed else "arrow"
        wide = len(self.label) * _LETTER + 8
        x, y = self.at
        under = (
            f'<rect class="under" x="{x - wide / 2:g}" y="{y - 9:g}" width="{wide:g}" height="18" rx="4"/>'
        )
        label = (
            f'<text class="label" x="{x:g}" y="{y + 4:g}" text-anchor="middle">{escape(self.label)}</text>'
        )
        return f'<path class="{style}" d="{way}" marker-end="url(#head)"/>\n{under}\n{label}'


@dataclass(frozen=True)
class Frame:
    """A dashed line around things, with its title and some lines at the upper edge."""

    title: str
    lines: Sequence[str]
    x: float
    y: float
    width: float
    height: float

    def drawn(self) -> str:
        """The line and the words as SVG."""
        box = (
            f'<rect class="frame" x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" '
            f'height="{self.height:g}" rx="12"/>'
        )
        words = [_text(self.x + PAD, self.y + 22, self.title, "title")]
        for number, line in enumerate(self.lines):
            words.append(_text(self.x + PAD, self.y + 42 + LINE * number, line, "soft"))
        return "\n".join((box, *words))


def document(
    width: float, height: float, title: str, parts: Iterable[Panel | Arrow | Frame], foot: str = ""
) -> str:
    """A whole SVG file, with a line at its foot."""
    body = "\n".join(part.drawn() for part in parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{escape(title)}">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>\n'
        f'<rect class="page" width="{width:g}" height="{height:g}" rx="12"/>\n{body}\n'
        f"{_text(30, height - 20, foot, 'soft')}\n</svg>\n"
    )


def _text(x: float, y: float, text: str, style: str) -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:g}" y="{y:g}">{escape(text)}</text>'
