"""Checks of a table's columns: each ends in one sentence with the column, the row and the value.

    items: column 'price' has -3.0 in row 7, but a price is a number of 0 or more; correct the ...

Rows count data rows from 1; a header is not counted. A reader that leaves rows out before the check
keeps the file's own row numbers in a column named `ROW`.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Sequence

import polars as pl

from merchgraph.runtime import batch_input
from merchgraph.runtime.errors import DataError

ROW = "__row__"
TIME = pl.Datetime("us")
UNREADABLE = (*batch_input.UNREADABLE, OSError)
"""What is raised over a file that cannot be read as a table."""
_SUGGESTED_FROM_AT_MOST = 50_000  # difflib compares with every candidate: a second at this size


def nearest(word: str, candidates: Sequence[str]) -> str | None:
    """The candidate that looks most like `word`; None when none does or there are too many."""
    if len(candidates) > _SUGGESTED_FROM_AT_MOST:
        return None
    folded = {candidate.lower(): candidate for candidate in candidates}
    matches = difflib.get_close_matches(word.lower(), folded, n=1)
    return folded[matches[0]] if matches else None


def quoted(words: Iterable[str], *, most: int = 12) -> str:
    """`'a', 'b', 'c'`: for a message, cut after `most` words."""
    listed = list(words)
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(repr(word) for word in listed[:most]) + more


def require_columns(names: Sequence[str], required: Iterable[str], *, table: str) -> None:
    """Raise a DataError for the first column of `required` that `names` lacks."""
    for column in required:
        if column not in names:
            there = [name for name in names if name != ROW]
            close = nearest(column, there)
            hint = f"did you mean {close!r}?" if close else "add or map it."
            raise DataError(
                f"{table}: the column {column!r} is missing (there are {quoted(there)}); {hint}"
            )


def reject(
    frame: pl.DataFrame, bad: pl.Expr, column: str, expected: str, *, table: str, shown: str = ""
) -> None:
    """Raise a DataError for the first row in which `bad` is true.

    Args:
        frame: the rows; a column `ROW`, if there, holds the number to name.
        bad: boolean expression over the frame; null counts as false.
        column: the column to name.
        expected: what a good value is and what to do, from "but" on: "every row needs an id; ...".
        table: how to call the table: "items", or a file.
        shown: the column whose value is shown, if not `column` itself.
    """
    mask = frame.select(bad.fill_null(False).alias("bad")).to_series()
    if not mask.any():
        return
    index = mask.arg_max() or 0
    row = frame[ROW][index] if ROW in frame.columns else index + 1
    value = reprlib.repr(frame[shown or column][index])
    raise DataError(f"{table}: column {column!r} has {value} in row {row:,}, but {expected}.")


def as_text(frame: pl.DataFrame, column: str, *, table: str) -> pl.Expr:
    """The column as strings: from strings, integers and categories.

    Raises:
        DataError: another type; a float id is refused since 123 would turn into '123.0'.
    """
    dtype = frame.schema[column]
    if dtype == pl.String or dtype == pl.Null or dtype.is_integer():
        return pl.col(column).cast(pl.String)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return pl.col(column).cast(pl.String)
    raise DataError(
        f"{table}: column {column!r} has the type {dtype}, but text is expected; "
        f"cast it to a string or integer first."
    )


def as_number(frame: pl.DataFrame, column: str, *, table: str) -> pl.Expr:
    """The column as Float64: from any number type.

    Raises:
        DataError: another type.
    """
    dtype = frame.schema[column]
    if dtype.is_numeric() or dtype == pl.Null:
        return pl.col(column).cast(pl.Float64)
    raise DataError(
        f"{table}: column {column!r} has the type {dtype}, but a number is expected; "
        f"cast it to a float first."
    )


def reject_blank(frame: pl.DataFrame, columns: Iterable[str], *, table: str) -> None:
    """Raise a DataError for the first row whose text in one of `columns` is null or only spaces."""
    for column in columns:
        blank = pl.col(column).is_null() | (pl.col(column).str.strip_chars() == "")
        remedy = "every row needs one; fill the cell or leave the row out"
        reject(frame, blank, column, remedy, table=table)


def reject_price(frame: pl.DataFrame, *, table: str) -> None:
    """Raise a DataError for the first price that is negative, infinite or not a number."""
    bad = (pl.col("price") < 0) | ~pl.col("price").is_finite()
    remedy = "a price is a number of 0 or more; correct the cell or empty it"
    reject(frame, bad, "price", remedy, table=table)


def typed(
    frame: pl.DataFrame, columns: tuple[str, ...], *, numbers: tuple[str, ...], table: str
) -> pl.DataFrame:
    """The frame with all `columns` in front, absent ones null: text, `numbers` and the column time.

    Raises:
        DataError: a column's type cannot become that.
    """
    absent = [pl.lit(None).alias(column) for column in columns if column not in frame.columns]
    frame = frame.with_columns(absent)
    typed = [
        pl.col(column).cast(TIME)
        if column == "time"
        else (as_number if column in numbers else as_text)(frame, column, table=table)
        for column in columns
    ]
    return frame.select(*typed, pl.exclude(columns))


def examples(ids: Sequence[str], noun: str) -> str:
    """`2,469 users, for example '1', '10', '100'`: for a message."""
    return f"{len(ids):,} {noun}s, for example {quoted(ids[:3])}"


def instead(given: str, ids: Sequence[str]) -> str:
    """The end of a message about an unknown id: the nearest one, or the advice to take another."""
    close = nearest(given, ids)
    return f"did you mean {close!r}?" if close else "give one of those."
