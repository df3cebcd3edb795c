"""Text that others wrote (shops, models, servers), made fit for a terminal.

A title may hold escape sequences, which would clear the screen or rewrite what stands above, and
square brackets, which rich reads as markup. All such text that the command prints goes through `plain`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories: control characters, lone surrogates, line and paragraph separators."""
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that show the text after them in another direction."""

EIGHTHS = " ▏▎▍▌▋▊▉█"
"""Of a cell, for bars that grow from the left."""


def plain(text: str, style: str = "") -> Text:
    """The text on one line, word for word; what a terminal would obey is replaced by a mark."""
    one_line = " ".join(part for part in text.replace("\t", " ").splitlines() if part)
    return Text("".join(map(_shown, one_line)), style)


def _shown(character: str) -> str:
    obeyed = character in TURNING or unicodedata.category(character) in UNPRINTABLE
    return "\N{REPLACEMENT CHARACTER}" if obeyed else character


def teller(console: Console) -> Callable[[str], None]:
    """A function that prints one indented line of progress."""
    return lambda line: console.print(plain(f"  {line}"))
