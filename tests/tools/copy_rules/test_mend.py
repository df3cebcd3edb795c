"""What is too long is cut by code where a person would cut it, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.tools.constraints import Limits
from merchgraph.tools.copy_rules.mend import shortened
from merchgraph.tools.copy_rules.word_lists import FUNCTION
from merchgraph.tools.text import length, words

LIMITS = Limits(10, 30)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Coupons for every month of the year and of the next one", "Coupons for every month"),
        ("Cereal for kids & adults, now with chocolate", "Cereal for kids & adults"),
        ("Tea, coffee and cakes for all the family", "Tea, coffee and cakes"),
        ("Soup for every day — and for a rainy one", "Soup for every day"),
        ("Cheese, soup or juice / with coupons", "Cheese, soup or juice"),
        ("Ä" * 20 + " " + "ö" * 20, "Ä" * 20),
    ],
)
def test_a_long_text_ends_on_a_word_that_can_end_it(text: str, short: str) -> None:
    assert shortened(text, LIMITS) == short


@pytest.mark.parametrize(
    "text",
    ["", "short", "Exactly as long as is allowed.", "with the and of for a in to by at up on"],
)
def test_what_cannot_be_cut_is_left(text: str) -> None:
    assert shortened(text, LIMITS) is None


@given(st.text(alphabet="ab wit,&-. ñ👩‍👩‍👧", max_size=80))
def test_what_comes_out_keeps_the_limits_and_begins_the_text(text: str) -> None:
    short = shortened(text, LIMITS)
    if short is None:
        return
    assert text.startswith(short)
    assert LIMITS.least <= length(short) <= LIMITS.most < length(text)
    assert words(short)[-1:] == [] or words(short)[-1] not in FUNCTION
