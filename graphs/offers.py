"""From a shop and a request to what agents read: the shopper's texts, and the offers to rank."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.agents.shopper import Candidate, Shopper
from merchgraph.graphs.fusion import ToolSignal
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.candidates import SourceName, gather
from merchgraph.tools.contract import Past
from merchgraph.tools.data.tables import Shop
from merchgraph.tools.trained import ToolName


class Request(BaseModel):
    """Whom to recommend to; what is left out is read from the shop's log."""

    model_config = ConfigDict(extra="forbid")

    user: str = Field(default="1", min_length=1, description="user id of the shop's log")
    session: list[str] | None = Field(
        default=None, description="item ids of the basket of now; the user's last basket if unset"
    )
    long_term: list[str] | None = Field(
        default=None,
        description="item ids bought before, oldest first; the earlier baskets if unset",
    )
    candidates: list[str] | None = Field(
        default=None, description="a slate of item ids to rank; retrieved from the sources if unset"
    )
    before: datetime | None = Field(default=None, description="use the log only up to this time")


class Offer(Candidate):
    """A candidate with its origin.

    Attributes:
        score: the first source's score (for `semantic` the cosine to the shopper), None in a slate.
        sources: who proposed it.
        signals: what `tools/signals.py` and trained tools measure of it, where the run's fusion needs it.
    """

    title: str
    score: float | None = None
    sources: tuple[str, ...] = ()
    signals: dict[ToolSignal | ToolName, float] = Field(default_factory=dict)


def past(store: Shop, request: Request) -> Past:
    """All that is known of the shopper: repeats and all.

    Raises:
        SetupError: a user who is not in the log, or has no history.
    """
    session, long_term = request.session, request.long_term
    if session is None or long_term is None:
        baskets = store.history(request.user, before=request.before)
        session = list(baskets[-1].items) if session is None else session
        long_term = [i for b in baskets[:-1] for i in b.items] if long_term is None else long_term
    return Past(long_term, session)


def recent(past: Past, *, long_term_items: int, session_items: int) -> Past:
    """What agents read: each earlier item once, and of both parts the most recent ones."""
    # an item bought ten times is one fact, and the latest purchase is the one that counts
    latest = list(dict.fromkeys(reversed(past.long_term)))[:long_term_items][::-1]
    return Past(latest, past.session[-session_items:])


def shopper(store: Shop, user: str, read: Past) -> Shopper:
    """The texts of a shopper's items.

    Raises:
        SetupError: an item that the catalogue does not have.
    """
    return Shopper(
        user=user,
        long_term=tuple(item.text for item in store.items.get(read.long_term)),
        session=tuple(item.text for item in store.items.get(read.session)),
    )


class Wanted(NamedTuple):
    """What a run wants to be told of its offers by `tools/signals.py`, and by which trained tools."""

    facts: bool = False
    signals: bool = False
    trained: Sequence[ToolName] = ()


def informed(
    store: Shop, offers: Sequence[Offer], past: Past, before: datetime | None, wanted: Wanted
) -> list[Offer]:
    """The offers with what tools know of them and this shopper."""
    if not any(wanted):
        return list(offers)
    from merchgraph.tools import signals as tool  # brings SciPy, which no other run needs
    from merchgraph.tools import trained as models

    items = [offer.item for offer in offers]
    facts = tool.facts(store, past, items, before) if wanted.facts else [""] * len(items)
    measured = tool.signals(store, past, items, before) if wanted.signals else {}
    measured |= models.signals(store, past, items, wanted.trained, before)
    return [
        offer.model_copy(
            update={"facts": fact, "signals": {name: row[n] for name, row in measured.items()}}
        )
        for n, (offer, fact) in enumerate(zip(offers, facts, strict=True))
    ]


def retrieved(
    store: Shop,
    sources: Sequence[SourceName],
    past: Past,
    candidates: int,
    before: datetime | None = None,
) -> list[Offer]:
    """The union of the sources' candidates, without what is in the basket."""
    hits = gather(
        store, sources, long_term=past.long_term, session=past.session, k=candidates, before=before
    )
    facts = store.items.get(hit.item for hit in hits)
    return [
        Offer(
            item=fact.item, text=fact.text, title=fact.title, score=hit.score, sources=hit.sources
        )
        for fact, hit in zip(facts, hits, strict=True)
    ]


def slate(store: Shop, items: Sequence[str], k: int) -> list[Offer]:
    """The offers of a slate that the request brings.

    Raises:
        SetupError: an unknown item, an item named twice, or fewer items than k.
    """
    twice = [item for item in items if list(items).count(item) > 1]
    if twice:
        raise SetupError(f"The slate names the item {twice[0]!r} twice; name each candidate once.")
    if k > len(items):
        raise SetupError(
            f"k is {k}, but the slate has {len(items)} candidates; lower k or offer more candidates."
        )
    return [
        Offer(item=fact.item, text=fact.text, title=fact.title, sources=("slate",))
        for fact in store.items.get(items)
    ]
