"""Cases of the lens suite, what its baselines learn, and how alike items are, on a toy shop."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from merchgraph.evals.suites.lens_shop import Households, Likeness, likeness
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.histories import History
from tests.evals.lens_toy import HOUSEHOLDS, toy_shop
from tests.evals.toy_suite import use_letters


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return toy_shop(tmp_path_factory.mktemp("toy"))


@pytest.fixture(autouse=True)
def _cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_letters(monkeypatch)
    with use_settings(cache=tmp_path / "cache"):
        yield


def test_every_household_with_a_whole_history_is_a_case(data: str) -> None:
    cases = Households(data, 10, 0).cases()
    assert len(cases) == HOUSEHOLDS
    for case in cases:
        history, offered = (
            History.model_validate(case.request["history"]),
            case.request["candidates"],
        )
        assert case.id == history.user
        assert len(offered) == len(set(offered)) == 10
        assert case.truth["item"] in offered
        assert (case.segment == "new") == (case.truth["item"] not in history.items)
    assert Households(data, 10, 0).cases() == cases
    assert Households(data, 10, 1).cases() != cases


def test_the_fitted_baseline_learns_on_earlier_weeks_only(data: str) -> None:
    households = Households(data, 10, 0)
    learnt = households.learnt()
    assert learnt.questions == 3 * HOUSEHOLDS
    assert set(learnt.popular) <= {f"Kind {chr(65 + n)}" for n in range(24)}
    assert sum(learnt.popular.values()) == sum(
        len(case.request["history"]["events"]) for case in households.cases()
    )


def test_too_many_candidates_for_a_shop_are_refused(data: str) -> None:
    with pytest.raises(SetupError, match="ask for fewer candidates"):
        Households(data, 200, 0).cases()


def test_likeness_is_1_for_the_same_and_never_below_0() -> None:
    table = likeness(["beer", "ale", "beer"])
    assert table.items == ["ale", "beer"]
    assert table.of("beer", "beer") == 1
    assert 0 < table.of("beer", "ale") == table.of("ale", "beer") < 1
    assert table.of("beer", "unknown") == 0
    assert Likeness.model_validate_json(table.model_dump_json()).of("ale", "beer") > 0
