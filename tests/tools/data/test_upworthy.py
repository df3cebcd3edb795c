from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.settings import settings, use_settings
from merchgraph.tools.data.upworthy import FILE, clear_pairs, load, pilots, split

SHOWS = 3_000


def package(test: str, headline: str, clicks: int, **other: Any) -> dict[str, Any]:
    """A row of the file, with a column that nothing may read."""
    row = {
        "clickability_test_id": test, "eyecatcher_id": "tree", "headline": headline, "clicks": clicks,
        "impressions": SHOWS, "test_week": 201420, "lede": "", "significance": 100.0,
    }  # fmt: skip
    return {**row, **other}


def write(folder: Path, rows: list[dict[str, Any]] | pl.DataFrame) -> None:
    (folder / FILE).parent.mkdir(exist_ok=True)
    pl.DataFrame(rows).write_parquet(folder / FILE)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with use_settings(data=tmp_path):
        yield tmp_path


@pytest.fixture(scope="module")
def real() -> pl.DataFrame:
    if not (settings().data / FILE).is_file():
        pytest.skip(f"{settings().data / FILE} is not there; set MERCHGRAPH_DATA to test it")
    return load()


def test_the_real_data_has_the_counts_that_are_documented(real: pl.DataFrame) -> None:
    pairs = clear_pairs(real)
    assert (real.height, pairs.height, pairs["test"].n_unique()) == (15_370, 2_760, 1_004)
    assert not real["week"].is_between(201325, 201402).any()
    assert pilots(real)["test"].n_unique() == 1_971
    parts = split(pairs)
    assert (parts.earlier.height, parts.later.height) == (1_783, 977)
    assert not set(parts.earlier["test"]) & set(parts.later["test"])


def test_the_order_of_a_real_pair_says_little_of_its_clicks(real: pl.DataFrame) -> None:
    assert 0.45 < (clear_pairs(real)["z"] > 0).mean() < 0.55  # type: ignore[operator]


def test_packages_that_differ_in_other_texts_are_added_up(folder: Path) -> None:
    write(folder, [package("t", "A", 30, lede="x"), package("t", "A", 50, lede="y")])
    assert load().row(0, named=True) == {
        "test": "t", "week": 201420, "image": "tree", "headline": "A", "shows": 2 * SHOWS, "clicks": 80,
    }  # fmt: skip


def test_flawed_weeks_and_packages_without_an_image_are_left_out(folder: Path) -> None:
    weeks = [201324, 201325, 201352, 201402, 201403]
    rows = [package(f"{week}", "A", 30, test_week=week) for week in weeks]
    write(folder, [*rows, package("t", "A", 30, eyecatcher_id=None)])
    assert load()["test"].to_list() == ["201324", "201403"]


def test_a_test_of_two_weeks_lies_on_one_side(folder: Path) -> None:
    write(
        folder, [package("t", "A", 30, test_week=201439), package("t", "B", 90, test_week=201440)]
    )
    parts = split(load())
    assert (parts.earlier.height, parts.later.height) == (2, 0)


def test_pairs_have_one_image_and_clearly_different_rates(folder: Path) -> None:
    write(
        folder,
        [
            package("t", "low", 30),
            package("t", "high", 60),
            package("t", "middle", 45),
            package("t", "elsewhere", 200, eyecatcher_id="sea"),
            package("u", "other test", 200),
        ],
    )
    pair = clear_pairs(load()).row(0, named=True)
    rate = 90 / (2 * SHOWS)
    error = math.sqrt(rate * (1 - rate) * 2 / SHOWS)
    assert clear_pairs(load()).height == 1
    assert (pair["first"], pair["second"]) == ("high", "low")
    assert (pair["clicks_first"], pair["clicks_second"]) == (60, 30)
    assert pair["z"] == pytest.approx((60 - 30) / SHOWS / error)
    assert clear_pairs(load(), least=pair["z"] + 1e-9).height == 0


def test_two_headlines_without_a_click_are_no_clear_pair(folder: Path) -> None:
    write(folder, [package("t", "A", 0), package("t", "B", 0), package("t", "C", SHOWS)])
    assert clear_pairs(load(), least=0)["first"].to_list() == ["A", "B"]


def test_a_pilot_is_the_image_with_most_headlines(folder: Path) -> None:
    rows = [package("t", name, 30) for name in "AB"]
    rows += [package("t", name, 30, eyecatcher_id="sea") for name in "ABC"]
    rows += [package("t", name, 30, eyecatcher_id="sun") for name in "ABD"]
    write(folder, [*rows, package("t", "A", 1, eyecatcher_id="sun"), package("alone", "A", 1)])
    found = pilots(load())
    assert found["test"].unique().to_list() == ["t"]
    assert (found["image"].unique().to_list(), found["headline"].to_list()) == (["sun"], [*"ABD"])


def test_an_absent_folder_is_named_with_its_setting(folder: Path) -> None:
    with pytest.raises(SetupError, match=r"upworthy_clean.parquet.*MERCHGRAPH_DATA"):
        load()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"clicks": SHOWS + 1}, "'clicks' has 3001 in row 2, but clicks are at least 0"),
        ({"clicks": -1}, "'clicks' has -1 in row 2"),
        ({"impressions": 0}, "'shows' has 0 in row 2"),
        ({"headline": None}, "'headline' has None in row 2"),
        ({"clickability_test_id": None}, "'test' has None in row 2"),
        ({"test_week": None}, "'week' has None in row 2"),
    ],
)
def test_a_count_that_cannot_be_is_named(
    folder: Path, change: dict[str, Any], problem: str
) -> None:
    write(folder, [package("t", "A", 1), package("t", "B", 1) | change])
    with pytest.raises(DataError, match=problem):
        load()


def test_an_absent_column_is_named(folder: Path) -> None:
    write(folder, pl.DataFrame([package("t", "A", 1)]).drop("headline"))
    with pytest.raises(DataError, match="the column 'headline' is missing"):
        load()


def test_a_file_that_is_no_table_is_named(folder: Path) -> None:
    write(folder, [package("t", "A", 1)])
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:-20])
    with pytest.raises(DataError, match=r"cannot be read as the table of headlines"):
        load()


def test_the_column_significance_is_not_read(folder: Path) -> None:
    rows = [package("t", "A", 30), package("t", "B", 90)]
    write(folder, rows)
    with_it = clear_pairs(load())
    write(folder, pl.DataFrame(rows).drop("significance"))
    assert clear_pairs(load()).equals(with_it)
