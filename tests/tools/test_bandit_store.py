from __future__ import annotations

import errno
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.bandit import Pilot, Stop
from merchgraph.tools.bandit_store import Store

ROOT = Path(__file__).parents[2]
START = Pilot.start(["a", "b"], control="manual", stop=Stop(least=20))
ROUNDS = 3


def play(store: Store, rounds: int = ROUNDS) -> None:
    """A program that runs from its start each time: what it has told before changes nothing."""
    for day in range(rounds):
        for arm, number in store.choose(30, update=f"{day}").items():
            store.observe(arm, shows=number, clicks=number // 5, update=f"{day}/{arm}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a program that was never stopped."""
    path = tmp_path_factory.mktemp("pilot") / "whole.jsonl"
    with Store(path, START) as store:
        play(store)
    return path


@pytest.fixture(scope="module")
def ended(whole: Path) -> Pilot:
    with Store(whole) as store:
        return store.pilot


def test_a_store_gives_back_what_was_told(ended: Pilot) -> None:
    assert sum(arm.shows for arm in ended.arms) == 30 * ROUNDS
    assert [arm.pending for arm in ended.arms] == [0, 0, 0]
    by_hand = START
    for _ in range(ROUNDS):
        shows = by_hand.choose(30)
        by_hand = by_hand.give(shows)
        for name, number in shows.items():
            by_hand = by_hand.observe(name, shows=number, clicks=number // 5)
    assert ended == by_hand


def test_what_was_lost_is_told_with_its_bytes(whole: Path, tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl"
    file.write_bytes(whole.read_bytes()[:-7])
    with Store(file) as store:
        (problem,) = store.problems
    assert "not written whole and is taken off; tell it again" in problem
    with Store(file) as store:
        assert store.problems == []


@pytest.mark.parametrize(
    "tail", [b"\0" * 4_096, b"garbage\n", b"00000000 {}\n", b"\n", b"7c 1\xff"]
)
def test_a_damaged_tail_is_taken_off(
    whole: Path, ended: Pilot, tail: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "tail.jsonl"
    file.write_bytes(whole.read_bytes() + tail)
    with Store(file, START) as store:
        assert (store.pilot, len(store.problems)) == (ended, 1)
    assert file.read_bytes() == whole.read_bytes()


def test_a_hole_before_whole_updates_is_refused_and_left_alone(whole: Path, tmp_path: Path) -> None:
    data, file = whole.read_bytes(), tmp_path / "hole.jsonl"
    for place in (3, len(data) // 2):
        damaged = bytearray(data)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        for start in (START, None):
            with pytest.raises(SetupError, match=r"damaged at byte .* whole updates after it"):
                Store(file, start)
        assert file.read_bytes() == damaged


def test_every_changed_byte_is_noticed(whole: Path, ended: Pilot, tmp_path: Path) -> None:
    data, file = whole.read_bytes(), tmp_path / "flip.jsonl"
    for place in random.Random(0).sample(range(len(data)), 300):
        damaged = bytearray(data)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        if place < data.rindex(b"\n", 0, -1):
            with pytest.raises(SetupError, match="is damaged at byte"):
                Store(file)
            continue
        with Store(file) as store:
            assert len(store.problems) == 1
            play(store)
            assert store.pilot == ended


def test_an_update_that_is_told_twice_counts_once(tmp_path: Path) -> None:
    with Store(tmp_path / "p.jsonl", START) as store:
        shows = store.choose(60, update="1")
        assert store.observe("a", shows=20, clicks=2, update="2")
        assert not store.observe("a", shows=20, clicks=2, update="2")
        assert store.choose(60, update="1") == shows
        assert store.pilot.arm("a").shows == 20
        assert sum(arm.shows + arm.pending for arm in store.pilot.arms) == 60
        size = (tmp_path / "p.jsonl").stat().st_size
    with Store(tmp_path / "p.jsonl", START) as store:
        assert not store.observe("a", shows=20, clicks=2, update="2")
        assert store.choose(60, update="1") == shows
    assert (tmp_path / "p.jsonl").stat().st_size == size


def test_an_id_of_another_update_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path / "p.jsonl", START) as store:
        store.choose(60, update="1")
        store.observe("a", shows=20, clicks=2, update="2")
        before = store.pilot
        with pytest.raises(SetupError, match=r"'2' was told as .*\"clicks\": 2.* now as .*3"):
            store.observe("a", shows=20, clicks=3, update="2")
        for n, update in ((61, "1"), (60, "2")):
            with pytest.raises(SetupError, match="give each update its own id"):
                store.choose(n, update=update)
        with pytest.raises(SetupError, match="give each update its own id"):
            store.observe("a", shows=1, clicks=0, update="1")
        assert store.pilot == before


def test_feedback_that_cannot_be_is_not_kept(tmp_path: Path) -> None:
    with Store(tmp_path / "p.jsonl", START) as store:
        with pytest.raises(SetupError, match="only 0 are pending"):
            store.observe("a", shows=1, clicks=0, update="1")
        store.choose(60, update="2")
        assert store.observe("a", shows=1, clicks=0, update="1")
    with Store(tmp_path / "p.jsonl") as store:
        assert store.pilot.arm("a").shows == 1


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, write = tmp_path / "p.jsonl", os.write
    with Store(file, START) as store:
        store.choose(60, update="1")
        before, kept = store.pilot, file.read_bytes()

        def full(number: int, data: bytes) -> int:
            if len(data) < 20:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(number, data[:20])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(SetupError, match=r"No space left .* make room and tell it again"):
                store.observe("a", shows=20, clicks=2, update="2")
        assert (store.pilot, file.read_bytes()) == (before, kept)
        assert store.observe("a", shows=20, clicks=2, update="2")


def test_an_update_is_on_disk_before_it_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, synced = tmp_path / "p.jsonl", list[bytes]()
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(file.read_bytes()))
    with Store(file, START) as store:
        assert synced[-1] == file.read_bytes() != b""
        for update in "123":
            store.choose(60, update=update)
            assert synced[-1] == file.read_bytes()
        assert len(synced) == 5  # the folder, too
    assert synced[-1].count(b"\n") == 4


def test_only_one_process_has_a_pilot(tmp_path: Path) -> None:
    with Store(tmp_path / "p.jsonl", START), pytest.raises(SetupError, match="Another process"):
        Store(tmp_path / "p.jsonl")
    Store(tmp_path / "p.jsonl").close()


def test_threads_share_a_store(tmp_path: Path) -> None:
    with Store(tmp_path / "p.jsonl", START) as store, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.choose(10, update=f"{n // 2}"), range(80)))
        assert sum(arm.pending for arm in store.pilot.arms) == 400
        state = store.pilot
    with Store(tmp_path / "p.jsonl") as store:
        assert store.pilot == state


def test_another_start_is_refused(whole: Path) -> None:
    other = Pilot.start(["a", "c"], control="manual")
    with pytest.raises(SetupError, match="started otherwise"):
        Store(whole, other)


@pytest.mark.parametrize("content", [b"", b"shopping list", b"milk\nbread\n", b"00000000 {}\n"])
def test_another_file_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(content)
    with pytest.raises(SetupError, match="holds no pilot"):
        Store(file)
    if content:
        with pytest.raises(SetupError, match="holds no pilot"):
            Store(file, START)
    assert file.read_bytes() == content


def test_a_line_that_is_no_update_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path / "p.jsonl", START) as store:
        store.choose(60, update="1")
        store._journal.append({"update": "2", "arm": "a", "shows": 1_000, "clicks": 0})
    with pytest.raises(SetupError, match=r"holds a line that is no update .*only 20 are pending"):
        Store(tmp_path / "p.jsonl")


def test_an_absent_file_is_opened_only_with_a_start(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file"):
        Store(tmp_path / "p.jsonl")
    with pytest.raises(SetupError, match="cannot be opened"):
        Store(tmp_path, START)
    Store(tmp_path / "new" / "p.jsonl", START).close()
    with Store(tmp_path / "new" / "p.jsonl") as store:
        assert store.pilot == START


def test_a_closed_pilot_takes_no_update_and_can_be_closed_twice(tmp_path: Path) -> None:
    with Store(tmp_path / "p.jsonl", Pilot.start(["a"], control="b")) as store:
        store.choose(10, update="1")
        store.close()
        with pytest.raises(SetupError, match="is closed; open it again"):
            store.choose(10, update="2")
    assert Store(tmp_path / "p.jsonl").pilot == store.pilot
