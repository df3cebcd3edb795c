"""The smallest change in code: a text that is too long, cut where a person would cut it."""

from __future__ import annotations

from merchgraph.tools.constraints import Limits
from merchgraph.tools.copy_rules.word_lists import FUNCTION
from merchgraph.tools.text import finished, length, trim, words


def shortened(text: str, limits: Limits) -> str | None:
    """The longest beginning that is short enough and does not end on a small word such as "with".

    None where the text is not too long, or what is left is too short.
    """
    if length(text) <= limits.most:
        return None
    short = trim(text, limits.most)
    while (said := words(short)) and said[-1] in FUNCTION:
        short = finished(short.rpartition(" ")[0])
    return short if limits.least <= length(short) <= limits.most else None
