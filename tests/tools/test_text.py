"""Characters, words and their forms, in any script."""

import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.text import (
    clip,
    find,
    found,
    graphemes,
    length,
    plain,
    stem,
    stems,
    trim,
    words,
)

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
HIDDEN = ["\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u202e", "\u034f", "\ufe0f"]

# clusters that a person counts as one, and which do not join a neighbour of this list
ONES = [
    "a",
    " ",
    "é",
    "e\u0301",
    "a\u0323\u0302",
    FAMILY,
    ENGLAND,
    "\U0001f44d\U0001f3fd",
    "\u2764\ufe0f",
    "1\ufe0f\u20e3",
    "각",
    "\u1100\u1161\u11a8",
    "नि",
    "क्षि",
    "ש\u05c1",
    "م",
    "字",
]


@pytest.mark.parametrize("one", ONES)
def test_what_a_person_sees_as_one_character_counts_as_one(one: str) -> None:
    assert length(one) == 1
    assert length(f"x{one}x") == 3


@given(st.lists(st.sampled_from(ONES)))
def test_characters_add_up(ones: list[str]) -> None:
    assert length("".join(ones)) == len(ones)
    assert graphemes("".join(ones)) == ones


def test_flags_are_counted_by_pairs_of_letters() -> None:
    assert length("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7") == 2
    assert length("नमस्ते") == 3
    assert length("a\r\nb") == 3


@given(st.text())
def test_characters_joined_are_the_text(text: str) -> None:
    assert "".join(graphemes(text)) == text
    assert length(text) == len(graphemes(text))


@given(st.text())
def test_the_plain_form_of_a_plain_form_is_itself(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_is_not_seen_does_not_part_a_word(hidden: str) -> None:
    assert words(hidden.join("FREE") + hidden) == ["free"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Free delivery", ["free", "delivery"]),
        ("\uff26\uff32\uff25\uff25", ["free"]),
        ("\U0001d405\U0001d411\U0001d404\U0001d404", ["free"]),
        ("f\u0336r\u0336e\u0336e\u0336", ["free"]),
        ("don\u2019t, kids'", ["don't", "kids"]),
        ("oat-milk/soy_milk", ["oat", "milk", "soy", "milk"]),
        ("1,000.50 at 9.99", ["1,000.50", "at", "9.99"]),
        ("100ml", ["100ml"]),
        ("全场免费", ["全", "场", "免", "费"]),
        ("Straße", ["strasse"]),
        ("cafe\u200b\u0301", ["café"]),
        ("خصم كبير", ["خصم", "كبير"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("🎉 … !", []),
        ("", []),
    ],
)
def test_words_are_found_in_their_plain_form(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "forms",
    [
        ["delivery", "deliveries", "Delivery's"],
        ["save", "saves", "saved", "saving", "SAVINGS"],
        ["box", "boxes"],
        ["berry", "berries"],
        ["fresh", "freshly"],
        ["run", "runs", "running"],
    ],
)
def test_forms_of_a_word_share_their_stem(forms: list[str]) -> None:
    assert len({stems(form) for form in forms}) == 1


@pytest.mark.parametrize("word", ["größe", "日", "обувь", "café", "9.99"])
def test_a_word_beyond_plain_letters_is_its_own_stem(word: str) -> None:
    assert stem(word) == word


@pytest.mark.parametrize(
    ("phrase", "text", "place"),
    [
        ("art", "Party art", 1),
        ("art", "party", None),
        ("free delivery", "Now: FREE-deliveries", 1),
        ("free delivery", "Free and fast delivery", None),
        ("免费", "全场免费", 2),
        ("!", "wow!", None),
        ("", "wow", None),
    ],
)
def test_a_phrase_is_found_between_the_bounds_of_words(
    phrase: str, text: str, place: int | None
) -> None:
    assert find(phrase, text) == place
    assert found([phrase], text) == ([phrase] if place is not None else [])


@given(st.text(), st.integers(1, 30))
def test_trimming_keeps_whole_characters_up_to_the_limit(text: str, limit: int) -> None:
    short = trim(text, limit)
    there = graphemes(text)
    assert graphemes(short) == there[: length(short)]
    assert length(short) <= limit
    assert short == text if len(there) <= limit else short


@given(st.lists(st.sampled_from(["milk", "and", "&", "bread", "café"])), st.integers(6, 40))
def test_trimming_cuts_at_the_end_of_a_word(parts: list[str], limit: int) -> None:
    parts = ["bread", *parts]
    short = trim(" ".join(parts), limit)
    kept = short.split()
    assert kept == parts[: len(kept)]


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Fresh bread & milk", 13, "Fresh bread"),
        ("Fresh bread & milk", 11, "Fresh bread"),
        ("Fresh bread & milk", 18, "Fresh bread & milk"),
        ("Rindfleischetikett", 5, "Rindf"),
        (f"{FAMILY}{FAMILY}{FAMILY}", 2, f"{FAMILY}{FAMILY}"),
        ("   x", 2, "  "),
        ("", 1, ""),
    ],
)
def test_a_trimmed_text_ends_cleanly(text: str, limit: int, expected: str) -> None:
    assert trim(text, limit) == expected


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(SetupError, match="trimmed to 0 characters; give at least 1"):
        trim("x", 0)


def test_a_quotation_of_a_huge_text_is_short() -> None:
    assert clip("short") == "short"
    assert clip("x" * 10_000) == "x" * 40 + "…"
    assert len(clip("e" + "\u0301" * 10_000)) < 400


def test_threads_share_the_stemmer_without_mixing_words() -> None:
    ends = ("berries", "savings", "ation", "fulness", "ly")
    texts = [
        f"{one}{two}{end}" for one in ascii_lowercase for two in ascii_lowercase for end in ends
    ]
    stem.cache_clear()
    expected = [stem(text) for text in texts]
    stem.cache_clear()
    patience = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(stem, texts)) == expected
    finally:
        sys.setswitchinterval(patience)


@given(st.text())
def test_words_are_composed_whatever_the_text_was(text: str) -> None:
    assert words(text) == words(unicodedata.normalize("NFD", text))
