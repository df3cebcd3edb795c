"""Histories of purchases by product type, and the purchase that followed: the cases of BehaviorLens.

    episode = histories(shop("complete_journey"))[0]
    episode.history.events[-1]     # Purchase(item='Bananas', when=date(2017, 12, 2), category='Produce')
    episode.next.item              # what the household bought next
    history(shop("complete_journey"), "208")    # any one shopper's latest purchases

An item is a product type ("Shredded cheese"), since single products are too many to come back; the
paper (arXiv 2511.03845) says nothing of its items, and this choice is ours. A history is of the shop's
most bought types alone: which those are is counted before the cut and over all shoppers, so that
neither the shopper's own choice nor the future says which items can occur. One event is one type in one
basket. Within a basket the log has no order of time: its events keep the log's, which here is that of
product numbers. The purchase that follows is drawn from the shopper's next basket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache

import polars as pl
from pydantic import BaseModel, ConfigDict

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.product_names import title
from merchgraph.tools.data.tables import Shop, local

TYPES = 50
"""Product types that can occur. More of them make longer lists of items and fewer whole histories: of
The Complete Journey's households 1,498 have one with 40 types, 1,324 with 50, 720 with 100."""
LEAST_EVENTS, MOST_EVENTS = 20, 40
LEAST_ITEMS, MOST_ITEMS = 8, 15
TEST_WEEKS = 4


class Purchase(BaseModel):
    """One event: an item, the day, and the item's department ("" if unknown)."""

    model_config = ConfigDict(frozen=True)

    item: str
    when: date
    category: str = ""


class History(BaseModel):
    """A shopper's purchases, oldest first."""

    model_config = ConfigDict(frozen=True)

    user: str
    events: tuple[Purchase, ...]

    @property
    def items(self) -> tuple[str, ...]:
        """Every item once, in the order of first purchase."""
        return tuple(dict.fromkeys(event.item for event in self.events))


class Episode(BaseModel):
    """A history and what came after it.

    Attributes:
        history: everything before the cut.
        next: one purchase of the next basket, drawn by the user's id and not by the item's.
        also: the other items of that basket, which would be right answers as well.
    """

    model_config = ConfigDict(frozen=True)

    history: History
    next: Purchase
    also: tuple[str, ...] = ()


def histories(store: Shop, *, before: datetime | None = None, types: int = TYPES) -> list[Episode]:
    """The episode of every shopper who has a whole one, in the order of user ids.

    A history is whole with 20 to 40 events of 8 to 15 items: the shopper's latest, as many as fit.

    Args:
        store: the shop.
        before: the cut, local time: histories end before it, and the next purchase is the first
            one after. None is the Monday that begins the log's last 4 weeks.
        types: how many of the most bought product types can occur.

    Raises:
        SetupError: fewer than 8 types, a cut with a time zone, or no shopper with a whole history.
    """
    if types < LEAST_ITEMS:
        raise SetupError(
            f"{types} product types were asked for, but a history has at least {LEAST_ITEMS}; "
            "give more."
        )
    cut = local(before) if before else last_weeks(store)
    log = _events(store, cut, types)
    earlier = pl.col("time") < cut
    latest = log.filter(earlier).group_by("user", maintain_order=True).tail(MOST_EVENTS)
    pasts = _by_user(latest)
    found = []
    for user, basket in _by_user(_first_baskets(log.filter(~earlier))).items():
        past = _latest(pasts.get(user, []))
        if len(past) >= LEAST_EVENTS and len({event.item for event in past}) >= LEAST_ITEMS:
            drawn = _draw(user, len(basket))
            also = tuple(event.item for n, event in enumerate(basket) if n != drawn)
            history = History(user=user, events=tuple(past))
            found.append(Episode(history=history, next=basket[drawn], also=also))
    if not found:
        raise SetupError(
            f"No shopper of {store.name} has {LEAST_EVENTS} purchases of {LEAST_ITEMS} product "
            f"types before {cut:%Y-%m-%d} and one after; choose another time, or more types."
        )
    return found


def history(
    store: Shop, user: str, *, before: datetime | None = None, types: int = TYPES
) -> History:
    """One shopper's latest purchases, at most 40 of at most 15 items.

    Raises:
        SetupError: an unknown shopper, or one without a purchase of those types before that time.
    """
    store.history(user, before)  # says in a sentence who is not known
    log = _events(store, before, types).filter(pl.col("user") == user)
    log = log.filter(pl.col("time") < before) if before else log
    events = _latest(_by_user(log).get(user, []))
    if not events:
        raise SetupError(
            f"The user {user!r} of {store.name} has bought none of the {types} most bought product "
            "types before then; choose another user, or more types."
        )
    return History(user=user, events=tuple(events))


def most_bought(store: Shop, before: datetime | None = None, types: int = TYPES) -> list[str]:
    """The product types that were in most baskets before that time, most bought first."""
    log = _typed(store)
    past = log.filter(pl.col("time") < local(before)) if before else log
    ranked = past.group_by("name").len().sort(["len", "name"], descending=[True, False])
    names: list[str] = ranked["name"].head(types).to_list()
    return names


def offered(past: History, popular: Sequence[str], size: int) -> tuple[str, ...]:
    """Candidates for what comes next where nobody knows it: a question for a shop's own use.

    Half of them are the shopper's own latest items, the others the most bought of those that the
    shopper does not have; where one half is short the other one fills up.

    Args:
        past: the shopper's history.
        popular: items, most bought first.
        size: how many; fewer where there are no more.
    """
    own = list(dict.fromkeys(event.item for event in reversed(past.events)))
    others = [item for item in popular if item not in own]
    few = max(size - size // 2, size - len(others))
    chosen = [*own[:few], *others[: size - min(few, len(own))]]
    return tuple(
        sorted(chosen, key=lambda item: hashlib.sha256(f"{past.user}/{item}".encode()).digest())
    )


def last_weeks(store: Shop) -> datetime:
    """The Monday at 0:00 that begins the log's last 4 weeks."""
    last = store.events.frame.select(pl.col("time").max().dt.truncate("1w")).item()
    assert isinstance(last, datetime)
    return last - timedelta(weeks=TEST_WEEKS - 1)


def _events(store: Shop, before: datetime | None, types: int) -> pl.DataFrame:
    """Events of the types that were most bought before that time; all later ones too."""
    return _typed(store).filter(pl.col("name").is_in(most_bought(store, before, types)))


@lru_cache(maxsize=2)
def _typed(store: Shop) -> pl.DataFrame:
    """The log by product type, each type once a basket: user, session, time, name, department."""
    paths = {path: _name(path) for path in store.items.frame["category"].unique()}
    items = store.items.frame.select(
        "item",
        # without a category a product is its own type
        pl.coalesce(pl.col("category").replace_strict(paths), "title").alias("name"),
        pl.col("category").str.split(" > ").list.first().alias("department"),
    )
    log = store.events.frame.select("user", "session", "time", "item")
    typed = log.join(items, on="item", how="inner", maintain_order="left").drop("item")
    return typed.unique(["user", "session", "name"], keep="first", maintain_order=True)


def _name(path: str) -> str | None:
    """A product type by the last levels of its path: "Beef: Lean" where "Lean" would say nothing."""
    *above, kind = path.split(" > ")
    return title(kind, above[-1] if above else "", "", "") if kind else None


def _by_user(log: pl.DataFrame) -> dict[str, list[Purchase]]:
    columns = log.select("user", "name", pl.col("time").dt.date(), "department")
    found: dict[str, list[Purchase]] = {}
    for user, item, when, category in columns.iter_rows():
        event = Purchase(item=item, when=when, category=category or "")
        found.setdefault(user, []).append(event)
    return found


def _first_baskets(log: pl.DataFrame) -> pl.DataFrame:
    first = pl.col("session") == pl.col("session").first().over("user")
    return log.filter(first)


def _latest(events: Sequence[Purchase]) -> list[Purchase]:
    """The longest end of a history that keeps both limits."""
    seen: set[str] = set()
    start = len(events)
    for event in reversed(events[-MOST_EVENTS:]):
        if len(seen | {event.item}) > MOST_ITEMS:
            break
        seen.add(event.item)
        start -= 1
    return list(events[start:])


def _draw(user: str, size: int) -> int:
    """A place below `size`, the same for the same user, whatever is bought."""
    return int.from_bytes(hashlib.sha256(user.encode()).digest()[:8]) % size
