"""Raters of silent clips: measures with known values, and files that are wrong."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.reactions.crowd import (
    Rating,
    auc,
    dawid_skene,
    emulated,
    fleiss,
    judged,
    read_ratings,
    roc,
)
from merchgraph.tools.reactions.made import Made, made


def said(rows: dict[str, str]) -> list[Rating]:
    """clip -> answers of raters 0, 1, ... by their first letters."""
    full = {"e": "error", "f": "fine", "u": "unsure"}
    return [
        Rating(clip, f"r{n}", full[letter])
        for clip, letters in rows.items()
        for n, letter in enumerate(letters)
    ]


def test_measures_of_four_clips_by_hand() -> None:
    ratings = said({"a": "eee", "b": "eef", "c": "fff", "d": "euf"})
    told = judged(ratings, {"a": True, "b": True, "c": False, "d": False})
    assert (told.clips, told.raters) == (4, 3)
    assert told.accuracy == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert told.single == pytest.approx((3 + 2 + 3 + 1.5) / 12)
    assert told.auc == 1.0
    # agreement 1, 1/3, 1, 0; shares of the answers 6, 5 and 1 of 12
    chance = (36 + 25 + 1) / 144
    assert told.kappa == pytest.approx((7 / 12 - chance) / (1 - chance))


def test_the_roc_goes_from_nothing_to_everything_and_its_area_is_the_auc() -> None:
    rng = np.random.default_rng(0)
    error = rng.random(60) < 0.4
    score = np.round(error + rng.normal(size=60), 1)
    points = roc(score, error)
    assert (points[0], points[-1]) == ((0.0, 0.0), (1.0, 1.0))
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))
    assert area == pytest.approx(auc(score, error))


def test_raters_who_answer_at_random_agree_by_chance() -> None:
    rng = np.random.default_rng(1)
    rows = {f"c{n}": "".join(rng.choice(list("ef"), 4)) for n in range(500)}
    assert fleiss(said(rows), list(rows)) == pytest.approx(0, abs=0.05)


def test_one_rater_has_no_kappa_and_one_label_no_auc() -> None:
    told = judged(said({"a": "e", "b": "f"}), {"a": True, "b": True})
    assert np.isnan(told.kappa)
    assert np.isnan(told.auc)
    assert told.roc == []


def test_dawid_and_skene_find_who_is_always_wrong() -> None:
    rng = np.random.default_rng(2)
    truth = {f"c{n:03}": bool(rng.random() < 0.5) for n in range(200)}
    rows = {}
    for clip, error in truth.items():
        right, wrong = ("e", "f") if error else ("f", "e")
        good = [right if rng.random() < 0.8 else wrong for _ in range(3)]
        bad = [wrong if rng.random() < 0.9 else right for _ in range(2)]
        rows[clip] = "".join(good + bad)
    told = judged(said(rows), truth)
    assert told.dawid_skene > told.accuracy + 0.1
    p = dawid_skene(said(rows), sorted(truth))
    assert ((p >= 0) & (p <= 1)).all()


def test_more_emulated_raters_are_more_often_right() -> None:
    clips, planted = made(Made(people=10, clips=10))
    truth = {clip.name: clip.label == "error" for clip in clips.clips}
    few, many = (judged(emulated(planted, raters=r), truth) for r in (1, 15))
    assert many.auc > few.auc
    assert emulated(planted, seed=3) == emulated(planted, seed=3) != emulated(planted, seed=4)


def test_ratings_of_other_clips_are_refused() -> None:
    with pytest.raises(DataError, match="No rating is of a labelled clip"):
        judged(said({"a": "e"}), {"b": True})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"cannot be read as CSV"),
        ("clip,rater\na,r\n", r"no column 'answer'; give clip, rater, answer"),
        ("clip,rater,answer\na,r,maybe\n", r"'answer', row 1: 'maybe'; one of error"),
    ],
)
def test_wrong_ratings_are_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SetupError, match="rate clips by merchgraph data rate"):
        read_ratings(tmp_path)
    (tmp_path / "ratings.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_ratings(tmp_path)
