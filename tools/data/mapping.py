"""The form of a mapping file, which says where a shop's columns are; `tabular` shows one.

A key that this form does not know is an error, so that a misspelt one is never ignored.
"""

from __future__ import annotations

import difflib
import reprlib
from pathlib import Path
from typing import Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from merchgraph.runtime.errors import DataError, SetupError

LARGEST = 1_000_000  # bytes; a mapping has a few hundred, so a larger file is the data itself
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
        DataError: it is not YAML or does not have the form; the message names the line or the key.
    """
    text = _text(path)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise DataError(f"{path}: this is not YAML{line} ({problem}); correct the line.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: this is not a mapping ({error}); correct the value.") from None
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: a mapping has the keys 'items' and 'events', but this file holds "
            f"{reprlib.repr(content)[:80]}; see merchgraph.tools.data.tabular for an example."
        )
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        # the chained error would print the whole input
        raise DataError(f"{path}: {_first(error)}") from None


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise DataError(
                f"{path}: a mapping is a short YAML file, but this one has {size:,} bytes; give the "
                f"mapping, not the data."
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: a mapping is YAML text in UTF-8, but byte {error.start} is not; give the "
            f"mapping, not the data, or save it as UTF-8."
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise SetupError(
            f"The mapping {str(path)!r} cannot be read ({reason}); check it."
        ) from None


def _first(error: ValidationError) -> str:
    """The first fault as a sentence, with the nearest key for one that is not known."""
    fault = error.errors(include_url=False)[0]
    keys = [str(part) for part in fault["loc"] if part != "[key]"]
    where = ".".join(keys) or "the file"
    if fault["type"] == "extra_forbidden":
        return f"the key {where!r} is not known{_nearest(keys)}; correct or remove it."
    if fault["type"] == "missing":
        return f"the key {where!r} is missing; add it."
    problem = fault["msg"].removeprefix("Value error, ")
    return f"{where!r} is {reprlib.repr(fault['input'])[:80]}, but: {problem}; correct it."


def _nearest(keys: list[str]) -> str:
    forms: dict[str, type[BaseModel]] = {"items": ItemSource, "events": EventSource}
    form = Mapping if len(keys) == 1 else Keep if "keep" in keys else forms.get(keys[0], Mapping)
    close = difflib.get_close_matches(keys[-1], form.model_fields, n=1)
    return (
        f" (did you mean {close[0]!r}?)" if close else f" (known: {', '.join(form.model_fields)})"
    )
