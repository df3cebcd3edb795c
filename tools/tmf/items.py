"""What a model may know of items and of a question, as tensors.

    known = Known.of(kept, graph, config)           # three vectors per item, made once
    facts = known.facts(questions)                  # a batch, histories first, then candidates

Sizes: B questions, H places of a history (short ones are filled up on the left), C candidates, N = H + C,
I goods, J pictures, K behaviours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import Question
from merchgraph.tools.tmf.goods import Goods
from merchgraph.tools.tmf.graph import Floats32, Relations
from merchgraph.tools.tmf.pictures import Pictures, pictures


class Facts(NamedTuple):
    """A batch.

    Attributes:
        text: (B, N, 384) float32.
        graph: (B, N, K (D + 1) + 2 K + 2) float32 — the item's, then the household's with the item.
        image: (B, N, 1280) float32 — 0 where there is none.
        has: (B, N, 3) bool — text, graph, image is there.
        behaviour: (B, N) int64 — what was done; of candidates what is asked for.
        place: (B, N) int64 — 0 to H - 1; H of candidates.
        real: (B, N) bool — not a place that a short history leaves free.
    """

    text: Tensor
    graph: Tensor
    image: Tensor
    has: Tensor
    behaviour: Tensor
    place: Tensor
    real: Tensor

    def to(self, device: str) -> Facts:
        """The same there."""
        return Facts(*(column.to(device) for column in self))


class Widths(NamedTuple):
    """Numbers of a vector per modality, and K."""

    text: int
    graph: int
    image: int
    behaviours: int


@dataclass(frozen=True, eq=False)
class Known:
    """Three vectors per item.

    Attributes:
        text: (I, 384) float32.
        relations: of the graph.
        table: (I, K (D + 1)) float32 — `relations.table`.
        pictures: of the goods.
        history: H.
    """

    text: Floats32
    relations: Relations
    table: Floats32
    pictures: Pictures
    history: int

    @classmethod
    def of(cls, kept: Goods, graph: Relations, config: Config, progress: Progress = quiet) -> Self:
        """Read texts and pictures, and put a graph beside them."""
        embedder = Embedder()
        text = embedder.embed(kept.texts)
        seen = pictures(kept, embedder, config, progress)
        return cls(text, graph, graph.table, seen, config.history)

    @property
    def widths(self) -> Widths:
        """Of the vectors in `facts`."""
        kinds = len(self.relations.vectors)
        image = self.pictures.vectors.shape[1]
        return Widths(
            self.text.shape[1], self.table.shape[1] + len(self.relations.scale), image, kinds
        )

    def facts(self, questions: Sequence[Question]) -> Facts:
        """A batch of questions with slates of one size."""
        rows = [self._row(question) for question in questions]
        columns = (np.stack(column) for column in zip(*rows, strict=True))
        return Facts(*(torch.from_numpy(column) for column in columns))

    def _row(self, question: Question) -> tuple[NDArray[Any], ...]:
        items, did = question.trail.latest(self.history)
        free = self.history - len(items)
        whole = np.concatenate([np.zeros(free, np.int64), items, question.slate])
        asked = np.full(len(question.slate), question.asked, np.int64)
        real = np.arange(len(whole)) >= free
        mine = self.relations.mine(question.trail, whole)
        graph = np.concatenate([self.table[whole], mine], axis=1)
        picture = self.pictures.of[whole]
        seen = picture >= 0
        image = np.zeros((len(whole), self.widths.image), np.float32)
        image[seen] = self.pictures.vectors[picture[seen]]
        has = np.stack([real, self.relations.known[whole] & real, seen & real], axis=1)
        behaviour = np.concatenate([np.zeros(free, np.int64), did, asked])
        place = np.minimum(np.arange(len(whole)), self.history)
        text = np.asarray(self.text[whole], np.float32)
        return text, graph.astype(np.float32), image, has, behaviour, place, real
