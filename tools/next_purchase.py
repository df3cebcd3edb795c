"""The question of next purchase: which of 10 or 20 items did this household buy next?

    popular = bought(episodes)
    candidates(episode, popular)     # the true item among 9 others, in the order in which all are shown

Half of the candidates are items of the household's own history, the truth counted in its half, so that
the mix does not say whether the truth is new to the household. The own ones are drawn evenly: how often
and how lately each was bought is for the reader to see. The others are drawn by their purchases, so that
popularity does not tell the truth among them (The Complete Journey, 10 candidates, a new truth:
the most popular of the five is it in .147 of 409 cases, chance .200). What else was in the next basket is
no candidate, since it would be right as well. A household with too few items of its own gets others in
their place.

Draws are seeded by household: the same list for every rendering of a history, on every machine, whichever
other households there are (but for the weights of the others). The paper (arXiv 2511.03845) does not
publish its candidates; this design is ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from random import Random

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.histories import Episode

SIZE = 10
LEAST = 2


def bought(episodes: Iterable[Episode]) -> dict[str, int]:
    """How often each item stands in the histories, by item in alphabetical order.

    What came after the histories is not counted.
    """
    counts = Counter(event.item for episode in episodes for event in episode.history.events)
    return dict(sorted(counts.items()))


def candidates(
    episode: Episode, popular: Mapping[str, int], *, size: int = SIZE, seed: int = 0
) -> tuple[str, ...]:
    """The true next item and its distractors, shuffled.

    Args:
        episode: a history and what came next.
        popular: item -> purchases, of the items that may be drawn; by `bought`.
        size: how many candidates, the truth included.
        seed: other distractors, another order.

    Raises:
        SetupError: fewer than 2 candidates are wanted, or there are too few items for as many.
    """
    if size < LEAST:
        raise SetupError(f"A question needs {LEAST} candidates or more, not {size}.")
    truth, user = episode.next.item, episode.history.user
    taken = {truth, *episode.also}
    own = [item for item in sorted(episode.history.items) if item not in taken]
    others = {
        item: count
        for item, count in popular.items()
        if item not in taken and item not in episode.history.items and count > 0
    }
    wanted = size // 2 - (truth in episode.history.items)
    few = min(max(wanted, size - 1 - len(others)), len(own))
    if size - 1 - few > len(others):
        raise SetupError(
            f"The household {user!r} and its shop have {len(own) + len(others)} items that can be "
            f"distractors, but {size - 1} are wanted; ask for fewer candidates, or more product types."
        )
    random = Random(f"{seed}/candidates/{user}")
    distractors = [*random.sample(own, few), *_drawn(others, size - 1 - few, random)]
    found = [truth, *distractors]
    random.shuffle(found)
    return tuple(found)


def _drawn(weights: Mapping[str, int], count: int, random: Random) -> Collection[str]:
    """Items drawn without repetition, each time in proportion to what is left."""
    left, found = dict(weights), []
    for _ in range(count):
        [item] = random.choices(list(left), weights=list(left.values()))
        found.append(item)
        del left[item]
    return found
