"""Required and excluded words, and their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.copy_rules.keywords import before, excluded, required

FORMS = {
    "delivery": ["delivery", "Deliveries", "DELIVERY", "delivery's"],
    "save": ["save", "Saves", "saving", "saved"],
    "coupon": ["coupon", "COUPONS", "Coupon\u2019s"],
    "free delivery": ["Free delivery", "free  deliveries", "FREE-DELIVERY"],
    "café": ["café", "CAFÉ", "cafe\u0301"],
    "免费": ["免费"],
}
CASES = [(word, form) for word, forms in FORMS.items() for form in forms]
HIDDEN = st.text(st.sampled_from("\u00ad\u200b\u200c\u200d\u2060\ufeff\u202e\u034f\ufe0f"))
LETTERS = st.text(st.characters(categories=["Ll"], max_codepoint=0x7F), min_size=1)


def wide(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


def header(text: str) -> dict[str, str]:
    return {"header": text}


@pytest.mark.parametrize(("word", "form"), CASES)
def test_a_keyword_is_found_in_each_of_its_forms(word: str, form: str) -> None:
    copy = header(f"So {form}, now!" if word != "免费" else f"全场{form}配送")
    assert required([word])(copy).passed
    assert not excluded([word])(copy).passed


@given(LETTERS)
def test_a_keyword_is_never_found_inside_another_word(rest: str) -> None:
    for text in (f"p{rest}art", f"{rest}art", f"zart{rest}"):
        assert not required(["art"])(header(text)).passed
        assert excluded(["art"])(header(text)).passed


@given(st.lists(HIDDEN, min_size=4, max_size=4), st.booleans(), st.booleans())
def test_a_banned_word_cannot_be_smuggled(hidden: list[str], broad: bool, loud: bool) -> None:
    word = "free".upper() if loud else "free"
    word = wide(word) if broad else word
    text = "".join(letter + between for letter, between in zip(word, hidden, strict=True))
    verdict = excluded(["free"])(header(f"Now {text}"))
    assert verdict.feedback == ("Header has 'free'; not allowed in any form; say it in other words")


@pytest.mark.parametrize(
    "mark", ["f\u0336r\u0336e\u0336e\u0336", "\U0001d405\U0001d411ee", "FR\u00adEE"]
)
def test_letters_in_disguise_are_read_through(mark: str) -> None:
    assert not excluded(["free"])(header(mark)).passed


def test_a_phrase_that_begins_with_the_other_comes_in_order() -> None:
    assert before("cat food", "cat")(header("Cat food")).passed
    assert before("cat", "cat food")(header("Cat food")).passed


def test_what_is_missing_is_named() -> None:
    copy = {"header": "Fresh bread", "subheader": "And milk"}
    verdict = required(["bread", "milk", "coupon"])(copy)
    assert verdict.feedback == "The copy has no 'coupon'; required in any form; add it"
    assert required(["milk"], "header")(copy).feedback.startswith("Header has no 'milk'")
    assert required(["milk"], "subheader")(copy).passed
    assert not required(["milk"], "footer")(copy).passed


def test_a_phrase_does_not_run_over_two_parts() -> None:
    copy = {"header": "All free", "subheader": "delivery"}
    assert not required(["free delivery"])(copy).passed
    assert excluded(["free delivery"])(copy).passed


def test_only_the_named_part_is_searched_for_banned_words() -> None:
    copy = {"header": "Fresh bread", "subheader": "Cheap milk"}
    assert excluded(["cheap"], "header")(copy).passed
    assert excluded(["cheap"])(copy).feedback.startswith("Subheader has 'cheap'")


@pytest.mark.parametrize(
    ("copy", "passes"),
    [
        ({"header": "Canned and dry food"}, True),
        ({"header": "Dry & canned food"}, False),
        ({"header": "Dry, canned & dry food"}, False),
        ({"header": "Canned food", "subheader": "Dry food"}, True),
        ({"header": "Dry food", "subheader": "Canned food"}, False),
        ({"header": "Dry food"}, True),
        ({"header": "Scanned and dry food"}, True),
        ({}, True),
    ],
)
def test_order_is_checked_where_both_phrases_are(copy: dict[str, str], passes: bool) -> None:
    verdict = before("canned", "dry")(copy)
    assert verdict.passed == passes
    assert verdict.rule == "order"
    if not passes:
        assert verdict.feedback == (
            "'dry' comes before 'canned'; 'canned' must come first; change their order"
        )


@pytest.mark.parametrize("nothing", ["", "!?", "🎉", "\u200b"])
def test_a_keyword_without_letters_is_refused(nothing: str) -> None:
    for make in (required, excluded, lambda words: before("a", *words)):
        with pytest.raises(SetupError, match="has neither letters nor digits"):
            make([nothing])


@given(st.text())
def test_any_text_gets_a_verdict(text: str) -> None:
    for rule in (required(["bread"]), excluded(["bread"]), before("bread", "milk")):
        verdict = rule(header(text))
        assert verdict.passed == (not verdict.feedback)
