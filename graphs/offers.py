"""From a shop and a request to what agents read: the shopper's texts, and the offers to rank."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.agents.shopper import Candidate, Shopper
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.candidates import SourceName, gather
from merchgraph.tools.data.tables import Shop


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
    """

    title: str
    score: float | None = None
    sources: tuple[str, ...] = ()


def past(
    store: Shop, request: Request, *, long_term_items: int, session_items: int
) -> tuple[list[str], list[str]]:
    """(long-term, session) item ids, oldest first, each cut to its most recent ones.

    Raises:
        SetupError: a user who is not in the log, or has no history.
    """
    session, long_term = request.session, request.long_term
    if session is None or long_term is None:
        baskets = store.history(request.user, before=request.before)
        session = list(baskets[-1].items) if session is None else session
        long_term = [i for b in baskets[:-1] for i in b.items] if long_term is None else long_term
    # an item bought ten times is one fact, and the latest purchase is the one that counts
    recent = list(dict.fromkeys(reversed(long_term)))[:long_term_items][::-1]
    return recent, session[-session_items:]


def shopper(store: Shop, user: str, long_term: Sequence[str], session: Sequence[str]) -> Shopper:
    """The texts of a shopper's items.

    Raises:
        SetupError: an item that the catalogue does not have.
    """
    return Shopper(
        user=user,
        long_term=tuple(item.text for item in store.items.get(long_term)),
        session=tuple(item.text for item in store.items.get(session)),
    )


def retrieved(
    store: Shop,
    sources: Sequence[SourceName],
    long_term: Sequence[str],
    session: Sequence[str],
    candidates: int,
    before: datetime | None = None,
) -> list[Offer]:
    """The union of the sources' candidates, without what is in the basket."""
    hits = gather(store, sources, long_term=long_term, session=session, k=candidates, before=before)
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
