"""One shopper and judged items, for every agent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from merchgraph.agents.nli import Judged, NliScore
from merchgraph.agents.shopper import Candidate, Shopper


@pytest.fixture
def shopper() -> Shopper:
    return Shopper(user="7", long_term=("Oat milk", "Green tea"), session=("Plum jam",))


@pytest.fixture
def judged() -> Callable[[int], list[Judged]]:
    """`judged(n)`: items a0, a1, ... with falling scores."""

    def make(n: int) -> list[Judged]:
        return [
            (
                Candidate(item=f"a{i}", text=f"Product {i}"),
                NliScore(item=f"a{i}", score=1 - i / n, label="entail"),
            )
            for i in range(n)
        ]

    return make
