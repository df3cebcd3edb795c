"""What a detector of errors is worth to a voice assistant: dialogues with made-up people, by the graph.

    report = run(Params(limit=200))
    console.print(report.terminal()); report.markdown(); report.model_dump_json()

Each dialogue goes through the real graph (`graphs/voice_repair.py`, with lines that are ready) in a
thread with a checkpointer: it waits after each repair for what the person says next, as in a product.
The systems differ in p(error) alone: nothing is seen, every answer is doubted, as many are doubted at
random, faces that tell something, the truth. All meet the same people with the same luck
(`voice_user.py`). The second table is of single answers: what each threshold costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import count
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.suites.voice_costs import STEPS, THRESHOLDS, Answers
from merchgraph.evals.suites.voice_faces import MADE, Watched, seen, walk, watched
from merchgraph.evals.suites.voice_report import Spoken, VoiceReport, summary
from merchgraph.evals.suites.voice_user import MOST_ANSWERS, Luck, Person, helps, luck
from merchgraph.graphs import voice_repair_state as state
from merchgraph.graphs.voice_repair import Context, Turn, build
from merchgraph.graphs.voice_repair_state import Seen
from merchgraph.runtime.loop import run_sync

REFERENCE = "no detector"
Faces = Callable[[Luck, int, bool], list[Seen]]
"""(the dialogue's luck, number of the answer, whether it is wrong) -> readings."""


class System(NamedTuple):
    """What is seen, and how p(error) is read."""

    faces: Faces
    context: Context


class Params(BaseModel):
    """What is simulated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Annotated[int, Field(ge=1, le=100_000)] = 400
    """Dialogues of each system."""
    aucs: Annotated[tuple[Annotated[float, Field(ge=0.5, lt=1)], ...], Field(min_length=1)] = (
        0.6,
        0.7,
        0.8,
        0.9,
    )
    """How much the faces tell; the middle one says how many answers are doubted at random."""
    person: Person = Person()
    expressiveness: tuple[Annotated[float, Field(ge=0, le=10)], ...] = (1.0, 2.0)
    """Of made-up people that our own detector watches; it has learnt from others like them."""
    cost_ratio: Annotated[float, Field(gt=0, le=1000)] = 2.0
    """Of a missed error to a needless repair."""
    answers: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    """Single answers behind each cell of the table of thresholds."""
    seed: Annotated[int, Field(ge=0)] = 0


def run(
    params: Params | None = None, *, progress: Callable[[int, int], None] | None = None
) -> VoiceReport:
    """Simulate the dialogues under each system.

    Args:
        params: None is `Params()`.
        progress: called with (done, total) after each dialogue of all systems.

    Raises:
        SetupError: the extra bench is not installed.
    """
    params = params or Params()
    made = {level: watched(level, params.seed) for level in params.expressiveness}
    spoken = run_sync(_all(systems(params, made), params, progress))
    answers = Answers(params.person.errors, params.cost_ratio, params.answers, params.seed)
    costs = [answers.of_faces(auc) for auc in params.aucs]
    costs += [answers.of_clips(_name(level), clips) for level, clips in made.items()]
    notes = [_told(level, clips) for level, clips in made.items()]
    told = params.model_dump(mode="json") | {"thresholds": list(THRESHOLDS)}
    return summary(spoken, costs, told, notes)


async def _all(
    listed: dict[str, System], params: Params, progress: Callable[[int, int], None] | None
) -> dict[str, list[Spoken]]:
    spoken: dict[str, list[Spoken]] = {name: [] for name in listed}
    for number in range(params.limit):
        chance = luck(params.person, STEPS, (params.seed, number))
        for name, system in listed.items():
            spoken[name].append(await converse(chance, system, params.person))
        if progress:
            progress(number + 1, params.limit)
    return spoken


def systems(params: Params, made: Mapping[float, Watched]) -> dict[str, System]:
    """The systems by name.

    Args:
        params: what is simulated.
        made: expressiveness -> made-up faces that our detector watched.
    """
    context = Context(model="none", cost_ratio=params.cost_ratio)
    answers = Answers(params.person.errors, params.cost_ratio, 400, params.seed)
    often = answers.doubted(params.aucs[len(params.aucs) // 2])
    found = {
        REFERENCE: System(partial(_steady, 0.0, 0.0), context),
        "every answer doubted": System(partial(_steady, 1.0, 1.0), context),
        f"{often:.0%} doubted at random": System(partial(_coin, often), context),
    }
    for auc in params.aucs:
        found[f"faces of AUC {auc:g}"] = System(partial(_walking, auc, params), context)
    corrected = context.model_copy(update={"error_share": params.person.errors})
    for level, clips in made.items():
        found[_name(level)] = System(partial(_made, clips), corrected)
    found["the truth"] = System(partial(_steady, 0.0, 1.0), context)
    return found


def _name(level: float) -> str:
    return f"our detector, faces of {level:g}"


def _told(level: float, clips: Watched) -> str:
    return (
        f"{_name(level)} times the usual strength: AUC {clips.auc(Context().watch_s):.2f} of p(error) at "
        f"the end of the window; {len(clips.wrong)} errors and {len(clips.right)} right answers of "
        f"{MADE.people} made-up people from whom it has not learnt. The intervals are over dialogues; "
        "they do not hold the chance of other people or another training"
    )


def _made(clips: Watched, chance: Luck, number: int, erred: bool) -> list[Seen]:
    return clips.draw(float(chance.clip[number]), wrong=erred)


def _steady(right: float, wrong: float, chance: Luck, number: int, erred: bool) -> list[Seen]:
    return seen(np.full(STEPS, wrong if erred else right), Context().watch_s)


def _coin(share: float, chance: Luck, number: int, erred: bool) -> list[Seen]:
    """Doubted or not by a draw that knows nothing of the answer."""
    return seen(np.full(STEPS, float(chance.coin[number] < share)), Context().watch_s)


def _walking(auc: float, params: Params, chance: Luck, number: int, erred: bool) -> list[Seen]:
    levels = walk(auc, params.person.errors, chance.face[number], wrong=erred)
    return seen(levels, Context().watch_s)


class _Standing(NamedTuple):
    """Where a dialogue is: whether the last answer is wrong, and its number."""

    wrong: bool
    number: int


@cache
def _waiting() -> Any:
    """The graph as a product would run it: it waits for what comes after a repair."""
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    kept = [(state.__name__, kind) for kind in ("Turn", "Seen", "Look", "Decision", "Repair")]
    return build().compile(
        checkpointer=InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=kept))
    )


async def converse(chance: Luck, system: System, person: Person) -> Spoken:
    """One dialogue by the graph, from the first answer until the person is content or leaves."""
    talk = _Talk(chance, system, person)
    try:
        return await talk.whole()
    finally:
        await _waiting().checkpointer.adelete_thread(talk.thread)


_threads = count(1)


class _Talk:
    """A dialogue under way: what the graph says, and what the person makes of it."""

    def __init__(self, chance: Luck, system: System, person: Person) -> None:
        self.chance, self.system, self.made = chance, system, person
        self.thread = str(next(_threads))
        self.at = _Standing(chance.wrong, 0)
        self.turns, self.needless, self.missed, self.person, self.left = 2, 0, 0, False, False

    async def whole(self) -> Spoken:
        from langgraph.types import Command

        given: Any = {"turns": [self._turn()]}
        config: Any = {"configurable": {"thread_id": self.thread}}
        repairs = 0
        while given is not None:
            found = await _waiting().ainvoke(given, config, context=self.system.context)
            stops = found.get("__interrupt__")
            if stops:
                given = Command(resume=self._answer(stops[0].value["wanted"], found))
                continue
            repairs += len(found["repairs"])
            given = None if self.left or self.person else self._unasked()
        done = not self.at.wrong
        cost = self.system.context.cost_ratio * self.missed + self.needless
        return Spoken(done=done, alone=done and not self.person, needless=self.needless,
                      missed=self.missed, repairs=repairs, turns=self.turns, person=self.person,
                      cost=cost)  # fmt: skip

    def _turn(self) -> dict[str, Any]:
        number = self.at.number
        options = ["the first of them", "the other of them"] if self.chance.options else []
        answered = f"Answer {number}, which is {'wrong' if self.at.wrong else 'right'}"
        readings = self.system.faces(self.chance, number, self.at.wrong)
        made = Turn(asked="A request", answered=answered, options=options, readings=readings)
        return made.model_dump()

    def _answer(self, wanted: str, found: dict[str, Any]) -> Any:
        """What comes of a repair; a person who takes over settles the matter or does not."""
        self.turns += 2  # the line, and what is said to it
        kind, number = found["repairs"][-1].kind, self.at.number
        if wanted == "a person":
            self.person = True
            self.needless += not self.at.wrong
            helped = self.chance.helped[number] < helps(self.chance.trouble, kind)
            self.at = _Standing(self.at.wrong and not helped, number)
            return "Here is what was asked for."
        if not self.at.wrong:
            self.needless += 1
            self.left = True  # content: the answer was right, and the person says so
            return self._turn() | {"verdict": "fine"}
        if self.chance.stayed[number] >= self.made.stays or number + 1 == MOST_ANSWERS:
            self.left = True
            return ""
        self._next(kind)
        return self._turn()

    def _unasked(self) -> Any:
        """What the person does where nothing was repaired."""
        if not self.at.wrong:
            return None
        self.missed += 1
        number = self.at.number
        if self.chance.corrected[number] >= self.made.corrects or number + 1 == MOST_ANSWERS:
            return None
        self.turns += 1
        self._next("ask again")
        return {"turns": [self._turn()]}

    def _next(self, kind: Any) -> None:
        """The next answer, after a repair or the person's own correction."""
        number = self.at.number
        helped = bool(self.chance.helped[number] < helps(self.chance.trouble, kind))
        self.turns += 1
        self.at = _Standing(not helped, number + 1)
