"""The repair over a file of features: the detector's past, bad streams, and a replay without either."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn, Self

import pytest
import zstandard
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from merchgraph.graphs import voice_repair, voice_repair_look
from merchgraph.graphs.front import checked
from merchgraph.graphs.voice_repair import Context, Request, Result, Turn, build
from merchgraph.runtime.errors import DataError, SetupError, ToolError
from merchgraph.runtime.recording import recorded, replayed
from merchgraph.tools.reactions.config import Config
from merchgraph.tools.reactions.made import Made, made
from merchgraph.tools.reactions.stream import Detector, Frame, Reading
from merchgraph.tools.reactions.train import train
from tests.graphs.voice_exchange import ASKED, RIGHT, WRONG, actions, kinds


class Brow:
    """Reads p(error) from the one feature `brow`, and keeps what it was shown."""

    shown: list[float | str]

    @classmethod
    def load(cls, folder: Path) -> Self:
        made = cls()
        cls.shown = []
        return made

    def see(self, frame: Frame) -> Reading:
        self.shown.append(frame.time)
        p = frame.values.get("brow")
        return Reading(frame.time, p, "" if p is not None else "no face")

    def reset(self) -> None:
        self.shown.append("answer")


@pytest.fixture(autouse=True)
def _brow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_repair_look, "Detector", Brow)


def stream(folder: Path, *brows: str, step: float = 0.2) -> str:
    file = folder / "face.csv"
    rows = [f"{n * step:.2f},{brow}" for n, brow in enumerate(brows)]
    file.write_text("\n".join(["time,brow", *rows, ""]), encoding="utf-8")
    return str(file)


def run(file: str, *turns: Turn, **settings: Any) -> Result:
    watched = list(turns) or [Turn(asked=ASKED, answered=WRONG)]
    context = Context(**{"model": "none", "detector": "made"} | settings)
    return voice_repair.run(Request(turns=watched, features=file), context)


def test_the_detector_sees_the_past_then_the_answer_and_nothing_later(tmp_path: Path) -> None:
    file = stream(tmp_path, *["0.1"] * 50)
    found = run(file, Turn(asked=ASKED, answered=RIGHT, at=2.0), watch_s=1)
    assert (found.outcome, actions(found)) == ("fine", ["fine"])
    before, after = Brow.shown[:10], Brow.shown[11:]
    assert Brow.shown[10] == "answer"
    assert max(float(time) for time in before) < 2
    assert [float(time) for time in after] == pytest.approx([2, 2.2, 2.4, 2.6, 2.8, 3])


def test_two_answers_of_one_stream_are_watched_each_at_its_time(tmp_path: Path) -> None:
    file = stream(tmp_path, *["0.9"] * 20, *["0.1"] * 60)
    turns = [Turn(asked=ASKED, answered=WRONG), Turn(asked=ASKED, answered=RIGHT, at=8.0)]
    found = run(file, *turns)
    assert (found.outcome, actions(found)) == ("repaired", ["repair", "fine"])
    assert kinds(found) == ["ask again"]


@pytest.mark.parametrize("second", [{}, {"at": 1.9}, {"at": 2.0}, {"at": 1, "verdict": "wrong"}])
def test_answers_of_a_stream_begin_one_after_the_other(
    tmp_path: Path, second: dict[str, Any]
) -> None:
    given: list[dict[str, Any]] = [{"at": 2.0}, {"verdict": "fine"}, second]
    turns = [{"asked": ASKED, "answered": WRONG} | told for told in given]
    features = stream(tmp_path, *["0.1"] * 60)
    said = (
        r"turns.2.at is \d(\.9)? s, but an answer before it in the file began at 2 s; give the sec"
    )
    with pytest.raises(SetupError, match=said):
        checked(Request, {"turns": turns, "features": features})
    turns[2]["readings"] = []
    assert len(checked(Request, {"turns": turns, "features": features}).turns) == 3


async def test_in_a_thread_a_turn_of_the_stream_must_come_later(tmp_path: Path) -> None:
    waiting = build().compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    context = Context(model="none", detector="made")
    turn = {"asked": ASKED, "answered": WRONG}
    told: Any = {"turns": [turn], "features": stream(tmp_path, *["0.9"] * 20)}
    state = await waiting.ainvoke(told, config, context=context)
    assert state["__interrupt__"][0].value["wanted"] == "the next turn"
    state = await waiting.ainvoke(Command(resume=turn), config, context=context)
    (stop,) = state["__interrupt__"]
    assert "turns.1.at is 0 s, but an answer before it" in stop.value["fault"]
    state = await waiting.ainvoke(Command(resume=turn | {"at": 8}), config, context=context)
    assert [one.at for one in state["checked"]] == [0, 8]


def test_after_the_line_the_rest_of_the_stream_is_watched(tmp_path: Path) -> None:
    file = stream(tmp_path, *["0.9"] * 20, *["0.1"] * 60)
    found = run(file)
    assert actions(found) == ["repair", "fine"]
    assert found.decisions[1].look.what == "repair"
    assert found.outcome == "repaired"


@pytest.mark.parametrize(
    ("brows", "why"),
    [
        (["0.9"], "in 12% of the window"),
        (["nan"] * 60, "in 0% of the window: no face"),
        ([""] * 60, "in 0% of the window: no face"),
        (["0.1"] * 5 + [""] * 55, "in 25% of the window: no face"),
    ],
    ids=["1 frame", "NaN", "zero faces", "a face that leaves"],
)
def test_a_stream_with_little_in_it_is_no_decision(
    tmp_path: Path, brows: list[str], why: str
) -> None:
    found = run(stream(tmp_path, *brows))
    assert found.outcome == "unsure"
    assert why in found.decisions[0].why


def test_a_stream_that_is_over_before_the_answer_is_no_decision(tmp_path: Path) -> None:
    found = run(stream(tmp_path, *["0.9"] * 20), Turn(asked=ASKED, answered=WRONG, at=99))
    assert (found.outcome, found.decisions[0].why) == ("unsure", "there is no frame in the window")


def test_a_gap_in_the_stream_is_not_bridged(tmp_path: Path) -> None:
    file = tmp_path / "face.csv"
    file.write_text("time,brow\n0,0.9\n3.9,0.9\n4,0.9\n", encoding="utf-8")
    assert run(str(file)).outcome == "unsure"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("brow\n0.1\n", "no column 'time' among 'brow'"),
        ("time,brow\n", "no frame in it"),
        ("time,brow\n0,high\n", "column 'brow', row 1: 'high' is not a number"),
        ("time,brow\n1,0\n0,0\n", "column 'time', row 2"),
        ("time\n1\n", "no column of a feature"),
    ],
)
def test_what_is_no_stream_is_said(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "face.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        run(str(file))


def test_ten_hours_are_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("merchgraph.tools.reactions.stream.MOST_FRAMES", 100)
    with pytest.raises(DataError, match="more than 100 frames; cut the stream"):
        run(stream(tmp_path, *["0.1"] * 101))


def test_a_file_that_is_not_there_and_a_missing_detector_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.csv' cannot be read \(No such file"):
        run(str(tmp_path / "gone.csv"))
    with pytest.raises(SetupError, match="needs a detector, and none is named"):
        run(stream(tmp_path, "0.1"), detector="")


def test_a_detector_that_fails_is_an_abstention_and_an_error_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Brow, frame: Frame) -> NoReturn:
        raise ToolError("The detector broke.")

    monkeypatch.setattr(Brow, "see", fail)
    found = run(stream(tmp_path, *["0.1"] * 20))
    assert found.outcome == "unsure"
    assert {error.node for error in found.errors} == {"estimate"}


def test_a_recorded_exchange_replays_without_file_and_detector_and_holds_no_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, trace = stream(tmp_path, *["0.912345"] * 20, *["0.1"] * 60), tmp_path / "t.jsonl.zst"
    with recorded(trace):
        first = run(file)
    Path(file).unlink()
    monkeypatch.setattr(Brow, "load", None)
    with replayed(trace):
        assert run(file) == first
    with trace.open("rb") as opened:
        kept = (
            zstandard.ZstdDecompressor()
            .stream_reader(opened, read_across_frames=True)
            .read()
            .decode()
        )
    assert "p_error" in kept
    assert "brow" not in kept


def test_the_detector_that_is_trained_here_repairs_planted_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_repair_look, "Detector", Detector)
    told = Made(people=8, clips=8, expressiveness=6.0, seed=1)
    train(made(told)[0], Config(), tmp_path / "model")
    others, _ = made(told.model_copy(update={"people": 1, "seed": 2}))
    lines, turns, begin = [",".join(["time", *others.features])], [], 0.0
    for clip in others.clips:
        answered = f"{clip.name} {clip.label}"
        turns.append(Turn(asked="A request", answered=answered, at=begin))
        for frame in others.frames(clip, begin):
            cells = [f"{frame.values.get(name, float('nan')):.4f}" for name in others.features]
            lines.append(",".join([f"{frame.time:.3f}", *cells]))
        begin += clip.seconds + 1
    file = tmp_path / "face.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    context = Context(model="none", detector=str(tmp_path / "model"), repairs=3)
    doubted = []
    for turn in turns:  # each answer is an exchange of its own
        found = voice_repair.run(Request(turns=[turn], features=str(file)), context)
        doubted.append((turn.answered.endswith("error"), bool(found.repairs)))
    assert sum(repaired for error, repaired in doubted if error) >= 3
    assert sum(repaired for error, repaired in doubted if not error) <= 1
