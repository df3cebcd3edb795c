"""Numbers, claims and content words that the sources do not give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.copy_rules.grounding import grounded, supported
from merchgraph.tools.copy_rules.word_lists import CLAIMS, FUNCTION, NUMBERS
from merchgraph.tools.text import stem, words

FACTS = ["14 coupons, each $1.50 off, for 1,200 organic products", "Up to 20% less until 30 July"]


@pytest.mark.parametrize(
    "text",
    [
        "14 coupons",
        "Fourteen coupons",
        "\u0661\u0664 coupons",
        "\uff11\uff14 coupons",
        "$1.5 off",
        "1.50 dollars off",
        "1200 products",
        "1,200 products",
        "20 % less",
        "20 percent less",
        "20\uff05 less",
        "Until 30 July",
        "Organic products",
        "Bread for one",
        "",
    ],
)
def test_what_a_fact_gives_passes(text: str) -> None:
    assert grounded(FACTS)({"header": text}).passed


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("25% less", "25%"),
        ("14% less", "14%"),
        ("$14", "$14"),
        ("1.50 % off", "1.50 %"),
        ("\u20ac1.50 off", "\u20ac1.50"),
        ("Save 20", "20"),
        ("1.2 products", "1.2"),
        ("Twenty coupons", "twenty"),
        ("Fifty coupons", "fifty"),
        ("#14 in town", "#14"),
        ("Our no. 1 bread", "no. 1"),
        ("2x the taste", "2"),
        ("\u00bd price", "1"),
        ("Free coupons", "free"),
        ("FREE coupons", "free"),
        ("F\u200bree coupons", "free"),
        ("The best coupons", "best"),
        ("Guaranteed fresh", "guarantee"),
        ("Number one in town", "number one"),
        ("Savings inside", "save"),
        ("Bargains", "bargain"),
    ],
)
def test_what_no_fact_gives_is_named(text: str, named: str) -> None:
    feedback = grounded(FACTS)({"header": text}).feedback
    assert feedback.startswith("Header says ")
    assert f"'{named}'" in feedback


def test_a_claim_passes_once_a_fact_makes_it() -> None:
    copy = {"header": "Free delivery"}
    assert not grounded(FACTS)(copy).passed
    assert grounded([*FACTS, "Delivery is free"])(copy).passed


@given(st.integers(0, 10**30), st.sampled_from(["", "%", " percent"]))
def test_any_number_needs_its_fact(number: int, unit: str) -> None:
    copy = {"header": f"Now {number}{unit} more"}
    assert not grounded(["bread"])(copy).passed
    assert grounded([f"{number:,}{unit}"])(copy).passed


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("Soft cotton dresses for summer", []),
        ("The softest dresses", ["softest"]),
        ("Dress for your summer with cotton", []),
        ("Silk dresses", ["silk"]),
        ("Silk dresses & silk scarves", ["silk", "scarves"]),
        ("S\u00adilk dresses", ["silk"]),
        ("夏 dresses", ["夏"]),
        ("Party of 5", ["party", "5"]),
        ("🎉", []),
    ],
)
def test_every_content_word_traces_to_a_source(text: str, unknown: list[str]) -> None:
    verdict = supported(["cotton dress", "soft", "for summers"])({"title": text})
    assert verdict.passed == (not unknown)
    assert all(repr(word) in verdict.feedback for word in unknown)


def test_the_allow_list_counts_with_its_forms() -> None:
    copy = {"title": "New styles"}
    assert supported(["cotton"])(copy).feedback == (
        "Title has 'styles', found in no source; use the sources' words"
    )
    assert supported(["cotton"], allow=["style"])(copy).passed


@pytest.mark.parametrize("sources", [[], [""], ["🎉", "!"]])
def test_sources_without_words_are_refused(sources: list[str]) -> None:
    with pytest.raises(SetupError, match="No source has a word"):
        supported(sources)


@given(st.lists(st.text()), st.text())
def test_a_text_is_always_supported_and_grounded_by_itself(sources: list[str], text: str) -> None:
    assert grounded([*sources, text])({"title": text}).passed
    assert supported([*sources, text, "a"])({"title": text}).passed


def test_the_word_lists_agree_with_each_other() -> None:
    forms = {stem(word) for word in FUNCTION}
    assert not [
        claim for claim in CLAIMS if len(words(claim)) == 1 and stem(claim) in forms - {"never"}
    ]
    assert not forms & {stem(word) for word in NUMBERS}
    assert len(set(CLAIMS)) == len(CLAIMS)
