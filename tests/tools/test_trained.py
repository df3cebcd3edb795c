"""Trained tools as sources and signals: the model that is there, or the command that makes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.candidates import gather
from merchgraph.tools.checkpoint import home
from merchgraph.tools.complement.train import train
from merchgraph.tools.contract import Past
from merchgraph.tools.grace.train import train as train_grace
from merchgraph.tools.trained import asked, signals, trained
from tests.tools.complement.planted import QUICK, given, shop
from tests.tools.grace.grace_toy import changed, toy_shop

STORE = shop(given([["tv", "mount", "cable"], ["pan", "oil"], ["tea", "jam"]] * 30))
CUT = datetime(2026, 1, 2)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[None]:
    with use_settings(cache=tmp_path):
        yield


def test_a_model_that_is_not_there_is_told_with_the_command_that_makes_it() -> None:
    with pytest.raises(SetupError, match=r"'complement' has no model of planted .*make it: merch"):
        gather(STORE, ["complement"], long_term=[], session=["tv"], k=2)
    with pytest.raises(SetupError, match=r"merchgraph train gmvo .*--before 2026-01-02T00:00:00$"):
        trained("gmvo", STORE, CUT)


def test_a_trained_tool_is_a_source_and_a_signal() -> None:
    train(STORE, QUICK, home("complement", "planted"))
    found = gather(STORE, ["complement"], long_term=[], session=["tv", "mount"], k=1)
    assert [(one.item, one.sources) for one in found] == [("cable", ("complement",))]
    past = Past(session=["tv", "mount"])
    measured = signals(STORE, past, ["oil", "cable", "unheard of"], ["complement"])
    oil, cable, unknown = measured["complement"]
    assert cable > oil >= unknown
    assert signals(STORE, past, ["oil"], []) == {}


def test_a_model_of_the_whole_log_is_not_asked_about_an_earlier_time() -> None:
    train(STORE, QUICK, home("complement", "planted"))
    with pytest.raises(SetupError, match="--before 2026-01-02"):
        signals(STORE, Past(session=["tv"]), ["oil"], ["complement"], CUT)
    train(STORE, QUICK, home("complement", "planted", CUT), before=CUT)
    assert signals(STORE, Past(session=["tv"]), ["oil"], ["complement"], CUT)


def test_what_comes_next_is_a_source_and_a_signal() -> None:
    train_grace(toy_shop(), changed(steps=2, batch=4), home("grace", "toy"))
    store, past = toy_shop(), Past(["tea 1", "milk 0"], ["tea 2"])
    found = gather(store, ["grace"], long_term=past.long_term, session=past.session, k=3)
    assert len(found) == 3
    assert {one.sources for one in found} == {("grace",)}
    own, unknown = signals(store, past, ["milk 0", "unheard of"], ["grace"])["grace"]
    assert unknown <= own < 0
    assert asked("grace", past) is past


def test_what_replaces_an_item_is_asked_of_all_that_was_bought() -> None:
    past = Past(["a", "b"], ["c"])
    assert asked("gmvo", past) == Past(["a", "b", "c"])
    assert asked("complement", past) is past
