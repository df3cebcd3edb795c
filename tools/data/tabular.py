"""Any shop's Parquet or CSV files as the two tables, by a mapping file in YAML.

    name: gifts                         # the file's name if left out
    items:
      file: online_retail.csv.gz        # from the mapping's folder, or absolute; log/*.csv for several
      columns: {item: StockCode, title: Description}
      keep: {Description: {present: true}, StockCode: {pattern: '^\\d{5}'}}
      duplicates: first                 # an item has a row for each sale here: take its first title
    events:
      file: online_retail.csv.gz
      columns: {user: CustomerID, session: InvoiceNo, time: InvoiceDate, item: StockCode,
                price: UnitPrice, quantity: Quantity}
      constants: {behaviour: purchase}  # one value for all rows
      extras: [Country]
      time_format: '%Y-%m-%d %H:%M:%S'  # or iso, seconds, milliseconds
      keep: {CustomerID: {present: true}, StockCode: {pattern: '^\\d{5}'},
             Quantity: {above: 0}, UnitPrice: {above: 0}}

Also: `separator: ';'`, `decimal: ','`, `behaviours: {view: view, buy: purchase, remove: null}`, and a
category of several columns (`categories: [department, aisle]`) or of one that is split at
`category_separator: .`. The module `mapping` lists all keys. Ids are read as text, so that "00123"
stays what it is; a time with a zone becomes UTC. Rows in messages are data rows, counted from 1
over all files of a table.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.data.cache import cached, fingerprint
from merchgraph.tools.data.cells import kept, numbers, times
from merchgraph.tools.data.checks import ROW, UNREADABLE, nearest, quoted, reject
from merchgraph.tools.data.mapping import EventSource, ItemSource, read_mapping
from merchgraph.tools.data.tables import Events, Items, Shop

VERSION = "1"  # raise it when the tables made of the same files change
CSV = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".csv.zst", ".tsv.zst")
PARQUET = (".parquet", ".pq")
PATH = " > "


def load(path: Path) -> Shop:
    """The shop of a mapping file; its tables are kept in the cache until a file changes.

    Raises:
        SetupError: the mapping or a file that it names is not there.
        DataError: the mapping or the data breaks its form; the message names file, column and row.
    """
    mapping = read_mapping(path)
    name = mapping.name or path.stem
    item_files = _files(mapping.items.file, path)
    event_files = _files(mapping.events.file, path)
    try:
        key = fingerprint([path, *item_files, *event_files], version=f"tabular {VERSION}")
    except OSError as error:
        raise SetupError(f"{path}: a data file cannot be read ({error}); check it.") from error

    def build() -> dict[str, pl.DataFrame]:
        rows = _read(event_files, mapping.events)
        events = _events(rows, mapping.events, table=event_files[0].name)
        rows = _read(item_files, mapping.items)
        items = _items(rows, mapping.items, table=item_files[0].name)
        if "price" not in mapping.items.columns and "price" not in mapping.items.constants:
            prices = events.group_by("item").agg(pl.col("price").median())
            items = items.drop("price").join(prices, on="item", how="left", maintain_order="left")
        return {"items": Items(items).frame, "events": events}

    try:
        tables = cached(f"tabular/{key}", build)
        return Shop(name, Items(tables["items"]), Events(tables["events"]), {}, key)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except pl.exceptions.PolarsError as error:  # a type of Parquet that no column of ours may have
        problem = str(error).strip().splitlines()[0][:200]
        raise DataError(
            f"{path}: a column has a type that cannot be used ({problem}); save it as text or numbers."
        ) from error


def _files(pattern: str, mapping: Path) -> list[Path]:
    """The data files of one table: a path, or all that match its `*`, in order of name."""
    try:
        place = mapping.parent / Path(pattern).expanduser()
        if place.is_file():
            return [place]
        found = sorted(Path(file) for file in glob.glob(str(place)) if Path(file).is_file())
    except (OSError, RuntimeError) as error:
        raise SetupError(f"{mapping}: {pattern!r} is not a usable path ({error}).") from error
    if not found:
        there = sorted(file.name for file in place.parent.glob("*") if file.is_file())
        close = nearest(place.name, there)
        hint = f"did you mean {close!r}?" if close else "paths start at the mapping's folder."
        raise SetupError(f"{mapping}: there is no file {str(place)!r}; {hint}")
    return found


def _read(files: list[Path], source: ItemSource | EventSource) -> pl.DataFrame:
    """The rows to keep, with the columns that the source names and `ROW`; those of a CSV as text."""
    levels = source.categories if isinstance(source, ItemSource) else ()
    wanted = list(dict.fromkeys([*source.columns.values(), *levels, *source.extras, *source.keep]))
    tables = [_scan(file, wanted, source) for file in files]
    try:
        rows = pl.concat(tables, how="vertical_relaxed").with_row_index(ROW, offset=1).collect()
    except UNREADABLE as error:
        raise _unreadable(files[0], error) from error
    if rows.is_empty():
        raise DataError(f"{files[0]}: the file has no rows; give at least one.")
    return kept(rows, source.keep, source.decimal, table=files[0].name)


def _scan(file: Path, wanted: list[str], source: ItemSource | EventSource) -> pl.LazyFrame:
    """The wanted columns of one file."""
    name = file.name.lower()
    if not name.endswith(CSV + PARQUET):
        raise DataError(f"{file}: this type of file is not known; give {quoted(CSV + PARQUET)}.")
    separator = "\t" if ".tsv" in name and source.separator == "," else source.separator
    try:
        if name.endswith(PARQUET):
            lazy = pl.scan_parquet(file, glob=False)
        else:
            lazy = pl.scan_csv(file, separator=separator, infer_schema=False, glob=False)
        there = list(lazy.collect_schema())
    except UNREADABLE as error:
        raise _unreadable(file, error) from error
    for column in wanted:
        if column not in there:
            close = nearest(column, there)
            hint = f"did you mean {close!r}?" if close else "check the names and the separator."
            raise DataError(f"{file}: there is no column {column!r} among {quoted(there)}; {hint}")
    return lazy.select(wanted)


def _unreadable(file: Path, error: Exception) -> DataError:
    kind = "Parquet" if file.name.lower().endswith(PARQUET) else "CSV in UTF-8"
    problem = str(error).strip().splitlines()[0][:200]
    return DataError(
        f"{file}: it cannot be read as {kind} ({problem}); check it and its separator."
    )


def _items(frame: pl.DataFrame, source: ItemSource, *, table: str) -> pl.DataFrame:
    if "price" in source.columns:
        frame = numbers(frame, source.columns["price"], source.decimal, table=table)
    columns = [pl.col(column).alias(name) for name, column in source.columns.items()]
    levels = source.categories or [source.columns.get("category", "")]
    if levels != [""]:
        columns = [column for column in columns if column.meta.output_name() != "category"]
        columns.append(_path(levels, source.category_separator))
    constants = [pl.lit(value).alias(name) for name, value in source.constants.items()]
    items = frame.select(ROW, *columns, *source.extras).with_columns(constants)
    if source.duplicates != "error" and "item" in items.columns:
        items = items.unique("item", keep=source.duplicates, maintain_order=True)
    return Items(items).frame


def _path(levels: Iterable[str], separator: str) -> pl.Expr:
    """The category `A > B > C` of one or several columns, each of which may hold several levels."""
    split = [pl.col(level).cast(pl.String).str.split(separator).fill_null([]) for level in levels]
    level = pl.element().str.strip_chars()
    named = pl.concat_list(split).list.eval(level.filter(level != ""))
    return named.list.join(PATH).alias("category")


def _events(frame: pl.DataFrame, source: EventSource, *, table: str) -> pl.DataFrame:
    for name in ("price", "quantity"):
        if name in source.columns:
            frame = numbers(frame, source.columns[name], source.decimal, table=table)
    columns = [pl.col(column).alias(name) for name, column in source.columns.items()]
    constants = [pl.lit(value).alias(name) for name, value in source.constants.items()]
    events = frame.select(ROW, *columns, *source.extras).with_columns(constants)
    if "time" in events.columns:
        column = source.columns.get("time", "time")
        events = times(events, source.time_format, column=column, table=table)
    if "behaviour" in events.columns and source.behaviours:
        events = _renamed(events, source.behaviours, table=table)
    if "session" not in events.columns and {"user", "time"} <= set(events.columns):
        day = pl.col("time").dt.strftime("%Y-%m-%d")
        session = pl.col("user").cast(pl.String) + "/" + day
        events = events.with_columns(session.alias("session"))
    return Events(events).frame


def _renamed(
    events: pl.DataFrame, behaviours: Mapping[str, str | None], *, table: str
) -> pl.DataFrame:
    """The events with the behaviours' new names, without those that have none."""
    behaviour = pl.col("behaviour")
    expected = f"'behaviours' maps only {quoted(behaviours)}; add it, with null to leave it out"
    reject(events, ~behaviour.is_in(list(behaviours)), "behaviour", expected, table=table)
    dropped = [name for name, new in behaviours.items() if new is None]
    events = events.filter(behaviour.is_null() | ~behaviour.is_in(dropped))
    return events.with_columns(
        behaviour.replace({name: new for name, new in behaviours.items() if new is not None})
    )
