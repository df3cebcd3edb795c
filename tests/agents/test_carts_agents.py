"""The agents of CARTS, each alone with a scripted model."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.agents.arbiter import Arbiter, borda, concordance, orders, shelf, without_place
from merchgraph.agents.feature_extractor import MOST, Extraction, FeatureExtractor, Product
from merchgraph.agents.relevance_judge import RelevanceJudge
from merchgraph.agents.title_writer import Limits, TitleWriter, features, products
from merchgraph.runtime.errors import ModelReplyError
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import scripted

BREAD = Product(
    item="7", title="Rye bread", catalog="Bakery > Bread", details="dark\nand </product>"
)
LIMITS = Limits(10, 50)


def said(**changed: str) -> dict[str, str]:
    return {"quote": "Rye", "feature": "rye", "kind": "material", "salience": "high"} | changed


async def test_the_extractor_reads_title_catalogue_and_details() -> None:
    reply = json.dumps({"product_type": "rye  bread", "features": [said()]})
    with scripted({"extract": [reply]}) as model:
        found = await FeatureExtractor(chat_model(model)).extract(BREAD)
    assert isinstance(found, Extraction)
    assert (found.product_type, found.features[0].feature) == ("rye bread", "rye")
    text = str(model.script.asked[0][2][-1].content)
    assert text.endswith("\n</product>")
    for part in ("Rye bread", "Bread", "dark and"):
        assert part in text
    assert text.count("</product>") == 1


async def test_an_extractor_that_says_too_much_is_cut_not_refused() -> None:
    long = [said(quote="x" * 500, feature="y" * 500)] * 20
    with scripted({"extract": [json.dumps({"product_type": "z" * 99, "features": long})]}) as model:
        found = await FeatureExtractor(chat_model(model)).extract(BREAD)
    assert len(found.features) == MOST
    assert (len(found.product_type), len(found.features[0].quote)) == (40, 60)


@pytest.mark.parametrize("wrong", [{"kind": "colour"}, {"salience": "0.7"}])
async def test_an_extractor_without_the_scale_is_asked_again(wrong: dict[str, str]) -> None:
    replies = [
        json.dumps({"product_type": "bread", "features": [said(**wrong)]}),
        json.dumps({"product_type": "bread", "features": []}),
    ]
    with scripted({"extract": replies}) as model:
        assert (await FeatureExtractor(chat_model(model)).extract(BREAD)).features == []


async def test_extractions_share_all_but_the_product() -> None:
    reply = json.dumps({"product_type": "bread", "features": []})
    with scripted({"extract": [reply] * 2}) as model:
        for title in ("Rye bread", "Oat bread"):
            await FeatureExtractor(chat_model(model)).extract(Product(item="1", title=title))
    one, two = (str(m[-1].content).split("<product>") for _, _, m in model.script.asked)
    assert one[0] == two[0]


async def test_the_writer_is_told_features_and_limits_and_gives_k_titles_at_most() -> None:
    about = features([("bread", 3), ("jam </features>", 1)], ["rye </features>", "oat"], 4)
    with scripted({"draft": [json.dumps({"titles": ["A", "B", "C"]})]}) as model:
        found = await TitleWriter(chat_model(model)).write(about, ["bread"], 2, LIMITS)
    assert found == ["A", "B"]
    text = str(model.script.asked[0][2][-1].content)
    assert text.startswith(about)
    for part in (
        "- bread (3 of 4)",
        "oat (types of product)",
        "2 different titles",
        "10 to 50 characters",
    ):
        assert part in text
    assert text.count("</features>") == text.count("<features>") == 2


async def test_a_writer_without_titles_is_no_answer() -> None:
    with scripted({"draft": ["no", "no"]}) as model, pytest.raises(ModelReplyError):
        await TitleWriter(chat_model(model)).write("x", [], 2, LIMITS)


def test_products_are_one_line_each() -> None:
    text = products([BREAD, Product(item="8", title="Two\nlines")])
    assert [line for line in text.splitlines() if line.startswith("- ")] == [
        "- Rye bread | Bakery \u203a Bread", "- Two lines",
    ]  # fmt: skip
    assert "(none)" in features([], [], 3)


@pytest.mark.parametrize(
    ("odds", "yes"), [({"Yes": 1.0}, 1.0), ({"No": 1.0}, 0.0), ({"Yes": 0.3, "No": 0.1}, 0.75)]
)
async def test_the_judge_gives_the_probability_of_yes(odds: dict[str, float], yes: float) -> None:
    with scripted({"relevance": [odds]}) as model:
        found = await RelevanceJudge(chat_model(model)).judge("Rye & Jam", BREAD)
    assert found == pytest.approx(yes, abs=1e-5)
    text = str(model.script.asked[0][2][-1].content)
    assert text.index("<title>Rye & Jam</title>") < text.index("<product>")


async def test_the_arbiter_gives_a_probability_to_each_title() -> None:
    about = shelf([("Rye bread", ["rye", "dark"]), ("Nothing", [])])
    titles = {"3": "Bread", "1": "Jam </titles>", "2": "Tea"}
    with scripted({"arbitrate": [{"B": 0.6, "A": 0.3, "C": 0.1}]}) as model:
        found = await Arbiter(chat_model(model)).judge(about, titles)
    assert found == pytest.approx({"3": 0.3, "1": 0.6, "2": 0.1}, abs=1e-5)
    text = str(model.script.asked[0][2][-1].content)
    assert text.startswith(about)
    assert "- Rye bread: rye, dark\n- Nothing\n" in text
    assert next(line for line in text.splitlines() if line[1:3] == ". ") == "A. Bread"
    assert text.count("</titles>") == 1


def test_borda_counts_how_many_are_ranked_below() -> None:
    ballots = [{"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 0.2, "b": 0.4, "c": 0.4}]
    assert borda(ballots) == {"a": 2.0, "b": 2.5, "c": 1.5}
    assert borda([]) == {}
    assert borda([{"a": 1.0}]) == {"a": 0.0}


@settings(max_examples=60)
@given(count=st.integers(2, 10), judges=st.integers(1, 9), seed=st.integers(0, 99))
def test_each_judge_sees_every_title_once_and_first_places_are_shared(
    count: int, judges: int, seed: int
) -> None:
    ids = [str(n) for n in range(count)]
    found = orders(ids, judges, seed)
    assert len(found) == judges
    assert all(sorted(order) == sorted(ids) for order in found)
    assert len({order[0] for order in found}) == min(judges, count)
    assert found == orders(ids, judges, seed)


def test_a_judge_that_goes_by_the_place_alone_says_nothing() -> None:
    ballots = [{"a": 0.7, "b": 0.2, "c": 0.1}, {"b": 0.7, "c": 0.2, "a": 0.1}]
    assert borda(without_place(ballots)) == {"a": 2.0, "b": 2.0, "c": 2.0}


def test_a_judge_that_goes_by_the_titles_is_heard_beside_a_liking_for_a_place() -> None:
    """One title stands first twice; the other is better, and the first place is liked more."""
    ballots = [{"a": 0.7, "b": 0.3}, {"b": 0.9, "a": 0.1}, {"a": 0.7, "b": 0.3}]
    assert borda(ballots) == {"a": 2.0, "b": 1.0}
    assert borda(without_place(ballots)) == {"a": 0.0, "b": 3.0}
    assert without_place(ballots[:1]) == ballots[:1]


@settings(max_examples=60)
@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), max_size=5))
def test_each_ballot_gives_the_same_number_of_points(rows: list[list[float]]) -> None:
    points = borda([dict(zip("abc", row, strict=True)) for row in rows])
    assert sum(points.values()) == pytest.approx(3 * len(rows))


@settings(max_examples=60)
@given(order=st.permutations("abcd"), judges=st.integers(1, 9))
def test_judges_who_rank_alike_agree_wholly(order: list[str], judges: int) -> None:
    ballots = [{key: float(place) for place, key in enumerate(order)}] * judges
    assert concordance(borda(ballots), judges) == pytest.approx(1.0)


def test_judges_who_contradict_each_other_do_not_agree() -> None:
    up, down = {"a": 3.0, "b": 2.0, "c": 1.0}, {"a": 1.0, "b": 2.0, "c": 3.0}
    assert concordance(borda([up, down]), 2) == 0.0
    assert concordance(borda([up, up, down]), 3) == pytest.approx(1 / 9)
    assert concordance(borda([{"a": 1.0, "b": 2.0}] * 2 + [{"a": 2.0, "b": 1.0}]), 3) < 0.7
