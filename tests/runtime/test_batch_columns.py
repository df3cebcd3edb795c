"""Results as columns: types from models, and JSON where there is no fixed type."""

import json
from datetime import datetime
from typing import Any, Literal

import polars as pl
import pytest
from pydantic import BaseModel

from merchgraph.graphs.registry import GRAPHS, module
from merchgraph.runtime.batch_columns import cells, columns_of, frame


class Leaf(BaseModel):
    name: str
    child: "Leaf | None" = None


class Whole(BaseModel):
    words: list[str]
    kind: Literal["a", "b"] | None
    leaves: list[Leaf]
    by_name: dict[str, float]
    either: Leaf | int
    when: datetime
    share: float
    pair: tuple[int, ...]


FULL = Whole(
    words=["\ud800 tea"], kind=None, leaves=[Leaf(name="x", child=Leaf(name="y"))],
    by_name={"é": 0.5}, either=3, when=datetime(2026, 1, 2), share=float("nan"), pair=(1, 2),
)  # fmt: skip


def test_a_model_becomes_a_row_of_typed_cells() -> None:
    columns = columns_of(Whole)
    row = {"row": 0, "id": "a", "error": None, **FULL.model_dump(mode="json")}
    table = frame([{name: cells(row[name], columns[name]) for name in columns}], columns)
    found = table.row(0, named=True)
    assert found["words"] == ["? tea"]
    assert (found["kind"], found["pair"], found["when"]) == (None, [1, 2], "2026-01-02T00:00:00")
    assert found["leaves"] == [{"name": "x", "child": '{"name": "y", "child": null}'}]
    assert json.loads(found["by_name"]) == {"é": 0.5}
    assert found["either"] == "3"
    assert table.schema["share"] == pl.Float64


def test_rows_without_a_result_have_the_same_types() -> None:
    columns = columns_of(Whole)
    failed: dict[str, Any] = dict.fromkeys(columns) | {"row": 1, "id": "b", "error": "X: y"}
    assert frame([failed], columns).schema == pl.Schema(columns)


def test_no_field_may_have_the_name_of_a_batchs_own_column() -> None:
    class Taken(BaseModel):
        error: str

    with pytest.raises(ValueError, match="error"):
        columns_of(Taken)


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_graphs_result_has_columns(graph: str) -> None:
    columns = columns_of(module(graph).Result)
    assert list(columns)[:2] == ["row", "id"]
    assert isinstance(columns["usage"], pl.Struct)
