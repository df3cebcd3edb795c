"""Prompts as tokens: a prefix with slots for item vectors, and candidates' labels as branches behind it.

    A household: bought Bananas[H]; bought on discount Shredded cheese, 8 oz[H].
    Which of these is bought on discount next?
    Eggs[C]
    ...
    Answer:| Eggs           one branch per candidate that is scored, or that is right

All branches of a question share its prefix in one forward pass: a branch sees the prefix and itself, and
its positions go on from the prefix. So 20 candidates cost 20 labels, not 20 prompts. In place of a vector
a slot may hold the inert [PH], as LLaRA has it, so that both kinds of prompt are of one length.

Sizes: B questions, L tokens, N slots (history, then candidates), M tokens that are predicted, R branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import Question
from merchgraph.tools.tmf.goods import Goods

OPENING, ANSWER, END = "A household:", "\nAnswer:", "\n"
PHRASES = {"regular": "bought", "purchase": "bought", "discount": "bought on discount",
           "coupon": "bought with a coupon", "view": "viewed", "cart": "put into the cart",
           "remove": "took out of the cart"}  # fmt: skip
PAD = -1


class Packed(NamedTuple):
    """A batch of prompts.

    Attributes:
        ids: (B, L) int64 — tokens; 0 in slots and behind the end.
        slot: (B, L) int64 — which of the N vectors stands there, -1 for none.
        position: (B, L) int64.
        branch: (B, L) int64 — 0 in the prefix, 1 and up in branches, -1 behind the end.
        reads: (M, 2) int64 — row and place whose hidden state predicts.
        wanted: (M,) int64 — the token predicted.
        of: (M,) int64 — the branch, counted over the whole batch.
        branches: R.
    """

    ids: Tensor
    slot: Tensor
    position: Tensor
    branch: Tensor
    reads: Tensor
    wanted: Tensor
    of: Tensor
    branches: int

    def to(self, device: str) -> Packed:
        """The same there."""
        moved = {name: getattr(self, name).to(device) for name in self._fields[:-1]}
        return self._replace(**moved)

    @property
    def mask(self) -> Tensor:
        """(B, 1, L, L) float32 — 0 where a token is seen, else very small."""
        length = self.ids.shape[1]
        mine, theirs = self.branch[:, :, None], self.branch[:, None, :]
        earlier = torch.ones(length, length, dtype=torch.bool, device=self.ids.device).tril()
        seen = earlier & ((theirs == 0) | (theirs == mine)) & (theirs != PAD)
        # what lies behind the end sees itself: a row that sees nothing would be NaN
        seen = seen | torch.eye(length, dtype=torch.bool, device=self.ids.device)
        return torch.where(seen, 0.0, torch.finfo(torch.float32).min)[:, None]


class _Row(NamedTuple):
    ids: list[int]
    slot: list[int]
    position: list[int]
    branch: list[int]
    reads: list[tuple[int, int, int]]
    """Place, token wanted, branch from 0."""


class Prompts:
    """Builds prompts of a shop.

    Args:
        tokenizer: of the language model.
        kept: the goods.
        behaviours: their names.
        config: settings.
    """

    def __init__(
        self, tokenizer: Any, kept: Goods, behaviours: Sequence[str], config: Config
    ) -> None:
        self.kept, self.config = kept, config
        self.phrases = [PHRASES.get(name, name) for name in behaviours]
        self.tokens = cache(lambda text: tuple(tokenizer.encode(text, add_special_tokens=False)))
        (self.end,) = self.tokens(END)[-1:]

    def label(self, item: int) -> tuple[int, ...]:
        """Tokens of a candidate's label, as it stands behind "Answer:"."""
        found: tuple[int, ...] = self.tokens(f" {self.kept.labels[item]}")
        return found

    def prefix(self, question: Question) -> tuple[list[int], list[int]]:
        """Tokens and slots up to "Answer:"."""
        items, did = question.trail.latest(self.config.history)
        free = self.config.history - len(items)
        ids, slot = list(self.tokens(OPENING)), [PAD] * len(self.tokens(OPENING))

        def add(text: str, number: int | None = None) -> None:
            some = self.tokens(text)
            ids.extend(some)
            slot.extend([PAD] * len(some))
            if number is not None:
                ids.append(0)
                slot.append(number)

        for place, (item, behaviour) in enumerate(zip(items.tolist(), did.tolist(), strict=True)):
            sep = ";" if place else ""
            add(f"{sep} {self.phrases[behaviour]} {self.kept.labels[item]}", free + place)
        add(f".\nWhich of these is {self.phrases[question.asked]} next?")
        for place, item in enumerate(question.slate.tolist()):
            add(END)
            add(self.kept.labels[item], self.config.history + place)
        add(ANSWER)
        return ids, slot

    def pack(self, questions: Sequence[Question], *, every: bool) -> Packed:
        """Prompts with branches.

        Args:
            questions: B.
            every: a branch per candidate, in the order of the slate; else per right candidate.
        """
        rows = [self._row(question, every) for question in questions]
        length = max(len(row.ids) for row in rows)
        shape = (len(rows), length)
        ids, position = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        slot, branch = np.full(shape, PAD, np.int64), np.full(shape, PAD, np.int64)
        reads, wanted, of, branches = [], [], [], 0
        for number, row in enumerate(rows):
            until = len(row.ids)
            ids[number, :until], slot[number, :until] = row.ids, row.slot
            position[number, :until], branch[number, :until] = row.position, row.branch
            for place, token, one in row.reads:
                reads.append((number, place))
                wanted.append(token)
                of.append(branches + one)
            branches = of[-1] + 1
        return Packed(
            ids=torch.from_numpy(ids), slot=torch.from_numpy(slot),
            position=torch.from_numpy(position), branch=torch.from_numpy(branch),
            reads=torch.tensor(reads), wanted=torch.tensor(wanted), of=torch.tensor(of),
            branches=branches,
        )  # fmt: skip

    def _row(self, question: Question, every: bool) -> _Row:
        ids, slot = self.prefix(question)
        start = len(ids)
        row = _Row(ids, slot, list(range(start)), [0] * start, [])
        chosen = question.slate if every else question.slate[question.right]
        for one, item in enumerate(chosen.tolist()):
            label = self.label(item)
            last = start - 1
            for step, token in enumerate((*label, self.end)):
                row.reads.append((last, token, one))
                if step < len(label):
                    last = len(row.ids)
                    row.ids.append(token)
                    row.slot.append(PAD)
                    row.position.append(start + step)
                    row.branch.append(one + 1)
        return row
