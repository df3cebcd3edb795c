"""A voice assistant that sees when it erred, and repairs it.

    START -> read -> observe -+-> END        nothing is left to see
                        ^     +-> estimate -> decide -+-> observe      fine, or unsure
                        |                             +-> choose -+-> END    a person has it already
                        |                                         +-> write -+-> say
                        |                                         +-> say    +-> refine -> say
                        +------------------------ say -> hand_over -> END

read        the exchange: what was asked and answered
observe     which seconds are watched next: after an answer, once more if unsure, after a repair line
estimate    p(error) by moment, from a detector that reads a face's features, or as the request has it
decide      repair, fine or unsure, from costs (`voice_repair_policy.py`); words outweigh faces
choose      offer options, ask again, rephrase, or hand over; a thing is repaired once
write       the agent's line; the loop of `refine.py` checks and revises it (`voice_repair_lines.py`)
say         the line that keeps all rules, a ready one otherwise: the person hears something in any case
hand_over   waits for a person where the run has a thread; without one the result says who is needed

In a thread (a checkpointer, as in Studio) `observe` waits after a repair for the turn that came of it:
`Command(resume={"asked": ..., "answered": ..., "readings": [...]})`, or "" if nothing came. No frame of
a face is in a state, a checkpoint or a trace; p(error) is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from merchgraph.agents.refiner import Refiner
from merchgraph.agents.repairer import LONGEST, Exchange, Repairer
from merchgraph.graphs.front import Watch, asked, run_graph
from merchgraph.graphs.refine import Check, coded, refine_loop
from merchgraph.graphs.versions import Draft, Round, Text
from merchgraph.graphs.voice_repair_lines import ready, requirements, rules, usable
from merchgraph.graphs.voice_repair_look import Span, following, readings_of, span_of
from merchgraph.graphs.voice_repair_policy import chosen, decided
from merchgraph.graphs.voice_repair_result import Result, result
from merchgraph.graphs.voice_repair_state import (
    MOST_TURNS,
    Context,
    Look,
    Repair,
    Request,
    Seen,
    State,
    Turn,
    Wording,
)
from merchgraph.graphs.voice_repair_waiting import next_turn, person_said, waits
from merchgraph.runtime.errors import MerchgraphError
from merchgraph.runtime.loop import run_sync
from merchgraph.runtime.node import add_node
from merchgraph.runtime.playing import on_tape

__all__ = ["Context", "Request", "Result", "Turn", "arun", "build", "graph", "result", "run"]

STEPS = 10 * MOST_TURNS + 10
"""Of a run: two looks a turn, of three steps each, and the steps of at most four repairs."""


async def read(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The exchange of the request; what earlier runs of the thread repaired stays known."""
    request = asked(Request, state)
    runtime.context.agent_model()  # a wrong model name is said before the stream is read
    return {
        "checked": request.turns, "decisions": [], "repairs": [], "refined": [], "look": None,
        "kind": None, "done": state.get("done", {}), "person_needed": False, "person_said": "",
    }  # fmt: skip


async def observe(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Which seconds to watch next; in a thread it waits for the turn that a repair brings."""
    turns, decisions, repairs = state["checked"], state["decisions"], state["repairs"]
    span, features = Span(), state.get("features", "")
    if features:
        span = await on_tape("span", lambda: span_of(Path(features)), Span, features=features)
    look = following(turns, decisions, repairs, span, runtime.context)
    if look is not None or not decisions or decisions[-1].action != "repair":
        return {"look": look}
    if waits(runtime) and len(turns) < MOST_TURNS:
        came = next_turn(repairs[-1].line, turns, features)
        if came is not None:
            turns = [*turns, came]
            look = following(turns, decisions, repairs, span, runtime.context)
    return {"look": look, "checked": turns}


async def estimate(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """p(error) by moment; of a file through the detector, whose answers alone are kept."""
    look, detector = _look(state), runtime.context.detector
    turn, features = state["checked"][look.turn], state.get("features", "")
    if turn.readings is not None or not features:
        return {"readings": turn.readings or []}
    found = await on_tape(
        "detector", lambda: readings_of(Path(features), look, detector), list[Seen],
        features=features, look=look, detector=detector,
    )  # fmt: skip
    return {"readings": found}


async def decide(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Repair, fine or unsure."""
    look = _look(state)
    made = decided(look, state["checked"][look.turn], state["readings"], runtime.context)
    return {"decisions": [*state["decisions"], made]}


async def choose(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The kind of repair."""
    decision = state["decisions"][-1]
    turn = state["checked"][decision.look.turn]
    done = state["done"].get(turn.thing, [])
    kind = chosen(decision, turn, state["repairs"], done, runtime.context)
    return {"kind": kind, "drafts": [], "refined": [], "person_needed": kind is None}


async def write(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The agent's line."""
    kind, exchange, model = state["kind"], _exchange(state), runtime.context.agent_model()
    assert kind is not None
    assert model is not None
    text = await Repairer(model).say(exchange, kind, requirements(exchange, kind))
    return {"drafts": [Draft(id=f"{len(state['repairs']) + 1}", text=_tidy(text))]}


def checks(state: Wording, context: Context) -> list[Check]:
    """The rules of a line, in code."""
    return [coded(rule) for rule in rules(state["exchange"], state["kind"])]


async def revise(state: Wording, context: Context, source: Round) -> Text:
    """The next version of a line."""
    exchange, model = state["exchange"], context.agent_model()
    assert model is not None
    told = [found.feedback for found in source.findings if found.passed is False]
    text = await Refiner(model).revise(
        exchange.system, exchange.about, source.text, faults=told, longest=LONGEST,
        rules=requirements(exchange, state["kind"]),
    )  # fmt: skip
    return _tidy(text)


async def say(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The line that is said, and what it repaired."""
    kind, exchange, refined = state["kind"], _exchange(state), state["refined"]
    assert kind is not None
    number = state["decisions"][-1].look.turn
    thing = state["checked"][number].thing
    repair = Repair(turn=number, thing=thing, kind=kind, line=ready(exchange, kind), by="code",
                    stopped=refined[0].stopped if refined else "by code")  # fmt: skip
    if refined and refined[0].feasible:
        repair = repair.model_copy(update={"line": refined[0].text["line"], "by": "model"})
    elif refined:
        broke = [found.rule for found in refined[0].version.findings if not found.passed]
        repair = repair.model_copy(update={"broke": broke})
    done = {**state["done"], thing: [*state["done"].get(thing, []), kind]}
    runtime.stream_writer({"event": "said", "node": "say", "lane": "", "line": repair.line})
    return {"repairs": [*state["repairs"], repair], "done": done}


async def hand_over(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """A person takes over; what they answer is kept where the run can wait for it."""
    update: dict[str, Any] = {"person_needed": True}
    if waits(runtime):
        turn = state["checked"][state["decisions"][-1].look.turn]
        update["person_said"] = person_said(turn, [repair.line for repair in state["repairs"]])
    return update


def _look(state: State) -> Look:
    look = state["look"]
    assert look is not None
    return look


def _exchange(state: State) -> Exchange:
    turn = state["checked"][state["decisions"][-1].look.turn]
    said = tuple(repair.line for repair in state["repairs"])
    return Exchange(turn.asked, turn.answered, usable(turn.options), said)


def _tidy(text: Text) -> Text:
    return {part: " ".join(line.split()).strip('"') for part, line in text.items()}


def _no_readings(state: State, error: MerchgraphError, context: Context) -> dict[str, Any]:
    return {"readings": []}


def _no_draft(state: State, error: MerchgraphError, context: Context) -> dict[str, Any]:
    return {"drafts": []}


def _seen(state: State) -> str:
    return "estimate" if state["look"] is not None else END


def _decided(state: State) -> str:
    return "choose" if state["decisions"][-1].action == "repair" else "observe"


def _chosen(state: State, runtime: Runtime[Context]) -> str:
    if state["kind"] is None:
        return END
    ready_made = runtime.context is not None and runtime.context.model == "none"
    return "say" if ready_made else "write"


def _written(state: State) -> list[Send] | str:
    exchange, kind = _exchange(state), state["kind"]
    assert kind is not None
    lanes = [Wording(draft=draft, exchange=exchange, kind=kind) for draft in state["drafts"]]
    return [Send("refine", lane) for lane in lanes] or "say"


def _said(state: State) -> str:
    return "hand_over" if state["kind"] == "hand over" else "observe"


def build() -> StateGraph[State, Context, Request, State]:
    """The state machine, to be compiled with whatever checkpointer or store its user wants."""
    builder = StateGraph(State, context_schema=Context, input_schema=Request)
    add_node(builder, "read", read, opens=True)
    add_node(builder, "observe", observe)
    add_node(builder, "estimate", estimate, fallback=_no_readings)
    add_node(builder, "decide", decide)
    add_node(builder, "choose", choose)
    add_node(builder, "write", write, fallback=_no_draft)
    builder.add_node("refine", refine_loop(Wording, Context, checks=checks, revise=revise))
    add_node(builder, "say", say)
    add_node(builder, "hand_over", hand_over)
    builder.add_edge(START, "read")
    builder.add_edge("read", "observe")
    builder.add_conditional_edges("observe", _seen, ["estimate", END])
    builder.add_edge("estimate", "decide")
    builder.add_conditional_edges("decide", _decided, ["choose", "observe"])
    builder.add_conditional_edges("choose", _chosen, ["write", "say", END])
    builder.add_conditional_edges("write", _written, ["refine", "say"])
    builder.add_edge("refine", "say")
    builder.add_conditional_edges("say", _said, ["observe", "hand_over"])
    builder.add_edge("hand_over", END)
    return builder


graph: CompiledStateGraph[State, Context, Request, State] = (
    build().compile(name="voice_repair").with_config(recursion_limit=STEPS)
)


async def arun(
    request: Request, context: Context | None = None, *, watch: Watch | None = None
) -> Result:
    """Watch one exchange and repair it, from async code.

    Args:
        request: what was asked and answered, and the readings or the file of features.
        context: settings, the defaults if None.
        watch: see `run_graph`.

    Raises:
        SetupError: an unknown model, or no detector where features are to be read.
        DataError: a file that holds no stream; names the column and the row.
    """
    return await run_graph(graph, request, context or Context(), result, watch)


def run(request: Request, context: Context | None = None) -> Result:
    """Watch one exchange and repair it, from ordinary code and notebooks.

    Raises:
        SetupError, DataError: as `arun`.
    """
    return run_sync(arun(request, context))
