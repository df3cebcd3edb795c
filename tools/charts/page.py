"""A text as a picture: the control that shows what being a picture does, without any layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.charts.sheet import HEIGHT, WIDTH, Sheet, line_px, pen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 28
SIZES = (18, 16, 15, 14, 13, 12, 11, 10, 9, 8)


def page(text: str) -> Figure:
    """One paragraph on a page, as large as fits.

    Raises:
        SetupError: as `pen`, or a text that fits at no legible size.
    """
    writer = pen(text)
    for size in SIZES:
        lines = writer.wrap(text, WIDTH - 2 * MARGIN, size)
        if len(lines) * line_px(size) <= HEIGHT - 2 * MARGIN:
            break
    else:
        raise SetupError(
            f"A text of {len(text):,} characters fits on no page at 8 points; give fewer events."
        )
    sheet = Sheet(writer)
    for n, line in enumerate(lines):
        sheet.write(MARGIN, MARGIN + n * line_px(size), line, size)
    return sheet.figure
