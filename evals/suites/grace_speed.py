"""What attention costs: keys read and time, forward and backward, dense against JSA, by length.

    costs = measured(Config(), lengths=(200, 2_000))
    table(costs)

One attention layer of the encoder with its projections, on made-up states of one history whose journeys
have 9 interactions of 8 tokens each, as a basket of The Complete Journey. Both are PyTorch's fused
attention where it applies. Times are processor time of one thread, the least of some rounds in turn, so
that neither is measured while the machine is busier. The formula is `keys_read` of `tools/grace/jsa.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from merchgraph.evals.extra import bench
from merchgraph.evals.figure import LOOK, Spec, as_svg
from merchgraph.evals.tables import Cell, Table
from merchgraph.tools.grace.config import Config

if TYPE_CHECKING:
    from torch import Tensor, nn

    from merchgraph.tools.grace.jsa import Blocks

LENGTHS = (200, 400, 1_000, 2_000, 4_000, 8_000)
TOKENS, VISIT = 8, 9
"""Of an interaction; interactions of a journey."""
ROUNDS = 5
TITLE = "What attention costs"
WIDTH, HEIGHT = 420, 260
"""Pixels of a plot."""


class Cost(NamedTuple):
    """Of one length.

    Attributes:
        tokens: T of the history.
        dense_keys, keys: read per query.
        dense_ms, ms: forward and backward.
    """

    tokens: int
    dense_keys: float
    keys: float
    dense_ms: float
    ms: float

    @property
    def saved(self) -> float:
        """Share of the keys that JSA does not read."""
        return 1 - self.keys / self.dense_keys

    @property
    def faster(self) -> float:
        """Times."""
        return self.dense_ms / self.ms


def measured(
    config: Config,
    lengths: Sequence[int] = LENGTHS,
    *,
    rounds: int = ROUNDS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Cost]:
    """Keys and times of each length.

    Args:
        config: width, heads, branches, select, coarse, window.
        lengths: T, in tokens.
        rounds: of which the least time counts.
        progress: told (done, total) after each length.
    """
    import torch

    from merchgraph.tools.grace.fast import FastJourneyAttention
    from merchgraph.tools.grace.jsa import Blocks, DenseAttention, keys_read

    found = []
    with _one_thread():
        for length in lengths:
            count = max(1, length // TOKENS)
            there = torch.ones((1, count), dtype=torch.bool)
            blocks = Blocks((torch.arange(count) // VISIT)[None], there)
            layers = [kind(config, TOKENS) for kind in (DenseAttention, FastJourneyAttention)]
            states = torch.randn(1, count, TOKENS, config.width, requires_grad=True)
            times = [[_seconds(layer, states, blocks) for layer in layers] for _ in range(rounds)]
            dense, sparse = (1_000 * min(row[place] for row in times) for place in (0, 1))
            keys = keys_read(config.with_(attention="journey"), count, TOKENS)
            found.append(Cost(count * TOKENS, float(count * TOKENS), keys, dense, sparse))
            if progress:
                progress(len(found), len(lengths))
    return found


def table(costs: Sequence[Cost]) -> Table:
    """The costs as a table of a report."""
    rows: list[list[Cell]] = [
        [
            f"{one.tokens:,}", f"{one.keys:,.0f}", f"{one.saved:.0%}", f"{one.dense_ms:.1f}",
            f"{one.ms:.1f}", f"{one.faster:.2f}",
        ]
        for one in costs
    ]  # fmt: skip
    columns = ["tokens", "keys of JSA", "saved", "dense, ms", "JSA, ms", "times faster"]
    about = (
        "One layer, forward and backward, one thread, least of some rounds. Dense reads all tokens; "
        "JSA at most n + N L + c n + W L of them."
    )
    return Table(title=TITLE, columns=columns, rows=rows, about=about)


def svg(costs: Sequence[Cost]) -> str:
    """The figure as a file's text.

    Raises:
        SetupError: the extra bench is not installed.
    """
    return as_svg(figure(costs))


def figure(costs: Sequence[Cost]) -> Spec:
    """Keys and time over the length, as a Vega-Lite specification.

    Raises:
        SetupError: the extra bench is not installed.
    """
    with bench("The figure"):
        import altair as alt
    points = [
        {"tokens": one.tokens, "attention": name, "keys": keys, "time": spent}
        for one in costs
        for name, keys, spent in (
            ("dense", one.dense_keys, one.dense_ms), ("JSA", one.keys, one.ms)
        )
    ]  # fmt: skip
    colours = alt.Scale(domain=["dense", "JSA"], range=["#7f8a99", "#3b82d6"])
    data = alt.InlineData(values=points)
    base = alt.Chart(data, width=WIDTH, height=HEIGHT).encode(
        x=alt.X("tokens:Q", title="tokens of the history", scale=alt.Scale(type="log")),
        color=alt.Color("attention:N", scale=colours, title=None),
    )
    titles = {"keys": "keys read per query", "time": "forward and backward, ms"}
    plots = [
        base.mark_line(point=True).encode(
            y=alt.Y(f"{name}:Q", title=title, scale=alt.Scale(type="log"))
        )
        for name, title in titles.items()
    ]
    spec: Spec = alt.hconcat(*plots).configure(**LOOK).to_dict()
    return spec


def _seconds(layer: nn.Module, states: Tensor, blocks: Blocks) -> float:
    began = time.thread_time()
    layer(states, blocks).sum().backward()
    return time.thread_time() - began


@contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread, which alone says what the work is."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
