"""A history in one of seven renderings, for a model that reads or sees.

    render(event_table(history), "scatter", ("dates",)).picture     # PNG, base64

What each shows, besides which items were bought in which order:

    text        a paragraph               days      (the paper's)
    scatter     order x item              -         (the paper's); "dates" on x; "colour": departments
    flowchart   a chain of nodes          days      (the paper's); "gaps" on arrows; "merged" nodes
    ranks       text, a line an event     -         control: is it the days that are left out?
    table       text, item x time         -         control: is it the layout?
    page        the paragraph, pictured   days      control: is it the picture?
    both        text and scatter          days
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import BaseModel, ConfigDict

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.charts import flowchart, page, scatter, sheet, texts
from merchgraph.tools.charts.events import EventTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["text", "scatter", "flowchart", "ranks", "table", "page", "both"]
Variant = Literal["dates", "colour", "gaps", "merged"]
KINDS: tuple[Kind, ...] = get_args(Kind)
VARIANTS: Mapping[Kind, tuple[Variant, ...]] = {
    "scatter": ("dates", "colour"),
    "flowchart": ("gaps", "merged"),
    "both": ("dates", "colour"),
}
"""Which variants a rendering has; the others have none."""

_TEXTS: Mapping[Kind, Callable[[EventTable], str]] = {
    "text": texts.paragraph, "ranks": texts.ranks, "table": texts.grid, "both": texts.paragraph,
}  # fmt: skip
_PICTURES: Mapping[Kind, Callable[[EventTable, Sequence[Variant]], Figure]] = {
    "scatter": scatter.scatter,
    "both": scatter.scatter,
    "flowchart": flowchart.flowchart,
    "page": lambda table, variants: page.page(texts.paragraph(table)),
}


class Rendering(BaseModel):
    """A history as a model gets it: text, a picture, or both.

    Attributes:
        text: "" where there is only a picture.
        picture: a PNG of 1024 x 768 pixels as base64; "" where there is only text.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    variants: tuple[Variant, ...] = ()
    text: str = ""
    picture: str = ""

    @property
    def png(self) -> bytes:
        """The picture's file; empty where there is none."""
        return base64.b64decode(self.picture)


def render(table: EventTable, kind: Kind, variants: Sequence[Variant] = ()) -> Rendering:
    """Render a history. Blocks for some tenths of a second where it draws.

    Raises:
        SetupError: as `allowed`, or it cannot be drawn (a sign without a font, too much text).
    """
    allowed(kind, variants)
    text = _TEXTS[kind](table) if kind in _TEXTS else ""
    drawn = figure(table, kind, variants)
    picture = base64.b64encode(sheet.png(drawn)).decode() if drawn is not None else ""
    return Rendering(kind=kind, variants=tuple(variants), text=text, picture=picture)


def figure(table: EventTable, kind: Kind, variants: Sequence[Variant] = ()) -> Figure | None:
    """The drawing behind the picture; None for a rendering without one."""
    return _PICTURES[kind](table, variants) if kind in _PICTURES else None


def allowed(kind: Kind, variants: Sequence[Variant]) -> None:
    """Check that a rendering has these variants.

    Raises:
        SetupError: one that it does not have, or one of a rendering that does not exist.
    """
    if kind not in KINDS:
        raise SetupError(f"There is no rendering {kind!r}; there are {', '.join(KINDS)}.")
    there = VARIANTS.get(kind, ())
    for variant in variants:
        if variant not in there:
            has = f"it has {' and '.join(there)}" if there else "it has none"
            raise SetupError(f"The rendering {kind!r} has no variant {variant!r}; {has}.")


def sees(kind: Kind) -> bool:
    """Whether a rendering is, or has, a picture."""
    return kind in _PICTURES
