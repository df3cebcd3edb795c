"""Visible characters, punctuation and capitals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.tools.constraints import Rule
from merchgraph.tools.copy_rules.style import Case, capitals, punctuation, visible


def fault(rule: Rule, text: str) -> str:
    return rule({"header": text}).feedback.removeprefix("Header ")


@pytest.mark.parametrize(
    "text",
    [
        "Fresh bread & milk",
        "Für Größe: café, 100 %",
        "خبز طازج كل يوم",
        "می\u200cروم",
        "לחם טרי כל יום",
        "क्\u200dष ताज़ा",
        "焼きたてのパン",
        "\u0600\u0661\u0662",
        "빵 각",
        "Family \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \u2764\ufe0f 1\ufe0f\u20e3",
        "\U0001f469\U0001f3fd\u200d\u2764\ufe0f\u200d\U0001f48b\u200d\U0001f468\U0001f3ff",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f \U0001f1e9\U0001f1ea",
        "",
    ],
)
def test_text_that_a_person_can_see_passes(text: str) -> None:
    assert fault(visible(), text) == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Fresh\nbread", "a line break (U+000A)"),
        ("Fresh\u2028bread", "a line break (U+2028)"),
        ("Fresh\x07bread", "a control character (U+0007)"),
        ("Fresh\tbread", "a control character (U+0009)"),
        ("Fr\u200besh", "an invisible character (U+200B)"),
        ("Fr\u200desh", "an invisible character (U+200D)"),
        ("Fr\u00adesh", "an invisible character (U+00AD)"),
        ("\u202ehserF", "an invisible character (U+202E)"),
        ("\u2066Fresh\u2069", "an invisible character (U+2066)"),
        ("Fresh\u3164bread", "an invisible character (U+3164)"),
        ("Fresh\u2800bread", "an invisible character (U+2800)"),
        ("Fresh\ufe0f", "an invisible character (U+FE0F)"),
        ("Fresh\U000e0069\U000e0067", "an invisible character (U+E0069)"),
        ("Fresh \ud800", "a character without a shape (U+D800)"),
        ("Fresh \ue000", "a character without a shape (U+E000)"),
        ("e" + "\u0301" * 20, "a pile of marks"),
        ("\U0001f468" + "\u200d\U0001f468" * 20, "a pile of marks"),
        (" Fresh", "blanks at an end"),
        ("Fresh  bread", "blanks at an end or in a row"),
        ("fr\u0435\u0435 bread", "mixes alphabets in 'fr\u0435\u0435'"),
    ],
)
def test_what_hides_or_breaks_is_named(text: str, named: str) -> None:
    assert named in fault(visible(), text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Fresh bread", ""),
        ("Fresh bread!", "ends with '!'; it must end without a mark; remove it"),
        ("Fresh bread\u2026", "has '…'; allowed marks are"),
        ("Fresh!! Bread", "has '!!'; one mark is enough; keep one"),
        ("Fresh?! Bread", "has '?!'"),
        ("Fresh.. Bread", "has '..'"),
        ("Fresh!, bread", "has '!,'"),
        ("Fresh; bread", "has ';'; allowed marks are"),
        ("<b>Fresh</b>", "has '<', '>', '/'"),
        ("Bread, 100%", ""),
        ("Bread for $3 🎉", ""),
        ("The baker's bread", ""),
    ],
)
def test_marks_are_allowed_single_and_not_last(text: str, named: str) -> None:
    found = fault(punctuation(), text)
    assert named in found
    assert bool(named) == bool(found)


@pytest.mark.parametrize(
    ("text", "end", "passes"),
    [
        ("Fresh bread.", ".!", True),
        ("Fresh bread", ".!", False),
        ("Fresh bread?", ".!", False),
        ("", ".!", False),
        ("Fresh bread!", None, True),
        ("Fresh bread", None, True),
        ("新鲜面包。", "", False),
    ],
)
def test_the_end_is_as_wanted(text: str, end: str | None, passes: bool) -> None:
    rule = punctuation(".!?\u3002", end=end)
    assert rule({"header": text}).passed == passes


@pytest.mark.parametrize(
    ("text", "case", "named"),
    [
        ("FREE bread", "any", "shouts 'FREE'"),
        ("BUY NOW", "any", "shouts 'BUY', 'NOW'"),
        ("\uff26\uff32\uff25\uff25 bread", "any", "shouts"),
        ("TV and BBQ", "any", ""),
        ("KOALA bread", "any", ""),
        ("fresh BREad", "any", ""),
        ("Fresh bread for all", "sentence", ""),
        ("fresh bread", "sentence", "has 'fresh'; sentence case is required"),
        ("Fresh Bread", "sentence", "has 'Bread'; sentence case"),
        ("Fresh Italian bread. Try it", "sentence", ""),
        ("Your TV snacks", "sentence", ""),
        ("5 new breads", "sentence", ""),
        ("Bread of the Day", "title", ""),
        ("Bread Of The Day", "title", ""),
        ("Bread of the day", "title", "has 'day'; title case"),
        ("the Bread", "title", "has 'the'"),
        ("New iPhone Case", "title", ""),
        ("خبز طازج", "title", ""),
        ("焼きたて", "sentence", ""),
    ],
)
def test_capitals_are_as_wanted(text: str, case: Case, named: str) -> None:
    found = fault(capitals(case, names=["Italian", "KOALA", "iPhone"]), text)
    assert named in found
    assert bool(named) == bool(found)


@given(st.text())
def test_any_text_gets_a_verdict_that_quotes_little(text: str) -> None:
    for rule in (visible(), punctuation(), capitals("sentence"), capitals("title")):
        verdict = rule({"header": text * 50})
        assert verdict.passed == (not verdict.feedback)
        assert len(verdict.feedback) < 1_500


# U+110BD, as the signs before Arabic numbers, is a format character that has a shape
UNSEEN = st.characters(categories=["Cc", "Cf", "Cs", "Co", "Zl", "Zp"]).filter(
    lambda sign: not ("\u0600" <= sign <= "\u08e2" and sign != "\u061c") and ord(sign) >> 8 != 0x110
)


@given(st.text(UNSEEN, min_size=1))
def test_nothing_unseen_passes(hidden: str) -> None:
    assert not visible()({"header": f"Fresh{hidden} bread"}).passed
