"""Upworthy: headlines that were shown to readers at random, with their clicks, 2013 to 2015.

    test 51436061220cb800020001e7, week 201312, image 5141..., 3,118 shows, 51 clicks, "..."

Read from `upworthy/upworthy_clean.parquet` in the folder of the setting `data` (Matias, Munger, Le Quere
and Ebersole 2021, doi:10.1038/s41597-021-00934-7; CC BY 4.0). Unusual in this data:

- A test compares packages of a headline, an image and other texts. Only headlines with the same image
  are compared here; packages that differ in the other texts alone are added up.
- Weeks 201325 to 201402 did not show packages at random: they are left out.
- The column `significance` is not statistical significance, and is not read.
- The headlines are news, some of it sensitive. None is kept outside the folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.settings import settings
from merchgraph.tools.data.checks import UNREADABLE, reject, require_columns

FILE = Path("upworthy", "upworthy_clean.parquet")
FLAWED = (201325, 201402)
"""First and last week in which the draw of packages was faulty."""
CLEAR = 2.576
"""Standard errors between two click rates from which on they differ clearly: two-sided p < 0.01."""
LATER = 201440
"""The week that begins the later part: a third of the clear pairs, seven months."""

_COLUMNS = {
    "clickability_test_id": "test",
    "eyecatcher_id": "image",
    "headline": "headline",
    "test_week": "week",
    "impressions": "shows",
    "clicks": "clicks",
}


class Parts(NamedTuple):
    """What came before a week, and what began in it or after."""

    earlier: pl.DataFrame
    later: pl.DataFrame


def load() -> pl.DataFrame:
    """One row per test, image and headline of the usable weeks, 15,370 of them.

    Columns: test, week (of the test's first package), image, headline, shows, clicks; ordered by week,
    then test, image and headline. Rows without an image (22 packages) are left out.

    Raises:
        SetupError: the file is not there.
        DataError: the file cannot be read, lacks a column, or counts what cannot be.
    """
    path = settings().data.expanduser() / FILE
    if not path.is_file():
        raise SetupError(
            f"The headlines of Upworthy are read from {str(path)!r}, which is not there; name the "
            f"folder that holds {FILE.parent.name!r} in MERCHGRAPH_DATA."
        )
    rows = _read(path)
    usable = rows.filter(~pl.col("week").is_between(*FLAWED), pl.col("image").is_not_null())
    headlines = usable.group_by("test", "image", "headline").agg(
        pl.col("week").min(), pl.col("shows", "clicks").sum()
    )
    first = pl.col("week").min().over("test")
    order = ["week", "test", "image", "headline"]
    return headlines.select("test", first, "image", "headline", "shows", "clicks").sort(order)


def clear_pairs(headlines: pl.DataFrame, *, least: float = CLEAR) -> pl.DataFrame:
    """Pairs of headlines of one test and image whose click rates differ clearly.

    The two-proportion z test with the pooled rate; of all 16,800 pairs 2,760, in 1,004 tests, are more
    than `least` standard errors apart. Some 1 in 100 pairs without any difference would be, too.

    Columns: test, week, image; first and second, the headlines, in an order that knows nothing of
    clicks; shows_first, clicks_first, shows_second, clicks_second; z, above 0 where the first has
    the greater rate.
    """
    numbered = headlines.with_row_index("row")
    paired = numbered.join(numbered, on=["test", "image"], suffix="_second").filter(
        pl.col("row") < pl.col("row_second")
    )
    shows, others = pl.col("shows"), pl.col("shows_second")
    pooled = (pl.col("clicks") + pl.col("clicks_second")) / (shows + others)
    error = (pooled * (1 - pooled) * (1 / shows + 1 / others)).sqrt()
    apart = pl.col("clicks") / shows - pl.col("clicks_second") / others
    return (
        paired.with_columns((apart / error).alias("z"))
        .filter(pl.col("z").is_finite(), pl.col("z").abs() > least)
        .sort("row", "row_second")
        .select(
            "test",
            "week",
            "image",
            pl.col("headline").alias("first"),
            pl.col("headline_second").alias("second"),
            pl.col("shows", "clicks").name.suffix("_first"),
            "shows_second",
            "clicks_second",
            "z",
        )
    )


def pilots(headlines: pl.DataFrame) -> pl.DataFrame:
    """Of each test the image with most headlines, where it has two or more: 1,971 tests.

    Between images with as many headlines the one with more shows is taken. Same columns and order.
    """
    image = ["test", "image"]
    sizes = headlines.group_by(*image).agg(pl.len().alias("n"), pl.col("shows").sum())
    most = (
        sizes.filter(pl.col("n") > 1)
        .sort("n", "shows", "image", descending=[True, True, False])
        .unique("test", keep="first", maintain_order=True)
    )
    return headlines.join(most.select(image), on=image, how="semi", maintain_order="left")


def split(rows: pl.DataFrame, *, week: int = LATER) -> Parts:
    """The rows before a week, and those from it on; a test lies on one side whole.

    Args:
        rows: a table with a column week.
        week: as the data has it, 201440 is the 40th of 2014; begins the later part.
    """
    return Parts(rows.filter(pl.col("week") < week), rows.filter(pl.col("week") >= week))


def _read(path: Path) -> pl.DataFrame:
    try:
        there = pl.read_parquet_schema(path)
        require_columns(list(there), _COLUMNS, table=path.name)
        rows = pl.read_parquet(path, columns=list(_COLUMNS)).rename(_COLUMNS)
        rows = rows.cast({"week": pl.Int64, "shows": pl.Int64, "clicks": pl.Int64})
    except UNREADABLE as error:
        problem = str(error).strip().splitlines()[0][:200]
        raise DataError(
            f"{path}: it cannot be read as the table of headlines ({problem}); fetch it anew."
        ) from error
    shows, clicks = pl.col("shows"), pl.col("clicks")
    reject(rows, (shows < 1) | shows.is_null(), "shows", "shows are 1 or more", table=path.name)
    reject(
        rows, (clicks < 0) | (clicks > shows) | clicks.is_null(), "clicks",
        "clicks are at least 0 and at most the shows", table=path.name,
    )  # fmt: skip
    for column in ("test", "headline", "week"):
        reject(rows, pl.col(column).is_null(), column, "every package has one", table=path.name)
    return rows
