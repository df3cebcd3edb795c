"""Sizes and measures in a text: they describe the pack or the fit, and are no theme for a title.

    without_sizes("Cola, 6 x 330 ml")        # "Cola,  "
    without_sizes("Diapers size 4")          # "Diapers  "
    SIZES                                    # words that say no more than a size, as in "X-Large"

A measure needs its number ("12 oz", "six pack"), since "pound cake" and "back pack" are goods.
"""

from __future__ import annotations

import regex

from merchgraph.tools.copy_rules.word_lists import NUMBERS

SIZES = (
    "size", "sized", "small", "medium", "large", "extra", "mini", "jumbo", "giant", "xs", "xl",
    "xxl", "xxxl", "xlarge", "xsmall", "ounce", "pound", "gallon", "quart", "pint", "liter",
    "litre", "gram", "kilogram", "kilo", "inch", "count", "pack", "dozen",
)  # fmt: skip
"""Words of sizes and measures; alone or together they say nothing else of an item."""
_COUNT = rf"(?:\d+(?:[.,/]\d+)?|half|quarter|one|{'|'.join(NUMBERS)})"
_UNIT = (
    r"(?:fl\.?\s?oz|oz|ounces?|lbs?|pounds?|gal|gallons?|qt|quarts?|pt|pints?|ml|cl|l|lit(?:er|re)s?"
    r"|mg|g|grams?|kg|kilo(?:gram)?s?|mm|cm|inch(?:es)?|ft|feet|yd|yards?|ct|counts?|pk|packs?"
    r"|pcs?|pieces?|dozen|bags?|bottles?|boxes|cans?|sheets?|tablets?|capsules?|servings?)"
)
_FIT = r"(?:extra[\s-])?(?:small|medium|large)|x+[\s-]?(?:large|small)|x*[sl]|m|\d+[\p{L}\d-]*"
_KIND = (
    "family|party|value|economy|bulk|bonus|club|travel|trial|fun|snack|king|queen|twin|full|regular"
    "|standard|giant|jumbo|mini|small|medium|large|one"
)
_MEASURE = regex.compile(
    rf"\b(?:\d+\s?[x\u00d7]\s?)?{_COUNT}[\s-]?{_UNIT}\b"
    rf"|\bsizes?\s(?:{_FIT})\b"
    rf"|\b(?:{_KIND})[\s-](?:sized?|packs?)\b",
    regex.I,
)


def without_sizes(text: str) -> str:
    """The text with a blank in the place of each size and measure."""
    return _MEASURE.sub(" ", text)
