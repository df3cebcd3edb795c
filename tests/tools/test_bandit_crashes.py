"""A pilot's file after crashes: at every byte, after any update, by a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.bandit_store import Store
from tests.tools.test_bandit_store import ROOT, START, play


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a program that was never stopped."""
    path = tmp_path_factory.mktemp("pilot") / "whole.jsonl"
    with Store(path, START) as store:
        play(store)
    return path.read_bytes()


def test_a_kill_at_every_byte_loses_only_the_update_that_was_being_written(
    data: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "cut.jsonl"
    states = [START]
    for line in data.splitlines()[1:]:
        values = json.loads(line.partition(b" ")[2])
        last = states[-1]
        states.append(
            last.give(values["gave"])
            if "gave" in values
            else last.observe(values["arm"], shows=values["shows"], clicks=values["clicks"])
        )
    for cut in range(len(data)):
        file.write_bytes(data[:cut])
        done = data[: cut + 1].count(b"\n")  # a line that lacks only its line end is there
        with Store(file, START) as store:
            assert store.pilot == states[max(done - 1, 0)]
            torn = data[cut - 1 : cut] != b"\n" != data[cut : cut + 1]
            assert bool(store.problems) == (done > 0 and torn)
        assert file.read_bytes() == b"".join(data.splitlines(keepends=True)[: max(done, 1)])
        if cut % 97 == 0:
            with Store(file, START) as store:
                play(store)
                assert store.pilot == states[-1]
            assert file.read_bytes() == data


def test_a_file_of_one_whole_line_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "p.jsonl"
    Store(file, START).close()
    begun = file.read_bytes()
    assert begun.count(b"\n") == 1

    def never(*_: object) -> int:
        raise AssertionError("nothing is to be written or taken off")

    with monkeypatch.context() as patch:
        patch.setattr(os, "truncate", never)
        patch.setattr(os, "write", never)
        for start in (START, None):
            with Store(file, start) as store:
                assert (store.pilot, store.problems) == (START, [])
    assert file.read_bytes() == begun


@pytest.mark.parametrize("lines", [1, 2, 5])
def test_a_last_line_that_lacks_only_its_end_is_kept(
    data: bytes, lines: int, tmp_path: Path
) -> None:
    file, begun = tmp_path / "p.jsonl", b"".join(data.splitlines(keepends=True)[:lines])
    file.write_bytes(begun)
    with Store(file) as store:
        state = store.pilot
    for start in (START, None):
        file.write_bytes(begun.removesuffix(b"\n"))
        with Store(file, start) as store:
            assert (store.pilot, store.problems) == (state, [])
            assert file.read_bytes() == begun
            store.choose(30, update="more")
        with Store(file) as again:
            assert again.pilot == store.pilot


def test_a_hole_before_a_last_line_without_its_end_is_refused(data: bytes, tmp_path: Path) -> None:
    damaged, file = bytearray(data[:-1]), tmp_path / "hole.jsonl"
    damaged[damaged.rindex(b"\n") - 3] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(SetupError, match="is damaged at byte"):
        Store(file, START)
    assert file.read_bytes() == damaged


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "manual"]), st.integers(1, 40)), max_size=12),
    st.lists(st.integers(0, 12), max_size=3),
    st.binary(max_size=12).filter(lambda tail: b"\n" not in tail),
)
def test_a_crash_after_any_updates_changes_nothing_for_a_program_that_tells_them_again(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int]],
    crashes: list[int],
    torn: bytes,
) -> None:
    folder = tmp_path_factory.mktemp("pilot")
    crashed, steady = folder / "crashed.jsonl", folder / "steady.jsonl"
    for end in crashes:
        with Store(crashed, START) as store:
            tell(store, steps[:end])
        with crashed.open("ab") as file:
            file.write(torn)
    for path in (crashed, steady):
        with Store(path, START) as store:
            tell(store, steps)
    assert crashed.read_bytes() == steady.read_bytes()


def tell(store: Store, steps: list[tuple[str, int]]) -> None:
    """Shows of an arm, answered late and in parts; ever the same, so that it can be told again."""
    for n, (arm, shows) in enumerate(steps):
        gave = store.choose(shows, update=f"{n}")
        for part, number in enumerate((gave[arm] // 2, gave[arm] - gave[arm] // 2)):
            store.observe(arm, shows=number, clicks=number // 3, update=f"{n}/{part}")


PROGRAM = """
import sys
from merchgraph.tools.bandit_store import Store
from tests.tools.test_bandit_store import START

with Store(sys.argv[1], START) as store:
    for day in range(120):
        for arm, number in store.choose(30, update=f"{day}").items():
            store.observe(arm, shows=number, clicks=number // 5, update=f"{day}/{arm}")
        print(day, flush=True)
"""


def test_a_program_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path: Path) -> None:
    file, command = tmp_path / "killed.jsonl", [sys.executable, "-c", PROGRAM]
    sizes = [0]
    for day in (3, 60):
        with subprocess.Popen([*command, str(file)], cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            while int(child.stdout.readline()) < day:
                pass
            child.kill()
        assert child.returncode == -9
        sizes.append(file.stat().st_size)
    assert sizes == sorted(set(sizes))
    subprocess.run([*command, str(file)], cwd=ROOT, check=True, capture_output=True, timeout=60)
    with Store(tmp_path / "whole.jsonl", START) as store:
        play(store, rounds=120)
    assert file.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
