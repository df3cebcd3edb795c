"""What is known of a household in a week, as 49 named features in [0, 1].

    history(mailers(shop), demographics).rows(["900", "901"], weeks)      # (2, 49)

Everything but the demographics is of the 26 weeks strictly before the week. The affinities to aisles are
square roots of shares of lines, so that a household's first purchase in an aisle counts for more than
its tenth. Counts and amounts are on a logarithmic scale. Sizes: U users, W weeks, F features.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.tools.ctr.aisles import aisle_of, aisles
from merchgraph.tools.ctr.pool import Doubles, Feature
from merchgraph.tools.data.mailers import Mailers

Weeks = NDArray[np.int64]

WINDOW = 26
"""Weeks that features look back on."""
WARM = 4
"""Weeks between the first purchase of a household and its first row."""
WEEKS = 53
MOST_TRIPS, MOST_LINES, MOST_DOLLARS = 182, 60, 20
"""What stands at 1: a trip a day, 60 lines per trip, 20 dollars per line."""
EVENING, SATURDAY = 17, 6

_BEHAVIOUR = {
    "trips": "shopping trips in the last 26 weeks, log scale: 1 is a trip a day",
    "lines per trip": "products bought per trip, log scale: 1 is 60 products",
    "recency": "1 / weeks since the last trip: 1 is last week",
    "spend per line": "dollars per product bought, log scale: 1 is 20 dollars",
    "discount share": "share of products bought at a shelf discount",
    "coupon use": "share of trips with a coupon, square root",
    "store brand share": "share of products bought of the store's own brand",
    "price tier": "mean price rank among alike products: 0 is always the cheapest, 1 the dearest",
    "evening share": "share of trips at 5 pm or later",
    "weekend share": "share of trips on Saturday or Sunday",
    "mailer share": "share of products bought while they were on the store's mailer",
}
_PEOPLE = {
    "age below 35": "1 if so, 0 if not or unknown",
    "age 35 to 54": "1 if so, 0 if not or unknown",
    "age 55 or more": "1 if so, 0 if not or unknown",
    "income below 35K": "household income in dollars a year; 1 if so, 0 if not or unknown",
    "income 35K to 74K": "household income in dollars a year; 1 if so, 0 if not or unknown",
    "income 75K or more": "household income in dollars a year; 1 if so, 0 if not or unknown",
    "home owner": "1 if so, 0 if not or unknown",
    "married": "1 if so, 0 if not or unknown",
    "lives alone": "1 if so, 0 if not or unknown",
    "children": "1 if children live in the household, 0 if not or unknown",
    "no demographics": "1 if nothing is known of the household's members",
}
_LOW = ("Under 15K", "15-24K", "25-34K")
_MIDDLE = ("35-49K", "50-74K")


def features() -> tuple[Feature, ...]:
    """Names and meanings, in the order of every row."""
    affinities = {
        f"aisle: {name}": f"share of the products bought in the aisle {name}, square root"
        for name in aisles()
    }
    named = {**affinities, **_BEHAVIOUR, **_PEOPLE}
    return tuple(Feature(name=name, meaning=meaning) for name, meaning in named.items())


@dataclass(frozen=True, eq=False)
class History:
    """What households bought, summed up by week.

    Attributes:
        places: user to row; U of them.
        past: by name (U, W + 2) or (U, W + 2, aisles): sums over all weeks before the week.
        last: (U, W + 2) the last week with a trip before the week, 0 if none.
        first: (U,) week of the first trip.
        people: (U, 11) flags.
    """

    places: Mapping[str, int]
    past: Mapping[str, Doubles]
    last: Doubles
    first: Doubles
    people: Doubles

    def known(self, users: Sequence[str], weeks: Weeks) -> NDArray[np.bool_]:
        """(rows,) — whether a household has shopped long enough to have features in a week."""
        return weeks >= self.first[self._at(users)] + WARM

    def rows(self, users: Sequence[str], weeks: Weeks) -> Doubles:
        """(rows, F) in [0, 1] — features of users in weeks, from what they had bought before.

        Args:
            users: of the log, one per row.
            weeks: 1 to 53, one per row.
        """
        at = self._at(users)
        since = np.maximum(weeks - WINDOW, 0)
        window = {name: sums[at, weeks] - sums[at, since] for name, sums in self.past.items()}
        gap = weeks - self.last[at, weeks]
        return np.column_stack([_affinities(window), _behaviour(window, gap), self.people[at]])

    def _at(self, users: Sequence[str]) -> Weeks:
        return np.asarray([self.places[user] for user in users], dtype=np.int64)


def history(
    mailers: Mailers, demographics: pl.DataFrame, *, without: Collection[int] = ()
) -> History:
    """Sum up a log.

    Args:
        mailers: whose lines are summed up.
        demographics: user, age, income, home_ownership, marital_status, household_size and
            household_comp as The Complete Journey words them; households may be missing.
        without: types that are deleted from every history, as if they had never been sold.
    """
    users = mailers.lines["user"].unique().sort()
    aisle = [_AISLES[aisle_of(*words)] for words in
             mailers.types.select("department", "category").iter_rows()]  # fmt: skip
    kept = ~pl.col("type").is_in(pl.Series(sorted(without), dtype=pl.Int32).implode())
    lines = mailers.lines.filter(kept).with_columns(
        pl.col("user").replace_strict(users, range(len(users)), return_dtype=pl.Int32),
        pl.col("type").replace_strict(range(len(aisle)), aisle).alias("aisle"),
    )
    by_week = _by_week(lines)
    sums = {name: _before(_table(by_week, name, len(users))) for name in _SUMS}
    by_aisle = lines.group_by("user", "week", "aisle").len("count")
    shape = (len(users), WEEKS + 2, len(_AISLES))
    counts = np.zeros(shape)
    counts[tuple(by_aisle[name].to_numpy() for name in ("user", "week", "aisle"))] = by_aisle[
        "count"
    ]
    trips = _table(by_week, "trips", len(users)) > 0
    weeks = np.arange(WEEKS + 2)
    latest = np.maximum.accumulate(np.where(trips, weeks, 0), axis=1)
    last = np.concatenate([np.zeros((len(users), 1)), latest[:, :-1]], axis=1)
    first = np.where(trips.any(axis=1), trips.argmax(axis=1), WEEKS + 1).astype(np.float64)
    places = {user: row for row, user in enumerate(users)}
    return History(places, {**sums, "aisles": _before(counts)}, last, first,
                   _people(users, demographics))  # fmt: skip


_AISLES = {name: place for place, name in enumerate(aisles())}
_SUMS = ("trips", "lines", "dollars", "discounted", "private", "tier", "tiers", "mailed", "coupons",
         "evenings", "weekends")  # fmt: skip


def _by_week(lines: pl.DataFrame) -> pl.DataFrame:
    """One row per user and week: trips, and sums over them and their lines."""
    trips = lines.group_by("session", "user", "week").agg(
        pl.len().alias("lines"),
        pl.col("dollars", "discounted", "private", "tier", "mailed").sum(),
        pl.col("tier").count().alias("tiers"),
        pl.col("coupon").any().alias("coupons"),
        (pl.col("time").first().dt.hour() >= EVENING).alias("evenings"),
        (pl.col("time").first().dt.weekday() >= SATURDAY).alias("weekends"),
    )
    sums = (pl.col(name).sum().cast(pl.Float64) for name in _SUMS if name != "trips")
    return trips.group_by("user", "week").agg(pl.len().cast(pl.Float64).alias("trips"), *sums)


def _table(by_week: pl.DataFrame, name: str, users: int) -> Doubles:
    """(U, W + 2)."""
    found = np.zeros((users, WEEKS + 2))
    found[by_week["user"].to_numpy(), by_week["week"].to_numpy()] = by_week[name].to_numpy()
    return found


def _before(counts: Doubles) -> Doubles:
    """Sums over the weeks before each week, along axis 1."""
    sums = np.cumsum(counts, axis=1) - counts
    return np.asarray(sums, dtype=np.float64)


def _share(part: Doubles, whole: Doubles) -> Doubles:
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))


def _affinities(window: Mapping[str, Doubles]) -> Doubles:
    return np.sqrt(_share(window["aisles"], np.broadcast_to(
        window["lines"][:, None], window["aisles"].shape)))  # fmt: skip


def _behaviour(window: Mapping[str, Doubles], gap: Doubles) -> Doubles:
    """(rows, 11), in the order of `_BEHAVIOUR`."""
    trips, lines = window["trips"], window["lines"]
    columns = [
        _log(trips, MOST_TRIPS),
        _log(_share(lines, trips), MOST_LINES),
        np.where(trips > 0, 1 / np.maximum(gap, 1), 0.0),
        _log(_share(window["dollars"], lines), MOST_DOLLARS),
        _share(window["discounted"], lines),
        np.sqrt(_share(window["coupons"], trips)),
        _share(window["private"], lines),
        _share(window["tier"], window["tiers"]),
        _share(window["evenings"], trips),
        _share(window["weekends"], trips),
        _share(window["mailed"], lines),
    ]
    return np.column_stack(columns)


def _log(amount: Doubles, most: float) -> Doubles:
    return np.asarray(np.minimum(np.log1p(amount) / np.log1p(most), 1.0))


def _people(users: pl.Series, demographics: pl.DataFrame) -> Doubles:
    """(U, 11), in the order of `_PEOPLE`."""
    age, income = pl.col("age"), pl.col("income")
    flags = (
        age.is_in(["19-24", "25-34"]),
        age.is_in(["35-44", "45-54"]),
        age.is_in(["55-64", "65+"]),
        income.is_in(_LOW),
        income.is_in(_MIDDLE),
        ~income.is_in((*_LOW, *_MIDDLE)),
        pl.col("home_ownership").str.ends_with("Homeowner"),
        pl.col("marital_status") == "Married",
        pl.col("household_size") == "1",
        ~pl.col("household_comp").str.contains("No Kids"),
        age.is_null(),
    )
    named = [
        flag.fill_null(value=False).alias(name) for name, flag in zip(_PEOPLE, flags, strict=True)
    ]
    everybody = users.to_frame("user").join(
        demographics, on="user", how="left", maintain_order="left"
    )
    return everybody.select(named).to_numpy().astype(np.float64)
