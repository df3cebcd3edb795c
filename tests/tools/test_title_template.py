"""Titles by code."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from merchgraph.tools.title_template import templates


def number_of_features(title: str) -> float:
    return title.count(",") + title.count("&")


def test_features_are_joined_and_the_best_come_first() -> None:
    found = templates(["bread", "JAM", "iced Tea"], number_of_features, lambda _: True, count=3)
    assert found[0] == "Bread, Jam & Iced Tea"
    assert len(found) == 3


def test_short_features_get_an_ending_without_content() -> None:
    found = templates(["tea"], lambda _: 0, lambda title: len(title) >= 10, count=9)
    assert found[0] == "Tea for You"


def test_features_that_share_a_word_are_not_joined() -> None:
    found = templates(["bread", "rye breads"], number_of_features, lambda _: True, count=20)
    assert not [title for title in found if "&" in title]


def test_only_titles_that_fit_come_back_and_fewer_where_there_are_none() -> None:
    assert templates(["bread"], number_of_features, lambda _: False, count=3) == []
    assert templates([], number_of_features, lambda _: True, count=3) == []


def test_later_features_stand_in_where_the_first_ones_do_not_fit() -> None:
    words = [*(f"word{'x' * n}" for n in range(1, 9)), "tea"]
    found = templates(words, lambda _: 0, lambda title: "word" not in title.casefold(), count=1)
    assert found == ["Tea"]


@given(
    st.lists(st.text(alphabet="abc XY", min_size=1, max_size=8), max_size=10), st.integers(1, 12)
)
def test_templates_are_different_and_as_many_as_asked_at_most(
    features: list[str], count: int
) -> None:
    found = templates(features, number_of_features, lambda title: bool(title.strip()), count=count)
    assert len(found) == len(set(found)) <= count
