"""Where the nodes of a small directed graph go, left to right, and how the lines between them run.

    start -> retrieve -+-> understand ------+-> summarize -> rank -> end
                       +-> nli -------------+

Layers by longest path, order within a layer by the mean place of the neighbours, long lines led through
empty places, as in Sugiyama, Tagawa and Toda (1981), https://doi.org/10.1109/TSMC.1981.4308636. A line
back, as in a loop of draft and check, runs beneath the nodes. Graphs have a few dozen nodes, so nothing
here needs to be quick.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

HEIGHT = 44.0
LANE = 12.0
"""Height of the empty place that a long line is led through."""
ACROSS, DOWN = 52.0, 18.0
"""Gaps between layers, and between the nodes of a layer."""
MARGIN = 14.0
CORNER = 9.0
BENEATH = 14.0
"""Between two lines beneath the nodes."""
CHARACTER = 8.0
LEAST_WIDTH = 74.0
LONGEST_NAME = 30
SWEEPS = 4


class Edge(NamedTuple):
    """From one node to another; `conditional` where the graph decides while it runs."""

    source: str
    target: str
    conditional: bool = False


@dataclass(frozen=True)
class Box:
    """A node: its upper left corner and its size, in SVG units."""

    name: str
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Height of its centre."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Path:
    """A line between two nodes; `d` is the data of an SVG path."""

    source: str
    target: str
    conditional: bool
    d: str


@dataclass(frozen=True)
class Drawing:
    """A graph, laid out in a picture of the given size."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    paths: tuple[Path, ...]


Place = tuple[str, ...]
"""A node (its name), or an empty place of a long line (source, target, layer)."""


def layout(nodes: Sequence[str], edges: Iterable[Edge]) -> Drawing:
    """Lay a graph out.

    Args:
        nodes: in the order in which data flows; of equal places the first goes on top.
        edges: loops and lines back are allowed; ends that `nodes` lacks are added.
    """
    merged = _merged(edges)
    names = list(dict.fromkeys([*nodes, *(end for edge in merged for end in edge[:2])]))
    forward = _without_cycles(names, merged)
    layer = _layers(names, forward)
    chains = {edge: _chain(edge, layer) for edge in forward}
    rows = _rows(names, layer, chains.values())
    boxes = _boxes(rows)
    bottom = max((box.y + box.height for box in boxes.values()), default=0.0)
    back = [edge for edge in merged if edge not in chains]
    paths = [_path(edge, [boxes[place] for place in chains[edge]]) for edge in forward]
    for edge in back:
        source, target = boxes[edge.source,], boxes[edge.target,]
        if source is target:
            depth = source.y + source.height + DOWN / 2
        else:
            bottom = depth = bottom + BENEATH
        paths.append(_path_back(edge, source, target, depth))
    return Drawing(
        width=max((box.x + box.width for box in boxes.values()), default=0.0) + MARGIN,
        height=bottom + MARGIN,
        boxes=tuple(box for place, box in boxes.items() if len(place) == 1),
        paths=tuple(paths),
    )


def _merged(edges: Iterable[Edge]) -> list[Edge]:
    """One edge per pair of nodes; it is certain if one of them is."""
    found: dict[tuple[str, str], bool] = {}
    for edge in edges:
        pair = edge.source, edge.target
        found[pair] = edge.conditional and found.get(pair, True)
    return [Edge(*pair, conditional) for pair, conditional in found.items()]


def _without_cycles(names: list[str], edges: list[Edge]) -> list[Edge]:
    """The edges but those that a walk along them, from the first node on, finds to lead back."""
    after = {name: [edge for edge in edges if edge.source == name] for name in names}
    back: set[Edge] = set()
    done: set[str] = set()
    for first in names:
        if first in done:
            continue
        trail, steps = [first], [iter(after[first])]
        while trail:
            edge = next(steps[-1], None)
            if edge is None:
                done.add(trail.pop())
                steps.pop()
            elif edge.target in trail:
                back.add(edge)
            elif edge.target not in done:
                trail.append(edge.target)
                steps.append(iter(after[edge.target]))
    return [edge for edge in edges if edge not in back]


def _layers(names: list[str], edges: list[Edge]) -> dict[str, int]:
    """Layer of each node: the length of the longest way to it."""
    layer = dict.fromkeys(names, 0)
    for _ in names:  # a way has at most as many steps as there are nodes
        for edge in edges:
            layer[edge.target] = max(layer[edge.target], layer[edge.source] + 1)
    return layer


def _chain(edge: Edge, layer: dict[str, int]) -> list[Place]:
    between = range(layer[edge.source] + 1, layer[edge.target])
    empty = [(edge.source, edge.target, str(number)) for number in between]
    return [(edge.source,), *empty, (edge.target,)]


def _rows(
    names: list[str], layer: dict[str, int], chains: Iterable[list[Place]]
) -> list[list[Place]]:
    """The places of each layer, top to bottom."""
    rows: list[list[Place]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    before: dict[Place, list[Place]] = {}
    after: dict[Place, list[Place]] = {}
    for name in names:
        rows[layer[name]].append((name,))
    for chain in chains:
        for place in chain[1:-1]:
            rows[int(place[2])].append(place)
        for one, other in pairwise(chain):
            after.setdefault(one, []).append(other)
            before.setdefault(other, []).append(one)
    for _ in range(SWEEPS):
        for number in range(1, len(rows)):
            rows[number] = _ordered(rows[number], rows[number - 1], before)
        for number in range(len(rows) - 2, -1, -1):
            rows[number] = _ordered(rows[number], rows[number + 1], after)
    return rows


def _ordered(
    row: list[Place], beside: list[Place], neighbours: dict[Place, list[Place]]
) -> list[Place]:
    """A row by the mean relative place of its neighbours in the row beside it."""
    where = {place: (number + 0.5) / len(beside) for number, place in enumerate(beside)}

    def mean(place: Place) -> float:
        near = [where[other] for other in neighbours.get(place, []) if other in where]
        return sum(near) / len(near) if near else 0.5

    return sorted(row, key=mean)


def _boxes(rows: list[list[Place]]) -> dict[Place, Box]:
    boxes: dict[Place, Box] = {}
    tallest = max((_tall(row) for row in rows), default=0.0)
    x = MARGIN
    for row in rows:
        wide = max(_width(place) for place in row)
        y = MARGIN + (tallest - _tall(row)) / 2
        for place in row:
            height = HEIGHT if len(place) == 1 else LANE
            boxes[place] = Box(place[0], x, y, wide, height)
            y += height + DOWN
        x += wide + ACROSS
    return boxes


def _tall(row: list[Place]) -> float:
    return sum(HEIGHT if len(place) == 1 else LANE for place in row) + DOWN * (len(row) - 1)


def _width(place: Place) -> float:
    if len(place) > 1:
        return 0.0
    return max(LEAST_WIDTH, CHARACTER * min(len(place[0]), LONGEST_NAME) + 24)


def _path(edge: Edge, boxes: list[Box]) -> Path:
    """From box to box, each curve leaving and arriving level."""
    x, y = boxes[0].x + boxes[0].width, boxes[0].middle
    parts = [f"M{x:g} {y:g}"]
    for box in boxes[1:]:
        bend = (box.x - x) / 2
        parts.append(
            f"C{x + bend:g} {y:g} {box.x - bend:g} {box.middle:g} {box.x:g} {box.middle:g}"
        )
        x, y = box.x + box.width, box.middle
        if box is not boxes[-1]:
            parts.append(f"H{x:g}")
    return Path(*edge, d="".join(parts))


def _path_back(edge: Edge, source: Box, target: Box, depth: float) -> Path:
    """Down between two layers, along beneath the nodes, and up between two layers."""
    right, left, turn = source.x + source.width, target.x, CORNER
    d = (
        f"M{right:g} {source.middle:g}q{turn:g} 0 {turn:g} {turn:g}V{depth - turn:g}"
        f"q0 {turn:g} {-turn:g} {turn:g}H{left:g}"
        f"q{-turn:g} 0 {-turn:g} {-turn:g}V{target.middle + turn:g}q0 {-turn:g} {turn:g} {-turn:g}"
    )
    return Path(*edge, d=d)
