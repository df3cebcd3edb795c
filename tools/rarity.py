"""How rare words are in a shop: what most of its items have says nothing of a few of them.

rare = rarities(shop().items, ["1082185", "995242"])
rare["cheddar"], rare["brand"]                        # (0.55, 0.0)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import polars as pl

from merchgraph.tools.data.tables import Items
from merchgraph.tools.text import stems

COMMON = 0.1
"""Share of a shop above which a word tells its items from no others: in The Complete Journey "brand"
(1.00), "national" (.85), "drugstore" (.34) and "store" (.15), but not "meat" (.08)."""
FEW = 10
"""Items that make no word common, however small a shop is."""


class Seen(NamedTuple):
    """How many of a catalogue's sellable items have a word, by its stem."""

    items: int
    having: Mapping[str, int]


def rarities(items: Items, module: Sequence[str]) -> dict[str, float]:
    """The rarity of each word of some items, by its stem; of all that the shop says of them.

    That is title, category, brand and text: a shop's own text need not repeat the others, and a word
    that is in them must not seem to be in no item. Of N sellable items beside these, n with the word:
    log((N + 1) / (n + 1)) / log(N + 1), the inverse document frequency (Sparck Jones 1972,
    doi:10.1108/eb026526) on a scale from 0, all have it, to 1, none has; and 0 also for a word that is
    common. A word that no other item has is the rarest: it stands in these items all the same, and a
    word that does not stand there has no rarity at all.

    Raises:
        SetupError: an item that the catalogue does not have.
    """
    rows = items.get(module)
    seen = _seen(items)
    said = {
        row.item: "\n".join((row.title, row.category, row.brand or "", row.text)) for row in rows
    }
    own = _counted([(said[row.item], 1) for row in rows if row.item in _sellable(items)])
    others = seen.items - own.items
    return {
        word: _rarity(seen.having.get(word, 0) - own.having.get(word, 0), others)
        for row in rows
        for word in sorted(set(stems(said[row.item])))
    }


def _rarity(having: int, others: int) -> float:
    if having > max(FEW, COMMON * others):
        return 0.0
    return round(math.log((others + 1) / (having + 1)) / math.log(others + 1), 6) if others else 1.0


@lru_cache(maxsize=4)
def _seen(items: Items) -> Seen:
    """Of the whole catalogue; a text that many items have is read once."""
    said = pl.concat_str("title", "category", pl.col("brand").fill_null(""), "text", separator="\n")
    texts = _offered(items).group_by(said.alias("said"), maintain_order=True).len()
    return _counted(list(texts.iter_rows()))


@lru_cache(maxsize=4)
def _sellable(items: Items) -> frozenset[str]:
    return frozenset(_offered(items)["item"].to_list())


def _offered(items: Items) -> pl.DataFrame:
    frame = items.frame
    return frame.filter(pl.col("sellable")) if "sellable" in frame.columns else frame


def _counted(texts: Sequence[tuple[str, int]]) -> Seen:
    having: dict[str, int] = {}
    for text, count in texts:
        for word in set(stems(text)):
            having[word] = having.get(word, 0) + count
    return Seen(sum(count for _, count in texts), having)
