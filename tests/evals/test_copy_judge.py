"""The held-out judge: what it is calibrated on, and that it tells a copy that says the topic."""

import asyncio
from pathlib import Path

import pytest

from merchgraph.evals.suites.copy_judge import HeldOut
from merchgraph.evals.suites.copy_labels import labels
from merchgraph.graphs.copywriting_state import loaded

BUNDLED = ["a", "b", "c"]
TOPIC_A = "There are coupons for tea."


@pytest.fixture(scope="module")
def judge() -> HeldOut:
    made = HeldOut()
    asyncio.run(made.calibrate(labels(BUNDLED)))
    return made


def test_every_label_is_of_a_check_that_its_use_case_has_and_of_one_side_only() -> None:
    found = labels(BUNDLED)
    assert [one.case for one in found] == [loaded(name) for name in BUNDLED]
    for case, rows in ((one.case, one.rows) for one in found):
        assert {row.check for row in rows} == set(case.judged)
        sides = [(row.check, str(row.asked.text)) for row in rows]
        assert len(set(sides)) == len(sides)
        for check in case.judged:
            assert sum(row.holds for row in rows if row.check == check) >= 10
            assert sum(not row.holds for row in rows if row.check == check) >= 5
    assert sum(len(one.rows) for one in found) >= 150


def test_a_use_case_of_ones_own_is_calibrated_on_examples_alone(tmp_path: Path) -> None:
    text = (
        "name: Tea\nrole: You write.\ncohort: People.\noffer: Coupons.\nfacts: [Coupons for tea.]\n"
        "parts: {header: {characters: {most: 40}}}\nexamples: [{header: Coupons for tea}]\n"
        f"topics: [{TOPIC_A}]\n"
    )
    (tmp_path / "tea.yaml").write_text(text)
    [tea] = labels([str(tmp_path / "tea.yaml")])
    rows = tea.rows
    assert [row.asked.text for row in rows if row.holds] == [{"header": "Coupons for tea"}]
    others = [copy for name in BUNDLED for copy in loaded(name).examples]
    assert [row.asked.text for row in rows if not row.holds] == others


def test_the_embedder_tells_topics_and_says_what_it_cannot_tell(judge: HeldOut) -> None:
    cuts = judge.cuts[loaded("c").name]
    assert cuts.keys() == {"topic 1", "topic 2", "coherence"}
    assert min(cuts[name].auc or 0 for name in ("topic 1", "topic 2")) > 0.9
    assert min(cuts[name].accuracy or 0 for name in ("topic 1", "topic 2")) > 0.8
    assert judge.judged(loaded("c")) == ["topic 1", "topic 2"]
    assert (cuts["coherence"].auc or 0) < 0.8
    told = " ".join(judge.told())
    assert "tone and readers are not judged" in told
    assert "Cat food, campaign 15: topic 1 AUC" in told
    assert "too little to be asked" in told
    assert "Cold cereal" not in told  # its checks are all in code


async def test_a_copy_that_says_the_topic_scores_more_than_one_that_does_not(
    judge: HeldOut,
) -> None:
    told = {"header": "Two treats for a cat", "subheader": "Coupons for canned & dry cat food"}
    untold = {"header": "Two treats for a cat", "subheader": "Come and see us this winter"}
    yes, no = await judge.judge(loaded("c"), [told, untold])
    for check in ("topic 1", "topic 2"):
        assert yes[check].score > no[check].score
        assert (yes[check].passed, no[check].passed) == (True, False)
    assert yes.keys() == {"topic 1", "topic 2"}
    assert await judge.judge(loaded("a"), [told]) == [{}]
    assert await judge.judge(loaded("c"), []) == []
