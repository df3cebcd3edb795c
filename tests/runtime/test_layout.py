"""Drawings of graphs: nothing overlaps, nothing is lost, data flows to the right."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.layout import Box, Drawing, Edge, layout

ARAG = layout(
    ["start", "retrieve", "understand", "nli", "summarize"],
    [
        Edge("start", "retrieve"), Edge("retrieve", "understand", True),
        Edge("retrieve", "nli", True), Edge("understand", "summarize"), Edge("nli", "summarize"),
    ],
)  # fmt: skip

NAMES = ["a", "b", "c", "d", "e", "f", "a_node_with_a_very_long_name_that_goes_on"]
edges = st.builds(Edge, st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans())


def boxes(drawing: Drawing) -> dict[str, Box]:
    return {box.name: box for box in drawing.boxes}


def points(d: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", d)]


def test_data_flows_to_the_right_and_branches_stand_one_above_the_other() -> None:
    at = boxes(ARAG)
    assert at["start"].x < at["retrieve"].x < at["nli"].x < at["summarize"].x
    assert at["understand"].x == at["nli"].x
    assert at["understand"].y < at["nli"].y
    assert at["retrieve"].middle == at["summarize"].middle


def test_a_line_runs_from_the_edge_of_a_node_to_the_edge_of_another() -> None:
    at = boxes(ARAG)
    path = next(path for path in ARAG.paths if (path.source, path.target) == ("retrieve", "nli"))
    assert path.conditional
    start, end = at["retrieve"], at["nli"]
    assert points(path.d)[:2] == [start.x + start.width, start.middle]
    assert points(path.d)[-2:] == [end.x, end.middle]


def test_a_long_line_keeps_off_the_nodes_that_it_passes() -> None:
    chain = [Edge("a", "b"), Edge("b", "c"), Edge("a", "c")]
    drawing = layout(["a", "b", "c"], chain)
    path = next(path for path in drawing.paths if (path.source, path.target) == ("a", "c"))
    middle = boxes(drawing)["b"]
    level = float(re.findall(r"([-\d.]+)H", path.d)[0])
    assert level > middle.y + middle.height


def test_a_loop_runs_beneath_and_a_node_may_follow_itself() -> None:
    drawing = layout(
        ["draft", "check"],
        [Edge("draft", "check"), Edge("check", "draft", True), Edge("check", "check")],
    )
    at = boxes(drawing)
    assert at["draft"].x < at["check"].x
    back = next(path for path in drawing.paths if path.target == "draft")
    assert (
        max(float(v) for v in re.findall(r"V([-\d.]+)", back.d))
        > at["check"].y + at["check"].height
    )
    assert len(drawing.paths) == 3


def test_an_edge_that_is_named_twice_is_drawn_once_and_certain_if_one_of_them_is() -> None:
    drawing = layout(["a", "b"], [Edge("a", "b", True), Edge("a", "b")])
    assert [path.conditional for path in drawing.paths] == [False]


@pytest.mark.parametrize("nodes", [[], ["alone"]])
def test_a_graph_may_have_no_edge(nodes: list[str]) -> None:
    drawing = layout(nodes, [])
    assert [box.name for box in drawing.boxes] == nodes
    assert drawing.paths == ()


@given(st.lists(edges, max_size=14))
def test_any_graph_is_drawn_whole_and_without_overlap(edges: list[Edge]) -> None:
    drawing = layout(NAMES[:3], edges)
    named = {*NAMES[:3], *(end for edge in edges for end in edge[:2])}
    assert {box.name for box in drawing.boxes} == named
    assert {(path.source, path.target) for path in drawing.paths} == {edge[:2] for edge in edges}
    for box in drawing.boxes:
        assert 0 <= box.x <= box.x + box.width <= drawing.width
        assert 0 <= box.y <= box.y + box.height <= drawing.height
    for one, other in combinations(drawing.boxes, 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        above = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert beside or above, (one, other)
    for box_path in drawing.paths:
        assert all(number <= max(drawing.width, drawing.height) for number in points(box_path.d))
