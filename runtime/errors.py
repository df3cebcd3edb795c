"""The error tree: every failure that merchgraph raises on purpose.

MerchgraphError             base; its message is one sentence for a person
├── SetupError              the person's mistake: what was given, what is expected, the remedy
│   ├── DataError           a table or mapping that breaks its contract; names the column and row
│   └── TapeError           a replay that asks for something else than what was recorded
├── EndpointError           a model server that stayed unreachable, stalled or refusing after retries
├── BudgetError             a call or token budget that is used up
├── ModelReplyError         a model whose reply stayed unusable after repair
├── NodeFailure             a node that returned an update its state does not allow, or ran out of time
└── ToolError               a tool that failed; `retryable` says whether trying again may help

The command line prints the message and exits with 2. A graph's node falls back on anything in this
tree except SetupError, which no other branch can make good (see `runtime/node.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from merchgraph.runtime.ledger import Call


class MerchgraphError(RuntimeError):
    """Base of the tree; `str(error)` is one sentence that a person can act on.

    A RuntimeError, since the LangGraph server hides the text of any other exception from its users.

    Attributes:
        calls: the model calls that a node had made before it failed; set by the node wrapper.
    """

    calls: Sequence[Call] = ()


class SetupError(MerchgraphError):
    """The person's mistake: names the value, the expectation and the remedy."""


class DataError(SetupError):
    """A table or mapping that breaks its contract; the message names the column and the row."""


class TapeError(SetupError):
    """A replay that differs from its recording; no fallback may hide that."""


class EndpointError(MerchgraphError):
    """A model server that stayed unreachable, stalled or refusing after all retries."""


class BudgetError(MerchgraphError):
    """A call or token budget that is used up; nothing was sent."""


class ModelReplyError(MerchgraphError):
    """A model's reply that stayed unusable after repair.

    Attributes:
        reply: the last raw reply, for logs and traces; never flows on as content.
    """

    def __init__(self, message: str, *, reply: str = "") -> None:
        super().__init__(message)
        self.reply = reply


class NodeFailure(MerchgraphError):
    """A node that returned an update its state does not allow, or ran out of time."""


class ToolError(MerchgraphError):
    """A tool that failed.

    Attributes:
        retryable: whether the same call may succeed when tried again.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
