"""The baselines of CARTS: what each writes, asks, and picks."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.evals.baselines.titles import Bench
from merchgraph.evals.metrics.titles import broken, rules
from merchgraph.graphs.carts_state import Context, Goods
from merchgraph.runtime.scripted import Replies, scripted
from merchgraph.tools.text import length

GOODS = [
    Goods(item="1", title="Green tea, 20 bags", category="Drinks > Tea > Green tea"),
    Goods(item="2", title="Green tea, loose", category="Drinks > Tea > Green tea"),
    Goods(item="3", title="Rye bread", category="Bakery > Bread > Rye bread"),
]
TEXTS = [one.text for one in GOODS]


def bench(model: str = "scripted/none", goods: Sequence[Goods] = GOODS, rounds: int = 2) -> Bench:
    return Bench(goods, Context(model=model, rounds=rounds))


def test_the_template_names_the_commonest_type_and_is_made_long_enough() -> None:
    assert bench().template() == "Green Tea for You"
    long = "Hand painted porcelain tea cups from old Dresden workshops and more of them"
    cut = Bench([Goods(item="1", title=long)], Context(limit=20)).template()
    assert 0 < length(cut) <= 20


@pytest.mark.parametrize(
    "title", ["🙂🙂", "شاي أخضر", "x" * 10_000, "a\u0301" * 40, "Tea\nbag\u200b"]
)
def test_the_template_fits_whatever_the_items_are(title: str) -> None:
    found = bench(goods=[Goods(item="1", title=title)]).template()
    assert 0 < length(found) <= 50


@settings(max_examples=100)
@given(st.lists(st.text(min_size=1, max_size=40).filter(str.strip), min_size=1, max_size=4))
def test_the_template_is_never_too_long(titles: list[str]) -> None:
    goods = [Goods(item=f"{n}", title=title) for n, title in enumerate(titles)]
    assert length(bench(goods=goods).template()) <= 50


def test_the_best_is_feasible_before_it_covers_much_and_short_before_long() -> None:
    best = bench().best
    assert best(["Green tea & rye bread, silk", "Green teas only"]) == "Green teas only"
    assert best(["Green teas only", "Green tea & rye bread"]) == "Green tea & rye bread"
    assert best(["Green tea and rye bread", "Green tea & rye bread"]) == "Green tea & rye bread"
    assert best(["", "", "Silk!!"]) == ""
    assert broken("Green tea & rye bread", rules(10, 50, TEXTS)) == []


def test_every_draft_is_a_sample_of_its_own_in_its_own_lane() -> None:
    lanes = [f"{n}" for n in (0, 1, 5)]
    replies: Replies = {f"draft@{lane}": [f'{{"titles": ["Tea  {lane}"]}}'] for lane in lanes}
    with scripted(replies) as model:
        found = asyncio.run(bench(model).drafts([0, 1, 5]))
    assert found == ["Tea 0", "Tea 1", "Tea 5"]
    assert sorted(lane for _, lane, _ in model.script.asked) == lanes


def test_self_refine_rewrites_by_its_own_words_until_it_finds_no_fault() -> None:
    replies: Replies = {
        "draft": ['{"titles": ["Tea"]}'],
        "criticise": [json.dumps({"faults": ["It misses the bread."]}), '{"faults": []}'],
        "refine": ['{"title": "Tea & bread"}'],
    }
    with scripted(replies) as model:
        assert asyncio.run(bench(model, rounds=5).self_refined()) == "Tea & bread"
    revision = next(messages for agent, _, messages in model.script.asked if agent == "refine")
    assert "It misses the bread." in str(revision[-1].content)
    assert "10 to 50 characters" in str(revision[-1].content)


def test_self_refine_stops_after_its_rounds() -> None:
    replies: Replies = {
        "draft": ['{"titles": ["Tea"]}'],
        "criticise": ['{"faults": ["Dull."]}'] * 2,
        "refine": ['{"title": "Tea one"}', '{"title": "Tea two"}'],
    }
    with scripted(replies) as model:
        assert asyncio.run(bench(model).self_refined()) == "Tea two"


def test_a_draft_without_a_usable_reply_costs_only_itself() -> None:
    replies: Replies = {"draft@0": ["Tea", "Tea"], "draft@1": ['{"titles": ["Green tea"]}']}
    with scripted(replies) as model:
        found = asyncio.run(bench(model).drafts([0, 1]))
    assert (found, bench().best(found)) == (["", "Green tea"], "Green tea")


def test_a_critic_without_a_usable_reply_leaves_the_title() -> None:
    replies: Replies = {"draft": ['{"titles": ["Tea"]}'], "criticise": ["no", "no"]}
    with scripted(replies) as model:
        assert asyncio.run(bench(model).self_refined()) == "Tea"


def test_one_call_is_one_call() -> None:
    replies: Replies = {
        "draft": ['{"titles": ["Green\\n tea "]}'],
        "reason": ['{"reasoning": "It is tea.", "title": " Rye  bread"}'],
    }
    with scripted(replies) as model:
        assert asyncio.run(bench(model).single()) == "Green tea"
        assert asyncio.run(bench(model).thoughtful()) == "Rye bread"
        assert len(model.script.asked) == 2
