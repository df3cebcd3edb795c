"""What goes with a basket, from a trained model: the tool that graphs call.

    tool = Complement.load(home("complement", "complete_journey"))
    tool.recommend([Past(long_term, session=["1082185"])], k=10)    # the shipped blend
    tool.next_items(["1082185"], k=10)                              # the paper's criterion 1
    tool.next_items(["1082185"], k=10, user="208")                  # criterion 2
    tool.score("tv", "tv mount"), tool.score("tv mount", "tv")      # asymmetric
    tool.next_to_new(["brand=Acme", "word=kettle"], k=10)           # an item nobody bought yet

Queries only read, so threads may share a tool.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.checkpoint import fitting, load
from merchgraph.tools.complement.config import PRESETS, Config
from merchgraph.tools.complement.holdout import Case
from merchgraph.tools.complement.learned import Given, Learned, learn
from merchgraph.tools.contract import Past, Ranking, Recommender, Scores
from merchgraph.tools.data.checks import examples, instead
from merchgraph.tools.data.tables import Events, Items

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

COMMAND = "merchgraph train complement"
LATEST = 50
"""Of a shopper without a session, how many of the latest distinct long-term items count."""


class Complement(Recommender):
    """Complementary items of a basket.

    As a `Recommender` it scores by the shipped blend: embedding, basket cosine, own purchases and
    popularity. A session's unknown items are left out; the latest distinct long-term items stand in for
    a session that is missing.

    Args:
        config: of `fit`.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or PRESETS["cpu"]
        self._learned: Learned | None = None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model that `merchgraph train complement` kept in a folder.

        Raises:
            SetupError: no model is there; the message has the command.
            DataError: the file is damaged.
        """
        config, tensors = load(folder, Config, COMMAND)
        with fitting(folder, COMMAND):
            return cls.knowing(Learned.of(tensors, config))

    @classmethod
    def knowing(cls, learned: Learned) -> Self:
        """A tool that knows what was learned."""
        tool = cls(learned.config)
        tool._know(learned)
        return tool

    def fit(self, items: Items, events: Events) -> Self:
        """Train in memory, with no word on how far it is; see `train.py` for more."""
        self._know(learn(Given(items, events), self.config)[0])
        return self

    def _know(self, learned: Learned) -> None:
        self._learned, self._signals = learned, learned.signals
        self.items = learned.items
        self._user = {user: n for n, user in enumerate(learned.users)}

    @property
    def learned(self) -> Learned:
        """All that is known.

        Raises:
            SetupError: nothing was fitted.
        """
        if self._learned is None:
            raise SetupError("Complement was not fitted; call fit(items, events) first, or load.")
        return self._learned

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, I) float64 — the shipped blend."""
        weights, found = self.learned.weights, np.zeros((len(pasts), len(self.items)))
        for row, past in zip(found, pasts, strict=True):
            row[:] = np.einsum("s,si->i", weights, self._signals.of(self._case(past)))
        return found

    def _case(self, past: Past) -> Case:
        column = self.column if self.items else {}
        before = [column[item] for item in past.long_term if item in column]
        session = [column[item] for item in past.session if item in column]
        if not past.session:
            session = list(dict.fromkeys(reversed(before)))[:LATEST]
        return Case(session, Counter(before))

    def score(self, source: str, target: str) -> float:
        """s(source -> target), log odds of the embedding alone; the other way round it differs.

        Raises:
            SetupError: an item that is not known.
        """
        first, second = self.columns_of([source, target])
        model = self.learned.model
        return float(model.item_in[first] @ model.item_out[second])

    def next_items(self, basket: Sequence[str], k: int, *, user: str | None = None) -> Ranking:
        """The k best by the paper: criterion 1, or criterion 2 for a user; none of the basket.

        Args:
            basket: one known item or more; unknown ones are left out.
            k: how many.
            user: an unknown one is as all of them who have a single basket.

        Raises:
            SetupError: no item of the basket is known, k is below 1, or a user is named and the model
                was trained without users.
        """
        model, column = self.learned.model, self.column
        known = list(dict.fromkeys(column[item] for item in basket if item in column))
        if not known:
            raise SetupError(
                f"No item of the basket {list(basket)!r} is known to the model "
                f"({examples(self.items, 'item')}); give at least one that is."
            )
        scores = model.by_basket([known])[0]
        if user is not None:
            self._must(self.learned.config.user, "user=true", "a user")
            scores = scores + model.by_user([self._user.get(user, 0)])[0]
        return self._best(scores, k, known)

    def next_to_new(self, tokens: Sequence[str], k: int) -> Ranking:
        """The k best next to an item that nobody bought yet, told by its tokens (section 3.5).

        Args:
            tokens: such as "brand=Acme", "level 0=Grocery", "word=kettle"; unknown ones are left out.
            k: how many.

        Raises:
            SetupError: no token is known, k is below 1, or the model was trained without context.
        """
        self._must(self.learned.config.context, "context=true", "tokens")
        names = self.learned.token_names
        known = [names.index(token) for token in dict.fromkeys(tokens) if token in names]
        if not known:
            raise SetupError(
                f"No token of {list(tokens)!r} is known to the model "
                f"({examples(names, 'token')}); {instead(tokens[0] if tokens else '', names)}"
            )
        model = self.learned.model
        vector = model.cold(known, self.learned.token_counts)
        return self._best(model.item_out @ vector, k, [])

    def _must(self, there: bool, setting: str, what: str) -> None:
        if not there:
            raise SetupError(
                f"The model was trained without what {what} needs; train it anew: "
                f"{COMMAND} --set {setting}"
            )

    def _best(self, scores: NDArray[np.float32], k: int, out: Sequence[int]) -> Ranking:
        if k < 1:
            raise SetupError(f"k is {k}, but at least 1 item must be asked for.")
        left = np.ones(len(scores), dtype=np.bool_)
        left[list(out)] = False
        columns = np.flatnonzero(left)
        best = columns[np.argsort(-scores[columns], kind="stable")][:k]
        return Ranking([self.items[column] for column in best], scores[best].tolist())

    def as_tool(self) -> BaseTool:
        """A LangChain tool: items of a basket in, what goes with them out, best first."""
        from langchain_core.tools import StructuredTool

        def complements(basket: list[str], k: int = 10) -> list[str]:
            """Items that are bought together with the items of a basket, best first.

            Args:
                basket: item ids.
                k: how many to return.
            """
            (ranking,) = self.recommend([Past(session=basket)], k)
            return ranking.items

        return StructuredTool.from_function(complements, parse_docstring=True)
