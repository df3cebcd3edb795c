"""Weights on disk: versions, readers and writers in many processes, kills, damage."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.ctr.entries import Basis, Draft, Entry, as_line, of_line
from merchgraph.tools.ctr.store import TRAINED, Store
from tests.tools.ctr.small_pool import NAMES, small_pool

BASIS = Basis.of(small_pool())


def draft(ad: str = "a", weight: float = 0.1, **changed: Any) -> Draft:
    fields: dict[str, Any] = {
        "ad": ad, "content": "c", "prompt": "p", "model": "m", "weights": (weight,) * 5, "intercept": -3,
    }  # fmt: skip
    return Draft(**{**fields, **changed})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "weights.jsonl"


def test_weights_that_were_put_are_there_after_a_restart(path: Path) -> None:
    kept = Store(path, BASIS).put(draft())
    again = Store(path)
    assert again.newest("a") == kept == again.get("a", "c", "p", "m")
    assert (kept.version, again.basis, len(again), again.problems) == (1, BASIS, 1, [])
    assert again.newest("b") is None


def test_versions_count_by_key_and_the_newest_of_an_ad_is_served(path: Path) -> None:
    store = Store(path, BASIS)
    store.put(draft(weight=0.1))
    store.put(draft(weight=0.2))
    other = store.put(draft(weight=0.3, model="other"))
    assert other.version == 1
    assert store.newest("a") == other
    old = Store(path).get("a", "c", "p", "m")
    assert old is not None
    assert (old.version, old.weights[0]) == (2, 0.2)


def test_a_reader_sees_what_others_have_put_since(path: Path) -> None:
    writer, reader = Store(path, BASIS), Store(path)
    assert reader.refresh() == 0
    writer.put(draft("a"))
    writer.put(draft("b"))
    assert reader.newest("a") is None
    assert reader.refresh() == 2
    assert reader.scorer().ads == ("a", "b")
    assert reader.refresh() == 0


def test_a_scorer_has_every_ads_newest_weights(path: Path) -> None:
    store = Store(path, BASIS)
    assert store.scorer().scores([0.5] * 5).shape == (0,)
    for weight in (0.5, 0.1):
        store.put(draft(weight=weight))
    scorer, z = store.scorer(), (0.6 - 0.4) / 0.2
    expected = 1 / (1 + np.exp(3 - 5 * 0.1 * z))
    np.testing.assert_allclose(scorer.scores([0.6] * 5), [expected], rtol=1e-5)
    cold = scorer.slate(["gone"]).scores([0.4] * 5)
    np.testing.assert_allclose(cold, 1 / (1 + np.exp(-BASIS.cold_intercept)), rtol=1e-5)


def test_an_ad_without_weights_is_clicked_as_the_pool_is() -> None:
    pool = small_pool()
    logits = pool.users @ np.array(BASIS.cold) + BASIS.cold_intercept
    assert np.mean(1 / (1 + np.exp(-logits))) == pytest.approx(pool.rates.mean(), rel=1e-4)


def test_what_an_ad_is_served_with_is_kept_once(path: Path) -> None:
    store = Store(path, BASIS)
    first = store.put(draft())
    size = path.stat().st_size
    assert Store(path).put(draft()) == first
    assert path.stat().st_size == size
    store.put(draft(model="other"))
    assert store.put(draft()).version == 2, "another model's weights are served by then"
    assert store.newest("a") == store.get("a", "c", "p", "m")


def test_trained_weights_take_over_and_the_written_ones_stay(path: Path) -> None:
    store = Store(path, BASIS)
    start = store.put(draft(weight=0.2))
    now = store.hand_over(start, np.zeros(5), -1.0, clicks=30, prior=10)
    assert (now.model, now.origin, now.clicks, now.version) == (TRAINED, "clicks", 30, 1)
    assert now.weights == pytest.approx((0.05,) * 5)
    assert now.intercept == pytest.approx(-1.5)
    assert store.newest("a") == now
    assert store.get("a", "c", "p", "m") == start


@pytest.mark.parametrize(
    ("trained", "clicks", "prior"),
    [([0.0] * 4, 1, 1), ([0.0] * 4 + [np.nan], 1, 1), ([0.0] * 4 + [101], 1, 1), ([0.0] * 5, 1, 0),
     ([0.0] * 5, -1, 1)],
)  # fmt: skip
def test_a_hand_over_to_what_cannot_be_is_refused(
    path: Path, trained: list[float], clicks: int, prior: float
) -> None:
    store = Store(path, BASIS)
    start = store.put(draft())
    with pytest.raises(DataError, match="The hand-over of 'a' needs 5 weights within 100"):
        store.hand_over(start, np.array(trained), -1.0, clicks=clicks, prior=prior)
    assert Store(path).newest("a") == start


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 101.0, 1e300])
def test_no_weight_or_intercept_beyond_reason_can_be_put(bad: float) -> None:
    with pytest.raises(ValidationError):
        draft(weight=bad)
    with pytest.raises(ValidationError):
        draft(intercept=bad)


def test_weights_for_other_features_are_refused(path: Path) -> None:
    store = Store(path, BASIS)
    with pytest.raises(DataError, match=r"'a' has 4 weights, but the store .* has 5 features"):
        store.put(draft(weights=(0.1,) * 4))
    other = BASIS.model_copy(update={"features": ("x", *NAMES[1:])})
    with pytest.raises(SetupError, match="for other features or another pool"):
        Store(path, other)


def test_a_file_that_is_no_store_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    for text in (b"my notes", b"my notes\n", b"{}\n{}\n"):
        file.write_bytes(text)
        for basis in (None, BASIS):
            with pytest.raises(SetupError, match=r"notes\.txt' does not begin as a store"):
                Store(file, basis)
        assert file.read_bytes() == text


def test_a_store_that_is_not_there_is_not_made_without_a_basis(path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be opened: No such file"):
        Store(path)
    assert not path.exists()
    path.parent.mkdir()
    path.mkdir()
    with pytest.raises(SetupError, match="cannot be opened: Is a directory"):
        Store(path, BASIS)


@pytest.mark.parametrize("left", [0, 1, 30])
def test_a_writer_that_was_killed_in_its_first_line_is_replaced(path: Path, left: int) -> None:
    path.parent.mkdir()
    path.write_bytes(as_line(BASIS)[:left])
    assert Store(path, BASIS).put(draft()).version == 1
    assert Store(path).newest("a") is not None


def test_a_line_without_its_end_does_not_count_and_the_next_one_does(path: Path) -> None:
    Store(path, BASIS).put(draft("a"))
    torn = as_line(Entry(**dict(draft("b")), version=1))[:80]
    with path.open("ab") as file:
        file.write(torn)
    reader = Store(path)
    assert (len(reader), reader.problems) == (1, [])  # its writer may be at work
    Store(path).put(draft("c"))
    assert reader.refresh() == 1
    assert (reader.newest("b"), len(reader)) == (None, 2)
    assert "damaged and was skipped" in reader.problems[0]
    assert len(reader.problems) == 1


def test_a_whole_line_that_only_lacks_its_end_counts_before_the_next_version(path: Path) -> None:
    Store(path, BASIS).put(draft())
    with path.open("ab") as file:
        file.write(as_line(Entry(**dict(draft(weight=0.2)), version=2))[:-1])
    assert Store(path).put(draft(weight=0.3)).version == 3


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_byte_costs_one_line_at_most(tmp_path: Path, data: st.DataObject) -> None:
    file = tmp_path / "weights.jsonl"
    file.unlink(missing_ok=True)
    store = Store(file, BASIS)
    for number in range(4):
        store.put(draft(f"ad {number}", weight=number / 10))
    whole = file.read_bytes()
    start = whole.index(b"\n") + 1
    place = data.draw(st.integers(start, len(whole) - 2))
    flipped = bytearray(whole)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(flipped)
    again = Store(file)
    assert 2 <= len(again) <= 3  # a lost line end joins two lines
    assert again.problems
    for number in range(4):
        entry = again.newest(f"ad {number}")
        assert entry is None or entry == store.newest(f"ad {number}")


def test_a_full_disk_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(path, BASIS)
    store.put(draft())
    before, write = path.read_bytes(), os.write

    def half(file: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(file, data[:-50])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(SetupError, match="cannot be written: No space left on device"):
            store.put(draft("b"))
    assert path.read_bytes() == before
    assert store.put(draft("b")).version == 1


def test_a_line_says_what_it_holds_or_nothing() -> None:
    entry = Entry(**dict(draft('ad\n"ü"')), version=1)
    line = as_line(entry)
    assert line.count(b"\n") == 1
    assert of_line(line, Entry) == entry
    assert of_line(line, Basis) is None
    assert of_line(b"", Entry) is None
    assert of_line(line[1:], Entry) is None


WRITER = """
import itertools, os, sys
from merchgraph.tools.ctr.entries import Draft
from merchgraph.tools.ctr.store import Store
path, own, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = Store(path)
for number in itertools.islice(itertools.count(), count or None):
    for ad in ("shared", own):
        weights = (number / 1e6,) * len(store.basis.features)
        store.put(Draft(ad=ad, content="c", prompt="p", model="m", weights=weights, intercept=-3,
                        clicks=os.getpid()))
"""
"""A process that puts versions of one shared key and of its own, `count` times or until it is killed."""


def writer(path: Path, own: str, count: int = 0) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), own, str(count)])


def test_writers_in_many_processes_lose_nothing_and_readers_see_whole_versions(path: Path) -> None:
    Store(path, BASIS)
    reader, count = Store(path), 25
    writers = [writer(path, f"own {n}", count) for n in range(3)]
    while any(one.poll() is None for one in writers):
        reader.refresh()
        assert np.isfinite(reader.scorer().weights).all()
    assert [one.returncode for one in writers] == [0, 0, 0]
    reader.refresh()
    versions = {ad: getattr(reader.newest(ad), "version", 0) for ad in reader.scorer().ads}
    assert versions == {"shared": 3 * count} | {f"own {n}": count for n in range(3)}
    assert reader.problems == []


def test_a_writer_that_is_killed_leaves_whole_versions_and_its_lock(path: Path) -> None:
    store = Store(path, BASIS)
    for kills in range(1, 4):
        restless, before = writer(path, "own"), path.stat().st_size
        while path.stat().st_size < before + 2_000:
            assert restless.poll() is None
            time.sleep(0.002)
        restless.kill()
        restless.wait()
        assert store.put(draft("after", weight=kills / 10)).version == kills
    again, lines = Store(path), path.read_bytes().count(b'"shared"')
    shared = again.newest("shared")
    assert shared is not None
    assert lines - len(again.problems) <= shared.version <= lines
