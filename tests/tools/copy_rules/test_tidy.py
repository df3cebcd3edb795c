"""Small repairs before a check."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from merchgraph.tools.copy_rules.tidy import Tidy
from merchgraph.tools.text import length

PIECES = [
    "bread",
    " ",
    "  ",
    ",",
    " and ",
    " And ",
    "&",
    " & ",
    " or ",
    ".",
    "!",
    "?",
    "U.S.",
    "\u0301",
    "\n",
]
NEAR = st.lists(st.sampled_from(PIECES)).map("".join)
SWITCHES = st.builds(
    Tidy,
    compose=st.booleans(),
    blanks=st.booleans(),
    ampersand=st.booleans(),
    serial_comma=st.booleans(),
    last_mark=st.booleans(),
)


def tidied(text: str, tidy: Tidy | None = None) -> str:
    return (tidy or Tidy())({"header": text})["header"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Bread, milk,  and eggs. ", "Bread, milk & eggs"),
        ("Bread and milk", "Bread & milk"),
        ("Sandwiches and brandy", "Sandwiches & brandy"),
        ("Bread and and milk", "Bread & & milk"),
        ("Bread, and milk", "Bread, & milk"),
        ("Bread, milk, or eggs", "Bread, milk or eggs"),
        ("Bread, milk. Eggs, and more", "Bread, milk. Eggs, & more"),
        ("Fresh bread!", "Fresh bread"),
        ("Fresh bread?", "Fresh bread?"),
        ("Fresh bread. Each day.", "Fresh bread. Each day."),
        ("Made in the U.S.", "Made in the U.S."),
        ("Made in the U.S..", "Made in the U.S."),
        ("Cafe\u0301", "Café"),
        ("Fresh\nbread", "Fresh bread"),
        ("新鲜面包。", "新鲜面包"),
        ("...", ""),
        ("", ""),
    ],
)
def test_copies_are_tidied(text: str, expected: str) -> None:
    assert tidied(text) == expected


@pytest.mark.parametrize(
    ("switch", "text"),
    [
        ("compose", "Cafe\u0301"),
        ("blanks", "Fresh  bread"),
        ("ampersand", "Bread and milk"),
        ("serial_comma", "Bread, milk, or eggs"),
        ("last_mark", "Fresh bread."),
    ],
)
def test_each_repair_can_be_switched_off(switch: str, text: str) -> None:
    assert tidied(text) != text
    assert tidied(text, Tidy.model_validate({switch: False})) == text


@given(st.text() | NEAR, SWITCHES)
def test_tidying_twice_changes_nothing_more(text: str, tidy: Tidy) -> None:
    once = tidied(text, tidy)
    assert tidied(once, tidy) == once


@given(st.text() | NEAR, SWITCHES)
def test_tidying_never_makes_a_text_longer(text: str, tidy: Tidy) -> None:
    assert length(tidied(text, tidy)) <= length(text)


def test_every_part_is_tidied_and_an_unknown_repair_refused() -> None:
    assert Tidy()({"header": "A.", "subheader": "B."}) == {"header": "A", "subheader": "B"}
    with pytest.raises(ValidationError, match="Extra inputs"):
        Tidy.model_validate({"commas": False})
