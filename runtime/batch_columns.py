"""Results as columns: a Parquet type for every field of a pydantic model.

Text, numbers, truth values, lists and models of these have types of their own. What has no fixed type (a
dict with keys of its own, a union of models) is JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import polars as pl
from pydantic import BaseModel

PLAIN: dict[Any, pl.DataType] = {
    str: pl.String(), int: pl.Int64(), float: pl.Float64(), bool: pl.Boolean(),
}  # fmt: skip
OURS: dict[str, pl.DataType] = {"row": pl.Int64(), "id": pl.String(), "error": pl.String()}
"""What a batch adds to the fields: the row's number in the input, its id, what went wrong."""
Cells = dict[str, Any]


def columns_of(kind: type[BaseModel]) -> dict[str, pl.DataType]:
    """The columns of a batch whose runs return models of a kind.

    Raises:
        ValueError: a field has the name of a column of `OURS`.
    """
    if taken := OURS.keys() & kind.model_fields.keys():
        raise ValueError(
            f"the fields {sorted(taken)} of {kind.__name__} are columns of every batch"
        )
    fields = {name: _typed(field.annotation) for name, field in kind.model_fields.items()}
    return {"row": OURS["row"], "id": OURS["id"], **fields, "error": OURS["error"]}


def _typed(kind: Any, within: tuple[type[BaseModel], ...] = ()) -> pl.DataType:
    if kind in PLAIN:
        return PLAIN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _typed(arguments[0], within)
    if origin is Literal and all(isinstance(one, str) for one in arguments):
        return pl.String()
    if origin in (Union, UnionType):
        kinds = [one for one in arguments if one is not NoneType]
        return _typed(kinds[0], within) if len(kinds) == 1 else pl.String()
    if origin is list or (origin is tuple and arguments[1:] == (...,)):
        return pl.List(_typed(arguments[0], within))
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in within:
        fields = kind.model_fields.items()
        inner = {name: _typed(field.annotation, (*within, kind)) for name, field in fields}
        return pl.Struct(inner) if inner else pl.String()
    return pl.String()


def cells(value: Any, kind: pl.DataType) -> Any:
    """A value as JSON has it (`model_dump(mode="json")`), made fit for a column's type."""
    if value is None:
        return None
    if isinstance(kind, pl.Struct):
        return {field.name: cells(value.get(field.name), _of(field.dtype)) for field in kind.fields}
    if isinstance(kind, pl.List):
        return [cells(one, _of(kind.inner)) for one in value]
    if isinstance(kind, pl.String):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return text.encode("utf-8", "replace").decode()  # a lone surrogate is no UTF-8
    return value


def _of(kind: Any) -> pl.DataType:
    assert isinstance(kind, pl.DataType)
    return kind


def frame(rows: list[Cells], columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Finished rows as a table that has the same types whatever the rows hold."""
    return pl.DataFrame(rows, schema=dict(columns), orient="row", strict=True)
