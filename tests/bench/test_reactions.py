"""Milliseconds of the detector a frame, and seconds of a training."""

import itertools

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from merchgraph.tools.reactions.made import Made, made
from merchgraph.tools.reactions.stream import Detector, Frame
from merchgraph.tools.reactions.train import fit_detector

pytestmark = pytest.mark.bench

MOST_S = 0.005


def test_a_frame(benchmark: BenchmarkFixture) -> None:
    clips, _ = made(Made(people=4, clips=6))
    detector = fit_detector(clips)
    values = clips.frames(clips.clips[0])[5].values
    times = itertools.count()
    benchmark(lambda: detector.see(Frame(next(times) / 30, values)))
    assert benchmark.stats is not None
    assert benchmark.stats["median"] < MOST_S


def test_a_frame_that_completes_a_bin(benchmark: BenchmarkFixture) -> None:
    clips, _ = made(Made(people=4, clips=6))
    detector = Detector(fit_detector(clips).learnt)
    values = clips.frames(clips.clips[0])[5].values
    times = itertools.count()
    benchmark(lambda: detector.see(Frame(next(times) / 4, values)))
    assert benchmark.stats is not None
    assert benchmark.stats["median"] < MOST_S


def test_training_on_320_clips(benchmark: BenchmarkFixture) -> None:
    clips, _ = made(Made())
    benchmark(fit_detector, clips)
