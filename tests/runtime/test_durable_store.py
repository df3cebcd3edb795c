"""The store of durable runs: what it packs comes back, and what was damaged is told."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from merchgraph.runtime.durable_store import Packed, checkpointer
from merchgraph.runtime.errors import DataError
from merchgraph.runtime.settings import use_settings

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_value_comes_back(value: object) -> None:
    kind, data = Packed().dumps_typed(value)
    assert Packed().loads_typed((kind, data)) == value


def test_what_was_kept_before_it_was_packed_comes_back() -> None:
    value = {"a": [1, "tea"]}
    assert Packed().loads_typed(JsonPlusSerializer().dumps_typed(value)) == value


@given(st.data())
def test_a_byte_that_changed_is_told_or_does_no_harm(data: st.DataObject) -> None:
    state = {"turns": ["tea", "milk"] * 9, "k": 3}
    kind, whole = Packed().dumps_typed(state)
    place = data.draw(st.integers(0, len(whole) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    changed = whole[:place] + bytes([value]) + whole[place + 1 :]
    with suppress(DataError):  # but for a bit of the frame's head that says little
        assert Packed().loads_typed((kind, changed)) == state


def test_a_cut_state_is_told() -> None:
    kind, whole = Packed().dumps_typed(["tea"] * 9)
    for cut in range(len(whole)):
        with pytest.raises(DataError, match="is damaged"):
            Packed().loads_typed((kind, whole[:cut]))


@pytest.mark.parametrize("kind", ["pickle", "pickle+zstd", "", None, "x+zstd"])
def test_another_type_is_refused(kind: str) -> None:
    with pytest.raises(DataError, match="is damaged"):
        Packed().loads_typed((kind, b"\x80\x04K\x01."))


async def test_a_store_with_its_history_keeps_every_step(tmp_path: Path) -> None:
    kept = dict[bool, int]()
    with use_settings(checkpoints=str(tmp_path / "x.sqlite")):
        for newest in (False, True):
            async with checkpointer(newest=newest) as saver:
                place = {"configurable": {"thread_id": str(newest), "checkpoint_ns": ""}}
                for step in "abc":
                    await saver.aput(place, _step(step), {}, {})  # type: ignore[arg-type]
                kept[newest] = len([one async for one in saver.alist(place)])  # type: ignore[arg-type]
    assert kept == {False: 3, True: 1}


def _step(name: str) -> dict[str, object]:
    return {
        "v": 4,
        "id": name,
        "ts": "",
        "channel_values": {},
        "channel_versions": {},
        "versions_seen": {},
    }
