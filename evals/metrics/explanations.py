"""What code can see in an explanation of a guess: how long it is, and which items it names.

Naming an item is no merit by itself; an explanation that names neither the guess nor anything that was
bought cannot be about this household, whatever a judge says of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pydantic import BaseModel, ConfigDict


class Told(BaseModel):
    """One explanation, counted.

    Attributes:
        words: separated by spaces.
        guess: it names what it explains.
        bought: other items of the history that it names.
        never: items that it names, were on offer, and were never bought.
    """

    model_config = ConfigDict(frozen=True)

    words: int
    guess: bool
    bought: int
    never: int


def told(explanation: str, guess: str, history: Collection[str], offered: Collection[str]) -> Told:
    """Count an explanation.

    A name counts where it stands as whole words, capitals aside; inside a longer name of another item
    it does not count ("Eggs" in "Eggs - large").

    Args:
        explanation: may be empty.
        guess: the item that it explains.
        history: items that were bought.
        offered: the candidates.
    """
    names = sorted({guess, *history, *offered} - {""}, key=lambda name: (-len(name), name))
    found: set[str] = set()
    if names:
        spelled = {name.casefold(): name for name in reversed(names)}
        pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)", re.IGNORECASE)
        found = {
            spelled.get(match.group().casefold(), "") for match in pattern.finditer(explanation)
        }
    others = found - {guess, ""}
    return Told(
        words=len(explanation.split()),
        guess=guess in found,
        bought=len(others.intersection(history)),
        never=len(others.difference(history)),
    )
