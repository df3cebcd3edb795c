"""A detector of six made-up people who show much, and clips of others like them."""

import pytest

from merchgraph.tools.reactions.data import Clips
from merchgraph.tools.reactions.made import Made, Planted, made
from merchgraph.tools.reactions.stream import Detector, Learnt
from merchgraph.tools.reactions.train import fit_detector


@pytest.fixture(scope="session")
def learnt() -> Learnt:
    clips, _ = made(Made(people=6, clips=10, expressiveness=3.0, seed=3))
    return fit_detector(clips).learnt


@pytest.fixture
def detector(learnt: Learnt) -> Detector:
    return Detector(learnt)


@pytest.fixture(scope="session")
def others() -> tuple[Clips, dict[str, Planted | None]]:
    return made(Made(people=4, clips=10, expressiveness=3.0, seed=9))
