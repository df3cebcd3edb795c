"""Texts kept beside the tests: `UPDATE_SNAPSHOTS=1 pytest tests/snapshots` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


Snapshot = Callable[[Mapping[str, str]], None]


@pytest.fixture
def snapshot() -> Snapshot:
    """`snapshot({name: text})` compares; a file that is missing is written, and the test fails."""

    def compare(texts: Mapping[str, str]) -> None:
        missing = [name for name in texts if not (FOLDER / name).exists()]
        for name in texts if "UPDATE_SNAPSHOTS" in os.environ else missing:
            (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
            (FOLDER / name).write_text(texts[name], encoding="utf-8")
        assert not missing, f"{missing} were not there; read what was written and commit it"
        for name, text in texts.items():
            kept = (FOLDER / name).read_text(encoding="utf-8")
            assert kept == text, f"{name} differs; UPDATE_SNAPSHOTS=1 writes it anew"

    return compare
