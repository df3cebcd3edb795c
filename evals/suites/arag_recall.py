"""How many targets each source of candidates finds in the whole catalogue: what caps Hit@5 there.

for row in recall_of_sources(setting.store, cases(setting)[:500]):
    print(row.source, row.items[20], row.texts[20])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from merchgraph.evals.suite import Case
from merchgraph.graphs.offers import Request
from merchgraph.runtime.errors import SetupError
from merchgraph.tools import candidates
from merchgraph.tools.candidates import SourceName, gather
from merchgraph.tools.data.tables import Shop

if TYPE_CHECKING:
    from rich.table import Table

UNTRAINED: tuple[SourceName, ...] = ("semantic", "copurchase", "frequency")
"""Sources that need no `merchgraph train`."""
DEPTHS = (5, 20, 50, 100)
UNION = "union"


class SourceRecall(NamedTuple):
    """Recall of one source, or of the union of all.

    Attributes:
        source: its name, or "union".
        n: cases.
        items: k -> share of the cases whose target is among the first k candidates, 0 to 1.
        texts: k -> the same, where an item with the target's text will do. Of each text only one
            item is a candidate, and a reader of texts cannot tell it from the others.
    """

    source: str
    n: int
    items: dict[int, float]
    texts: dict[int, float]


def recall_of_sources(
    store: Shop,
    cases: Sequence[Case],
    *,
    sources: Sequence[SourceName] = UNTRAINED,
    depths: Sequence[int] = DEPTHS,
    progress: Callable[[int, int], None] | None = None,
) -> list[SourceRecall]:
    """The recall of each source and of their union, which takes the best of each in turn.

    Args:
        store: the shop of the cases.
        cases: at least one; their slates are not looked at.
        sources: in the order of the union.
        depths: the k; one list of the largest k is cut at each.
        progress: called with (done, total) after each case.

    Raises:
        SetupError: a source that is unknown, was not trained, or finds nothing for any case.
    """
    if unknown := [name for name in sources if name not in candidates.SOURCES]:
        there = ", ".join(candidates.SOURCES)
        raise SetupError(
            f"There is no source {unknown[0]!r}; there are {there}; name some of those."
        )
    mixes: dict[str, Sequence[SourceName]] = {name: [name] for name in sources}
    mixes[UNION] = sources
    places: dict[str, list[_Places]] = {name: [] for name in mixes}
    for done, case in enumerate(cases, start=1):
        for name, mix in mixes.items():
            places[name].append(_places(store, mix, case, max(depths)))
        if progress:
            progress(done, len(cases))
    return [_recall(name, found, depths) for name, found in places.items()]


class _Places(NamedTuple):
    """Where the target and its text are among the candidates, 1 is first; None is nowhere."""

    item: int | None
    text: int | None
    fault: SetupError | None = None


def _places(store: Shop, mix: Sequence[SourceName], case: Case, k: int) -> _Places:
    request, (target,) = Request(**case.request), case.truth["relevant"]
    past = {"long_term": request.long_term or [], "session": request.session or []}
    try:
        found = gather(store, mix, **past, k=k, before=request.before)
    except SetupError as fault:  # a source may know nothing of one shopper, but not of all
        return _Places(None, None, fault)
    items = [proposal.item for proposal in found]
    texts = [fact.text for fact in store.items.get(items)]
    return _Places(_place(target, items), _place(store.items.row(target).text, texts))


def _place(wanted: str, found: Sequence[str]) -> int | None:
    return found.index(wanted) + 1 if wanted in found else None


def _recall(name: str, places: Sequence[_Places], depths: Sequence[int]) -> SourceRecall:
    faults = [place.fault for place in places if place.fault is not None]
    if len(faults) == len(places):
        raise (
            faults[0] if faults else SetupError("Recall needs at least 1 case, but there is none.")
        )

    def share(found: Sequence[int | None], k: int) -> float:
        return sum(place is not None and place <= k for place in found) / len(found)

    items, texts = [place.item for place in places], [place.text for place in places]
    return SourceRecall(
        name,
        len(places),
        {k: share(items, k) for k in depths},
        {k: share(texts, k) for k in depths},
    )


def table(rows: Sequence[SourceRecall]) -> Table:
    """One row per source, for the terminal; in brackets where any item of the target's text counts."""
    from rich.table import Table

    shown = Table(title=f"Targets found in the whole catalogue, n = {rows[0].n:,}")
    shown.add_column("source")
    for depth in rows[0].items:
        shown.add_column(f"recall@{depth}", justify="right")
    for row in rows:
        shares = (f"{row.items[k]:.3f} ({row.texts[k]:.3f})" for k in row.items)
        shown.add_row(row.source, *shares)
    return shown
