"""Counting what explanations name: whole names only, each once, and nothing in an empty one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.evals.metrics.explanations import Told, told

HISTORY = ["Eggs - large", "Milk", "Tea (green)"]
OFFERED = ["Eggs", "Milk", "Soap", "Tea (green)"]


@pytest.mark.parametrize(
    ("explanation", "expected"),
    [
        ("", Told(words=0, guess=False, bought=0, never=0)),
        ("Milk comes back each week", Told(words=5, guess=True, bought=0, never=0)),
        ("MILK, milk and soap", Told(words=4, guess=True, bought=0, never=1)),
        ("after eggs - large comes milk", Told(words=6, guess=True, bought=1, never=0)),
        ("Milkshakes and teaspoons", Told(words=3, guess=False, bought=0, never=0)),
        ("tea (green), then eggs", Told(words=4, guess=False, bought=1, never=1)),
    ],
)
def test_names_count_as_whole_words(explanation: str, expected: Told) -> None:
    assert told(explanation, "Milk", HISTORY, OFFERED) == expected


@given(st.text(max_size=200), st.lists(st.text(max_size=8), max_size=5))
def test_any_text_and_any_names_can_be_counted(text: str, names: list[str]) -> None:
    found = told(text, "Milk", names, OFFERED)
    assert found.words == len(text.split())
    assert found.bought <= len(set(names))
    assert found.never <= len(OFFERED)
