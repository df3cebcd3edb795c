"""Cases of the ARAG suite: one basket a household, one of its items to be found on a slate of 20.

    setting = fold(shop("complete_journey"))       # what may be known: nothing at or after the cut
    cases(setting, "new")[:200]                    # a random sample of the households

The protocol, for The Complete Journey and UCI Online Retail alike:

- A strict cut in time. Statistics end there; the test window is what follows (The Complete Journey:
  weeks 49 to 53; Online Retail: 2011-11-11 to the end; any other shop: its last 28 days). The week
  before the cut is the validation week: its statistics end where it begins.
- Kept items are sellable and have at least 20 purchases before the cut. Only they are targets, session
  items or negatives.
- A household's case is its last basket that begins in the window and has two kept items or more. The
  target is one of them, the session the rest, the long-term history all earlier baskets: those inside
  the window too, which are that shopper's own past. Guests, who have one basket each, are no cases.
- Two target sets, "any" item and items "new" to the household. Both share the households, baskets and
  negatives: the new target is the target of "any" where that is new, else a draw among the basket's
  new items. Every new item of a basket is then equally likely: 1/n + (n - m)/n * 1/m = 1/m, with m of
  the n items new.
- A slate is the target and 19 negatives from outside the basket, drawn by their purchases before the
  cut without replacement, in random order. Targets are drawn from purchases too, so popularity alone is
  at chance ("any", The Complete Journey: Hit@5 .253); drawn by how many households bought them,
  negatives are rarer than targets, and all that follows popularity gains (popularity to .333, own
  frequency .516 to .565, co-purchase .516 to .571), while rankings by text hardly move. No two items of
  a slate have the same text, since half of The Complete Journey's texts are shared, and no reader of
  texts could tell such a pair apart: a negative whose text another one has, or a target of either set,
  is left out and the next is drawn.

Draws are seeded per household by its id: no case depends on which other households have one, and all
are the same on every machine and in every process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import accumulate
from random import Random
from typing import Literal, NamedTuple

import polars as pl

from merchgraph.evals.suite import Case
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.contract import PURCHASE
from merchgraph.tools.data.online_retail import GUEST
from merchgraph.tools.data.tables import Events, Items, Shop

Target = Literal["any", "new"]
Stage = Literal["test", "validation"]

CUTS = {
    "complete_journey": datetime(2017, 11, 27),  # the Monday after week 48
    "online_retail": datetime(2011, 11, 11),
}
TEST_WINDOW = timedelta(days=28)
WEEK = timedelta(days=7)
LEAST_PURCHASES = 20
NEGATIVES = 19


@dataclass(frozen=True, eq=False)
class Fold:
    """What systems may learn from, and where the cases lie.

    Attributes:
        store: the whole shop; its log goes on after `before`, so nothing may be counted in it.
        log: all its purchases; all its events where it has none of that behaviour.
        items: the kept items.
        train: their part of the log before `before`: what recommenders are fitted on.
        before: statistics end here, and the cases' window begins.
        until: the window ends here; None is the end of the log.
    """

    store: Shop
    log: pl.DataFrame
    items: Items
    train: Events
    before: datetime
    until: datetime | None

    @cached_property
    def purchases(self) -> dict[str, int]:
        """Kept item -> its events in `train`, in the order of the catalogue."""
        counts = dict(self.train.frame.group_by("item").len().iter_rows())
        return {item: counts[item] for item in self.items.frame["item"]}


def fold(store: Shop, stage: Stage = "test") -> Fold:
    """The shop's cut for the test, or the one a week earlier to choose settings by.

    Raises:
        SetupError: too few items have enough purchases before the cut to fill a slate.
    """
    log = store.events.frame
    log = bought if (bought := log.filter(pl.col("behaviour") == PURCHASE)).height else log
    last: datetime = log["time"].dt.truncate("1d").max()  # type: ignore[assignment]
    cut = CUTS.get(store.name, last - TEST_WINDOW)
    before, until = (cut, None) if stage == "test" else (cut - WEEK, cut)
    earlier = log.filter(pl.col("time") < before)
    items = store.items.frame
    if "sellable" in items.columns:
        items = items.filter("sellable")
    often = earlier.group_by("item").len().filter(pl.col("len") >= LEAST_PURCHASES)
    kept = items.join(often, on="item", how="semi", maintain_order="left")
    if kept["text"].n_unique() <= NEGATIVES:
        raise SetupError(
            f"{store.name} has {kept.height} items with {LEAST_PURCHASES} purchases before {before}, "
            f"with {kept['text'].n_unique()} texts, but a slate needs {NEGATIVES + 1}; "
            "give a longer log."
        )
    train = earlier.join(kept, on="item", how="semi", maintain_order="left")
    return Fold(store, log, Items(kept), Events(train), before, until)


def cases(setting: Fold, target: Target = "any", *, seed: int = 0) -> list[Case]:
    """The cases of all households that have one, in random order: the first n are a random sample.

    A case's request is what the graph takes: user, session, long_term, candidates, before. Its truth:
    relevant (the target alone), new, bought (how often the household bought the target), basket
    (kept items in it), earlier_baskets and earlier_purchases. Its segment is "new" or "bought before".

    Args:
        setting: where the cases lie.
        target: "any" item of the basket, or one that is "new"; households whose basket has none
            have no case then, and the others come in the same order as for "any".
        seed: other targets, negatives and orders.

    Raises:
        SetupError: a household's basket leaves too few other texts to fill a slate.
    """
    slates = _Slates(setting, seed)
    shoppers = sorted(_shoppers(setting), key=lambda one: _random(seed, one.user, "order").random())
    made = []
    for shopper in shoppers:
        targets = _targets(shopper, seed)
        drawn = targets.any if target == "any" else targets.new
        if drawn is not None:
            made.append(_case(setting, shopper, drawn, slates.slate(shopper, targets, drawn)))
    return made


class _Shopper(NamedTuple):
    """A household's case before the draws: the kept items of its basket, and what came earlier."""

    user: str
    basket: list[str]
    long_term: list[str]
    earlier_baskets: int


class _Targets(NamedTuple):
    any: str
    new: str | None


def _case(setting: Fold, shopper: _Shopper, target: str, slate: list[str]) -> Case:
    bought = shopper.long_term.count(target)
    return Case(
        id=shopper.user,
        segment="bought before" if bought else "new",
        request={
            "user": shopper.user,
            "session": [item for item in shopper.basket if item != target],
            "long_term": shopper.long_term,
            "candidates": slate,
            "before": setting.before.isoformat(),
        },
        truth={
            "relevant": [target],
            "new": not bought,
            "bought": bought,
            "basket": len(shopper.basket),
            "earlier_baskets": shopper.earlier_baskets,
            "earlier_purchases": len(shopper.long_term),
        },
    )


def _shoppers(setting: Fold) -> Iterator[_Shopper]:
    log = setting.log.filter(~pl.col("user").str.starts_with(GUEST))
    if setting.until is not None:
        log = log.filter(pl.col("time") < setting.until)
    in_window = pl.col("time") >= setting.before
    log = log.join(log.filter(in_window), on="user", how="semi", maintain_order="left")
    known = log.join(setting.store.items.frame, on="item", how="semi", maintain_order="left")
    kept = setting.items.frame.select("item", kept=True)
    known = known.join(kept, on="item", how="left", maintain_order="left")
    baskets = known.group_by("user", "session", maintain_order=True).agg(
        pl.col("time").min().alias("begins"),
        pl.col("item").filter("kept").unique(maintain_order=True).alias("basket"),
    )
    # a basket that runs over the cut is in the statistics, hence no case
    cases = baskets.filter(pl.col("begins") >= setting.before, pl.col("basket").list.len() >= 2)
    last = cases.sort("begins", maintain_order=True).unique("user", keep="last")
    earlier = known.join(last.select("user", "begins"), on="user", maintain_order="left")
    past = (
        earlier.filter(pl.col("time") < pl.col("begins"))
        .group_by("user", maintain_order=True)
        .agg(pl.col("item").alias("long_term"), pl.col("session").n_unique().alias("baskets"))
    )
    rows = last.join(past, on="user", how="left").select("user", "basket", "long_term", "baskets")
    for user, basket, long_term, earlier_baskets in rows.iter_rows():
        yield _Shopper(user, basket, long_term or [], earlier_baskets or 0)


def _targets(shopper: _Shopper, seed: int) -> _Targets:
    """The household's target of each set; see the module for why they are drawn together."""
    random, bought = _random(seed, shopper.user, "target"), set(shopper.long_term)
    # a basket's order in the log is the file's: sorted, a re-sorted file gives the same draw
    some = random.choice(sorted(shopper.basket))
    fresh = sorted(set(shopper.basket) - bought)
    if some in bought:
        return _Targets(some, random.choice(fresh) if fresh else None)
    return _Targets(some, some)


class _Slates:
    """Draws slates; holds what all of them need."""

    def __init__(self, setting: Fold, seed: int) -> None:
        self._items = list(setting.purchases)
        self._weights = list(accumulate(setting.purchases.values()))
        self._text = dict(setting.items.frame.select("item", "text").iter_rows())
        self._texts = len(set(self._text.values()))
        self._seed = seed

    def slate(self, shopper: _Shopper, targets: _Targets, target: str) -> list[str]:
        """The target among its negatives; the same negatives and places whichever target it is."""
        random = _random(self._seed, shopper.user, "slate")
        slate = [target, *self._negatives(shopper.basket, targets, random)]
        random.shuffle(slate)
        return slate

    def _negatives(self, basket: Sequence[str], targets: _Targets, random: Random) -> list[str]:
        """Drawn in turn: an item that may not be taken is passed over, as if it were not there."""
        left_out = set(basket)
        taken = {self._text[item] for item in targets if item is not None}
        if self._texts - len({self._text[item] for item in basket} | taken) < NEGATIVES:
            raise SetupError(
                f"A basket of {len(basket)} items leaves fewer than {NEGATIVES} of the {self._texts} "
                "texts of the kept items, so that no slate can be filled; give a larger catalogue."
            )
        negatives: list[str] = []
        while len(negatives) < NEGATIVES:
            for item in random.choices(self._items, cum_weights=self._weights, k=2 * NEGATIVES):
                if item not in left_out and self._text[item] not in taken:
                    negatives.append(item)
                    taken.add(self._text[item])
        return negatives[:NEGATIVES]


def _random(seed: int, user: str, purpose: str) -> Random:
    """A generator of its own for each draw; Python hashes text seeds by SHA-512, not by hash()."""
    return Random(f"{seed}/{purpose}/{user}")
