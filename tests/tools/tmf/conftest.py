"""A cache of its own, no pictures, and texts without the sentence model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from merchgraph.runtime.settings import use_settings
from merchgraph.tools.tmf import items
from tests.tools.tmf.tmf_toy import Words, tiny_llm


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(items, "Embedder", Words)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine threads wait for each other
    with use_settings(cache=tmp_path / "cache", data=tmp_path / "data"):
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny language model."""
    return tiny_llm(tmp_path_factory.mktemp("llm"))
