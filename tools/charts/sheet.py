"""The paper that pictures are drawn on: 1024 x 768 pixels, one font, text that is measured.

The same history gives the same picture to the byte, with the same release of Matplotlib; its own state
(pyplot, styles) is not used, so that threads may draw at once.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from merchgraph.runtime.errors import SetupError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

WIDTH, HEIGHT = 1024, 768
DPI = 100
LINE = 1.25
"""Height of a line, in heights of the font."""
INK = "#1a1a1a"
BOX = "#f3f6fa"
# Okabe and Ito's colours, which people with any colour vision tell apart; yellow is too pale on white
SHADES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
PLACEHOLDERS = ("Last Resort", "cm", "STIXSize", "STIXNon")
"""Fonts of Matplotlib that have a box for every sign, or another sign in its place."""
LEVELS = 24
"""Of each colour on its way to white, in the PNG's palette: it has a third of the bytes of one without,
and they travel with each request."""
_BREAK = re.compile(r"(?<=/)(?=[^\W\d])|(?<=[^\W\d]-)(?=[^\W\d])")


@dataclass(frozen=True)
class Pen:
    """Measures text in a family of fonts, the later ones for signs that the earlier ones lack."""

    family: tuple[str, ...]

    def width(self, text: str, size: float) -> float:
        """Pixels of one line of text.

        Args:
            text: without line breaks.
            size: in points.
        """
        return _width(text, self.family, size)

    def wrap(self, text: str, width: float, size: float) -> list[str]:
        """Lines no wider than so many pixels.

        They break at spaces (not at hard ones) and after slashes and hyphens; a word that is wider
        than a line is broken inside.
        """
        lines: list[str] = []
        used, space = 0.0, self.width("n n", size) - 2 * self.width("n", size)
        for word in text.split(" "):
            glue = " "
            for piece in _BREAK.split(word):
                wide = self.width(piece, size)
                more = wide + (space if glue else 0.0)
                if lines and used + more <= width:
                    lines[-1] += glue + piece
                    used += more
                else:
                    lines += self._broken(piece, width, size)
                    used = min(wide, self.width(lines[-1], size))
                glue = ""
        return lines

    def widest_word(self, text: str, size: float) -> float:
        """Pixels of the widest piece that `wrap` does not break unless it must."""
        pieces = (piece for word in text.split(" ") for piece in _BREAK.split(word))
        return max((self.width(piece, size) for piece in pieces), default=0.0)

    def _broken(self, word: str, width: float, size: float) -> list[str]:
        lines = []
        while len(word) > 1 and self.width(word, size) > width:
            fits = len(word) - 1
            while fits > 1 and self.width(word[:fits], size) > width:
                fits -= 1
            lines.append(word[:fits])
            word = word[fits:]
        return [*lines, word]


@dataclass
class Sheet:
    """A page whose coordinates are pixels, from the upper left corner.

    Attributes:
        pen: for everything that is written on it.
    """

    pen: Pen
    figure: Figure = field(init=False)
    axes: Axes = field(init=False)

    def __post_init__(self) -> None:
        self.figure = blank()
        self.axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.axes.set_axis_off()
        self.axes.set_xlim(0, WIDTH)
        self.axes.set_ylim(HEIGHT, 0)

    def write(self, x: float, y: float, text: str, size: float, *, align: str = "left") -> Text:
        """Put text down, its lines' upper edge at y.

        Args:
            x: of the left edge, or of the middle where `align` is "center".
            y: of the upper edge.
            text: one or more lines.
            size: in points.
            align: "left" or "center".
        """
        return self.axes.text(
            x, y, text, size=size, ha=align, va="top", color=INK, linespacing=LINE,
            family=list(self.pen.family), parse_math=False,
        )  # fmt: skip


def blank() -> Figure:
    """An empty white figure of the right size."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    from PIL import Image

    canvas: Any = figure.canvas
    canvas.draw()
    pixels = np.frombuffer(canvas.buffer_rgba(), np.uint8).reshape(HEIGHT * WIDTH, 4)[:, :3]
    packed = pixels @ np.array([1 << 16, 1 << 8, 1])
    colours, each = np.unique(packed, return_inverse=True)
    palette = np.frombuffer(_palette(), np.uint8).reshape(-1, 3).astype(np.int64)
    parts = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1)
    nearest = ((parts[:, None] - palette[None]) ** 2).sum(axis=2).argmin(axis=1)
    image = Image.frombytes("P", (WIDTH, HEIGHT), nearest.astype(np.uint8)[each].tobytes())
    image.putpalette(_palette())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


@cache
def _palette() -> bytes:
    """Every colour of the sheet in steps to white, red, green and blue in turn."""
    found = bytearray(bytes.fromhex(BOX[1:]))
    for shade in SHADES:
        for level in range(LEVELS):
            parts = bytes.fromhex(shade[1:])
            found += bytes(round(part + (255 - part) * level / (LEVELS - 1)) for part in parts)
    return bytes(found)


def line_px(size: float) -> float:
    """Pixels from one line of text to the next.

    Args:
        size: of the font, in points.
    """
    return size * DPI / 72 * LINE


def pen(*texts: str) -> Pen:
    """A pen that can write the texts.

    Raises:
        SetupError: Matplotlib is not installed, or no installed font has one of the signs.
    """
    try:
        from matplotlib import font_manager as fonts
    except ImportError:
        raise SetupError(
            "Pictures of histories need Matplotlib, which is not installed; run: "
            "pip install 'merchgraph[local]'. The renderings text, ranks and table need nothing."
        ) from None
    family = ["DejaVu Sans"]  # comes with Matplotlib, so that pictures are the same everywhere
    missing = {sign for text in texts for sign in text if not sign.isspace()}
    missing -= _signs(fonts.findfont(family[0]))
    for entry in sorted(fonts.fontManager.ttflist, key=lambda entry: (entry.name, entry.fname)):
        if not missing:
            break
        if entry.name.startswith(PLACEHOLDERS):
            continue
        if entry.name not in family and (held := missing & _signs(entry.fname)):
            family.append(entry.name)
            missing -= held
    if missing:
        sign = min(missing)
        raise SetupError(
            f"No installed font can draw {sign!r} (U+{ord(sign):04X}), which is in an item's name; "
            "install one that can (such as fonts-noto-cjk), or render the history as text."
        )
    return Pen(tuple(family))


@lru_cache(maxsize=256)
def _signs(path: str) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):  # a font that FreeType cannot read is no font
        return frozenset()


@lru_cache(maxsize=65_536)
def _width(text: str, family: tuple[str, ...], size: float) -> float:
    from matplotlib.backends import backend_agg
    from matplotlib.font_manager import FontProperties

    agg: Any = backend_agg
    font = FontProperties(family=list(family), size=size)
    return float(agg.RendererAgg(1, 1, DPI).get_text_width_height_descent(text, font, False)[0])
