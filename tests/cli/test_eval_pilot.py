"""`merchgraph eval pilot`: a table on the real data, or a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from merchgraph.runtime.settings import settings, use_settings
from merchgraph.tools.data.upworthy import FILE

Typed = Callable[..., Any]


def test_it_prints_tables_of_the_real_tests(typed: Typed) -> None:
    if not (settings().data / FILE).is_file():
        pytest.skip(f"{settings().data / FILE} is not there; set MERCHGRAPH_DATA to test it")
    ended = typed("eval", "pilot", "--limit", "20", "--seed", "3")
    assert (ended.code, ended.err) == (0, "")
    assert "n = 20 tests, limit 20, batch 500, delay 1, seed 3" in " ".join(ended.out.split())
    assert ended.out.count("Thompson, no stop") == 3


def test_an_absent_folder_is_a_sentence(
    typed: Typed, sentence: Callable[[Any], str], tmp_path: Path
) -> None:
    with use_settings(data=tmp_path):
        assert "MERCHGRAPH_DATA" in sentence(typed("eval", "pilot"))
