"""One cache folder and one complete journey for all tests of the data tools."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data import complete_journey
from merchgraph.tools.data.tables import Shop


@pytest.fixture(scope="session")
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _in_data_cache(data_cache: Path) -> Iterator[None]:
    with use_settings(cache=data_cache):
        yield


@pytest.fixture(scope="session")
def journey(data_cache: Path) -> Shop:
    with use_settings(cache=data_cache):
        return complete_journey.load()
