"""Features of households by week, from a log of a few lines whose values are worked out by hand."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from merchgraph.tools.ctr.features import History, features, history
from merchgraph.tools.data.mailers import Mailers

NAMES = [feature.name for feature in features()]
PEOPLE = pl.DataFrame(
    {
        "user": ["a"], "age": ["25-34"], "income": ["35-49K"], "home_ownership": ["Homeowner"],
        "marital_status": ["Married"], "household_size": ["3"],
        "household_comp": ["2 Adults Kids"],
    }
)  # fmt: skip
MILK, CAKE = 0, 1
Line = dict[str, object]


def line(user: str, week: int, type: int, *, day: int = 0, hour: int = 9, **more: object) -> Line:
    time = datetime(2016, 12, 26) + timedelta(weeks=week - 1, days=day, hours=hour)
    usual = {"discounted": False, "coupon": False, "private": False, "tier": None, "mailed": False}
    return {"user": user, "session": f"{user}/{week}/{day}", "week": week, "time": time,
            "type": type, "dollars": 3.0, **usual, **more}  # fmt: skip


LINES = [
    line("a", 1, MILK, tier=1.0),
    line("a", 2, CAKE, day=5, hour=18, private=True, tier=0.0, dollars=5.0),
    line("a", 2, CAKE, day=5, hour=18, discounted=True, mailed=True, coupon=True, dollars=5.0),
    line("a", 10, MILK),
    line("b", 40, CAKE),
]


def made(lines: list[Line], without: tuple[int, ...] = ()) -> History:
    types = pl.DataFrame(
        {"type": [0, 1], "department": ["Grocery", "Pastry"],
         "category": ["Fluid milk products", "Cakes"], "name": ["milk", "cake"]},
        schema_overrides={"type": pl.Int32},
    )  # fmt: skip
    frame = pl.DataFrame(lines, schema_overrides={"type": pl.Int32, "week": pl.Int8,
                                                  "tier": pl.Float32})  # fmt: skip
    return history(Mailers({"types": types, "lines": frame}), PEOPLE, without=without)


def row(log: History, user: str, week: int) -> dict[str, float]:
    values = log.rows([user], np.array([week]))
    assert values.shape == (1, len(NAMES)) == (1, 49)
    return dict(zip(NAMES, values[0].tolist(), strict=True))


def test_a_row_is_of_what_was_bought_before_its_week_and_not_in_it() -> None:
    log = made(LINES)
    early, late = row(log, "a", 2), row(log, "a", 3)
    assert (early["aisle: dairy"], early["aisle: bakery"]) == (1, 0)
    assert late["aisle: dairy"] == pytest.approx((1 / 3) ** 0.5)
    assert late["aisle: bakery"] == pytest.approx((2 / 3) ** 0.5)
    changed = made([*LINES, line("a", 3, CAKE), line("a", 20, MILK)])
    assert row(changed, "a", 3) == late


def test_what_is_older_than_26_weeks_is_forgotten() -> None:
    log = made(LINES)
    assert row(log, "a", 28)["aisle: bakery"] > 0
    assert row(log, "a", 29)["aisle: bakery"] == 0
    assert row(log, "a", 29)["aisle: dairy"] == 1
    gone = row(log, "a", 37)
    assert (gone["trips"], gone["recency"], gone["aisle: dairy"]) == (0, 0, 0)


def test_behaviour_is_counted_by_trips_and_by_lines() -> None:
    found = row(made(LINES), "a", 4)
    assert found["trips"] == pytest.approx(np.log1p(2) / np.log1p(182))
    assert found["lines per trip"] == pytest.approx(np.log1p(1.5) / np.log1p(60))
    assert found["recency"] == pytest.approx(1 / 2)
    assert found["spend per line"] == pytest.approx(np.log1p(13 / 3) / np.log1p(20))
    assert found["discount share"] == pytest.approx(1 / 3)
    assert found["coupon use"] == pytest.approx(0.5**0.5)
    assert found["store brand share"] == pytest.approx(1 / 3)
    assert found["price tier"] == pytest.approx(1 / 2), "lines without a price rank do not count"
    assert (found["evening share"], found["weekend share"]) == (0.5, 0.5)
    assert found["mailer share"] == pytest.approx(1 / 3)


def test_demographics_are_flags_and_may_be_unknown() -> None:
    log = made(LINES)
    known = {name for name, value in row(log, "a", 4).items() if value == 1.0}
    flags = {"age below 35", "income 35K to 74K", "home owner", "married", "children"}
    assert known >= flags
    unknown = row(log, "b", 45)
    assert unknown["no demographics"] == 1
    assert not any(unknown[name] for name in NAMES[38:48])


def test_a_type_that_is_left_out_might_as_well_never_have_been_sold() -> None:
    without = made(LINES, without=(CAKE,))
    never = made([one for one in LINES if one["type"] == MILK])
    for week in (2, 3, 11):
        assert row(without, "a", week) == row(never, "a", week)
    assert row(without, "b", 45)["trips"] == 0, "the household is still known"


def test_a_household_is_known_four_weeks_after_its_first_trip() -> None:
    log = made(LINES, without=(CAKE,))
    weeks = np.array([4, 5, 53])
    assert log.known(["a"] * 3, weeks).tolist() == [False, True, True]
    assert log.known(["b"] * 3, weeks).tolist() == [False, False, False]


def test_every_feature_lies_between_0_and_1_whatever_was_bought() -> None:
    rng = np.random.default_rng(0)
    lines = [
        line("c", int(week), int(rng.integers(2)), day=int(rng.integers(7)),
             hour=int(rng.integers(24)), dollars=float(rng.lognormal(3, 2)),
             coupon=bool(rng.integers(2)), tier=float(rng.random()))
        for week in rng.integers(1, 54, size=3_000)
    ]  # fmt: skip
    found = made(lines).rows(["c"] * 53, np.arange(1, 54))
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert len({feature.meaning for feature in features()}) > 40
