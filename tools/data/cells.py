"""Cells of a foreign file as numbers and times, and the conditions on which its rows are kept."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from merchgraph.runtime.errors import DataError
from merchgraph.tools.data.checks import TIME, reject
from merchgraph.tools.data.mapping import Keep

EARLIEST, LATEST = datetime(1900, 1, 1), datetime(2200, 1, 1)  # outside, the unit is mistaken
_ISO = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f%z")
_PER_SECOND = {"seconds": 1_000_000, "milliseconds": 1_000}


def number(cell: pl.Expr, decimal: str) -> pl.Expr:
    """Text as Float64, null where it is not a number; `decimal` is its mark, "." or ","."""
    text = cell.cast(pl.String).str.strip_chars()
    if decimal == ",":
        # "1.234" would be a thousand and more there, so a point is refused rather than guessed at
        text = pl.when(~text.str.contains(".", literal=True)).then(text)
        text = text.str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def numbers(frame: pl.DataFrame, column: str, decimal: str, *, table: str) -> pl.DataFrame:
    """The frame with a text column as Float64; an empty cell becomes null.

    Raises:
        DataError: a cell is not a number.
    """
    if frame.schema[column] != pl.String:
        return frame
    parsed = number(pl.col(column), decimal)
    wrong = parsed.is_null() & (pl.col(column).str.strip_chars() != "")
    expected = f"a number with the decimal mark {decimal!r} is expected; correct the cell"
    reject(frame, wrong, column, expected, table=table)
    return frame.with_columns(parsed)


def times(frame: pl.DataFrame, form: str, *, column: str, table: str) -> pl.DataFrame:
    """The frame with its column `time` as Datetime without a zone; a time with a zone becomes UTC.

    Args:
        frame: with `time` as text, a number, a Date or a Datetime.
        form: "iso", "seconds" or "milliseconds" since 1970, or a format like "%d/%m/%Y %H:%M".
        column: what the file calls the column, for a message.

    Raises:
        DataError: a cell does not have the form, or its year is not within 1900 to 2199.
    """
    parsed = _time(frame.schema["time"], form)
    outside = parsed.is_null() | (parsed < EARLIEST) | (parsed >= LATEST)
    blank = pl.col("time").is_null() | (pl.col("time").cast(pl.String).str.strip_chars() == "")
    expected = f"a time from 1900 to 2199 in the form {form!r} is expected; correct 'time_format'"
    try:
        reject(frame, outside & ~blank, column, expected, table=table, shown="time")
        return frame.with_columns(parsed)
    except pl.exceptions.ComputeError as error:
        first = str(error).splitlines()[0]
        raise DataError(
            f"{table}: the time format {form!r} is not valid ({first}); correct 'time_format'."
        ) from error


def _time(dtype: pl.DataType, form: str) -> pl.Expr:
    cell = pl.col("time")
    if isinstance(dtype, pl.Datetime):
        return cell.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(TIME)
    if dtype == pl.Date:
        return cell.cast(TIME)
    text = cell.cast(pl.String).str.strip_chars()
    if form in _PER_SECOND:
        micros = text.cast(pl.Float64, strict=False) * _PER_SECOND[form]
        return micros.cast(pl.Int64, strict=False).cast(TIME)
    if form != "iso":
        return _parsed(text, form)
    text = text.str.replace(r"^(\d{4}-\d\d-\d\d)T", "$1 ").str.replace(r"\s*(?:UTC|Z)$", "+00:00")
    text = text.str.replace(r"([+-]\d\d):?(\d\d)$", "$1$2")
    date = text.str.to_date("%Y-%m-%d", strict=False).cast(TIME)
    return pl.coalesce(*(_parsed(text, one) for one in _ISO), date)


def _parsed(text: pl.Expr, form: str) -> pl.Expr:
    time = text.str.to_datetime(form, time_unit="us", strict=False)
    return time.dt.replace_time_zone(None) if "z" in form else time


def kept(frame: pl.DataFrame, keep: dict[str, Keep], decimal: str, *, table: str) -> pl.DataFrame:
    """The rows that meet every condition.

    Raises:
        DataError: no row does, or a pattern is not a regular expression.
    """
    for column, rule in keep.items():
        try:
            frame = frame.filter(_meets(rule, pl.col(column), decimal))
        except pl.exceptions.ComputeError as error:
            first = str(error).strip().splitlines()[0]
            raise DataError(
                f"keep.{column}: the pattern is not valid ({first}); correct it."
            ) from error
    if frame.is_empty():
        raise DataError(f"{table}: no row meets the conditions of 'keep'; loosen them.")
    return frame


def _meets(rule: Keep, cell: pl.Expr, decimal: str) -> pl.Expr:
    text = cell.cast(pl.String)
    meets = pl.lit(True)
    if rule.present:
        meets &= cell.is_not_null() & (text.str.strip_chars() != "")
    if rule.above is not None:
        meets &= number(cell, decimal) > rule.above
    if rule.pattern is not None:
        meets &= text.str.contains(rule.pattern)
    if rule.not_pattern is not None:
        meets &= ~text.str.contains(rule.not_pattern).fill_null(False)
    return meets
