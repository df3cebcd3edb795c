"""The form of a mapping file, which says where a shop's columns are; `tabular` shows one.

A key that this form does not know is an error, so that a misspelt one is never ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from merchgraph.tools.yaml_form import read_form

Constant = str | int | float
ItemColumn = Literal["item", "title", "category", "brand", "price", "seller", "image", "text"]
EventColumn = Literal["user", "session", "time", "behaviour", "item", "price", "quantity"]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Keep(_Form):
    """A condition on one column; rows that do not meet it are left out."""

    present: bool = Field(default=False, description="the cell is not empty")
    above: float | None = Field(default=None, description="a number greater than this")
    pattern: str | None = Field(default=None, description="a regular expression found in the text")
    not_pattern: str | None = Field(default=None, description="one that is not found in the text")


class _Source(_Form):
    file: str = Field(
        min_length=1, description="path from the mapping's folder; * for several files"
    )
    separator: str = Field(default=",", min_length=1, max_length=1, description="of a CSV file")
    decimal: Literal[".", ","] = Field(default=".", description="decimal mark of numbers in text")
    extras: tuple[str, ...] = Field(default=(), description="more columns to keep, as they are")
    keep: dict[str, Keep] = Field(default_factory=dict, description="conditions by source column")

    @field_validator("file")
    @classmethod
    def _is_a_path(cls, file: str) -> str:
        if "\0" in file:
            raise ValueError("a path has no zero byte")
        return file


class ItemSource(_Source):
    """Where the catalogue is; without `price`, the median price of an item's events is taken."""

    columns: dict[ItemColumn, str] = Field(description="the file's column of each of ours")
    categories: tuple[str, ...] = Field(default=(), description="columns of the category's levels")
    constants: dict[ItemColumn, Constant] = Field(default_factory=dict)
    category_separator: str = Field(default=">", min_length=1, description='"." in "home.kitchen"')
    duplicates: Literal["error", "first", "last"] = Field(
        default="error", description="which row of an item is kept if it has several"
    )

    @model_validator(mode="after")
    def _each_column_once(self) -> Self:
        levels = ["category"] if self.categories else []
        _no_twice([*self.columns, *self.constants, *levels], self.extras, get_args(ItemColumn))
        return self


class EventSource(_Source):
    """Where the log is; without `session`, a user's events of one day are one session."""

    columns: dict[EventColumn, str] = Field(description="the file's column of each of ours")
    constants: dict[EventColumn, Constant] = Field(default_factory=dict)
    time_format: str = Field(
        default="iso", description='"iso", "seconds", "milliseconds" or like "%d/%m/%Y %H:%M"'
    )
    behaviours: dict[str, str | None] = Field(
        default_factory=dict, description="new names by those of the log; null leaves the rows out"
    )

    @model_validator(mode="after")
    def _each_column_once(self) -> Self:
        _no_twice([*self.columns, *self.constants], self.extras, get_args(EventColumn))
        return self


class Mapping(_Form):
    """One shop: a catalogue and a log."""

    name: str | None = Field(default=None, min_length=1, description="the file's name if not given")
    items: ItemSource
    events: EventSource


def _no_twice(given: list[str], extras: tuple[str, ...], ours: tuple[str, ...]) -> None:
    for name in given:
        if given.count(name) > 1:
            raise ValueError(f"{name!r} is given twice")
    for name in extras:
        if name in ours or extras.count(name) > 1:
            raise ValueError(f"the extra column {name!r} is a column of the table already")


def read_mapping(path: Path) -> Mapping:
    """The mapping in a YAML file.

    Raises:
        SetupError: there is no such file, or it cannot be read.
        DataError: it is not YAML or does not have the form; the message names the line and the key.
    """
    return read_form(path, Mapping, "mapping file")
