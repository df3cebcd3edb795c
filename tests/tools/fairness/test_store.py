from __future__ import annotations

import threading
from pathlib import Path

import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.fairness.store import Ledger

SELLERS = ["acme", "zeta"]


def filled(path: Path) -> bytes:
    with Ledger(path, SELLERS) as ledger:
        ledger.add("one", {"acme": 2.5})
        ledger.add("two", {"acme": 1.0, "zeta": 4.0}, lost=0.5)
    return path.read_bytes()


def test_what_was_told_is_there_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path / "folder" / "fair.jsonl")
    with Ledger(tmp_path / "folder" / "fair.jsonl", SELLERS) as again:
        assert again.snapshot() == ({"acme": 3.5, "zeta": 4.0}, 0.5, 2)
        assert again.problems == []


def test_a_trip_told_twice_counts_once(tmp_path: Path) -> None:
    with Ledger(tmp_path / "fair.jsonl", SELLERS) as ledger:
        assert ledger.add("one", {"acme": 2.5})
        assert not ledger.add("one", {"acme": 2.5})
        assert ledger.snapshot() == ({"acme": 2.5, "zeta": 0.0}, 0, 1)
        with pytest.raises(SetupError, match="its own id"):
            ledger.add("one", {"acme": 3})
        with pytest.raises(SetupError, match=r"at a loss of 0 and now as .* at 1; give"):
            ledger.add("one", {"acme": 2.5}, lost=1)


def test_a_crash_at_any_byte_loses_the_last_trip_at_most(tmp_path: Path) -> None:
    path = tmp_path / "fair.jsonl"
    whole = filled(path)
    ends = [n + 1 for n, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with Ledger(path, SELLERS) as ledger:
            lines = sum(end <= cut + 1 for end in ends)  # one that lacks only its line end is there
            assert ledger.trips == max(0, lines - 1)
            torn = cut not in ends and cut + 1 not in ends
            assert bool(ledger.problems) == (lines > 0 and torn)
            ledger.add("one", {"acme": 2.5})
            ledger.add("two", {"acme": 1.0, "zeta": 4.0}, lost=0.5)
        assert path.read_bytes() == whole


def test_damage_with_whole_trips_after_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fair.jsonl"
    whole = filled(path)
    path.write_bytes(whole.replace(b"2.5", b"9.5"))
    with pytest.raises(SetupError, match="is damaged at byte"):
        Ledger(path, SELLERS)
    path.write_bytes(b"no ledger\n")
    with pytest.raises(SetupError, match="is damaged at byte 0"):
        Ledger(path, SELLERS)
    assert path.read_bytes() == b"no ledger\n"


def test_a_ledger_of_other_sellers_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "fair.jsonl")
    with pytest.raises(SetupError, match="no ledger of these 1 sellers"):
        Ledger(tmp_path / "fair.jsonl", ["acme"])


def test_two_may_not_write_one_ledger(tmp_path: Path) -> None:
    with (
        Ledger(tmp_path / "fair.jsonl", SELLERS),
        pytest.raises(SetupError, match="Another process"),
    ):
        Ledger(tmp_path / "fair.jsonl", SELLERS)


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [({"nobody": 1.0}, "no seller 'nobody'"), ({"acme": -1.0}, "not -1.0"),
     ({"acme": float("nan")}, "not nan")],
)  # fmt: skip
def test_outcomes_that_cannot_be_are_refused(outcomes: dict[str, float], told: str) -> None:
    ledger = Ledger(None, SELLERS)
    with pytest.raises(SetupError, match=told):
        ledger.add("one", outcomes)
    with pytest.raises(SetupError, match="What was lost is a number of 0 or more, not -1"):
        ledger.add("one", {}, lost=-1)
    assert ledger.trips == 0


def test_a_closed_ledger_takes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "fair.jsonl", SELLERS)
    ledger.close()
    ledger.close()
    with pytest.raises(SetupError, match="is closed"):
        ledger.add("one", {})
    assert ledger.trips == 0


def test_threads_lose_nothing() -> None:
    ledger = Ledger(None, SELLERS)

    def tell(number: int) -> None:
        for trip in range(200):
            ledger.add(f"{number}/{trip}", {"acme": 1.0})

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.snapshot() == ({"acme": 800.0, "zeta": 0.0}, 0, 800)
