"""BehaviorLens: text or picture? What a shopper buys next, by how it is shown (arXiv 2511.03845).

    START -> read -> show -+-> predict -+-> END
                           +-> weigh ---+

read      the history and the candidates: those of the request, or of the shop's log
show      one rendering of the history: text, table, scatter plot, flowchart, page, or text and plot
predict   one candidate, with an explanation
weigh     a probability for each candidate (beside predict: it reads no explanation)

The paper publishes neither prompts nor candidates; those are our design, and the docstrings say where.
A picture goes to the model as a real vision message. Whether the model sees is probed before the first
one: a model that refuses pictures is refused here, and the result says of one that takes them and cannot
tell colours apart that it does not see. An answer that does not come, or cannot be used, costs its own
part only; a run in which nobody answers is no run.
"""

from __future__ import annotations

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from merchgraph.agents.behavior_reasoner import BehaviorReasoner, Shown
from merchgraph.graphs.behavior_lens_state import (
    LEAST_CANDIDATES,
    Context,
    Request,
    Result,
    State,
    result,
)
from merchgraph.graphs.front import Watch, asked, run_graph
from merchgraph.runtime.errors import MerchgraphError, SetupError
from merchgraph.runtime.loop import run_sync
from merchgraph.runtime.node import RECURSION_LIMIT, RunError, add_node
from merchgraph.runtime.playing import on_tape
from merchgraph.runtime.seeing import must_take_pictures
from merchgraph.tools.charts.events import event_table, names
from merchgraph.tools.charts.render import Rendering, render, sees
from merchgraph.tools.data.shops import shop
from merchgraph.tools.histories import History, history, most_bought, offered

__all__ = ["Context", "Request", "Result", "arun", "build", "graph", "result", "run"]

READ_TIMEOUT_S = 900.0  # the first run on a shop reads its log
SHOW_TIMEOUT_S = 300.0  # Matplotlib's first picture on a machine looks for the fonts


async def read(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The history, and what is offered."""
    context, request = runtime.context, asked(Request, state)
    context.agent_model()  # a wrong model name is said before the log is read
    past, candidates = request.history, request.candidates
    if past is None or candidates is None:
        past, candidates = await on_tape(
            "read", lambda: looked_up(request, context), tuple[History, list[str]],
            request=request, data=context.data, size=context.size,
        )  # fmt: skip
    return {"past": past, "offered": candidates, "prediction": None, "odds": {}}


async def show(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The history as the model gets it; a picture is on the tape, so that a replay draws none."""
    context, past, candidates = runtime.context, state["past"], state["offered"]

    def work() -> Rendering:
        return render(event_table(past, *candidates), context.rendering, context.variants)

    if not sees(context.rendering):
        return {"shown": work(), "sight": None}
    sight = await must_take_pictures(context.agent_model())
    how = {"rendering": context.rendering, "variants": context.variants}
    shown = await on_tape("show", work, Rendering, history=past, candidates=candidates, **how)
    return {"shown": shown, "sight": sight}


async def predict(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The next purchase, and why."""
    agent = BehaviorReasoner(runtime.context.agent_model())
    return {"prediction": await agent.predict(_shown(state), _named(state))}


async def weigh(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """A probability for each candidate; the tokens of the picture too, where they are wanted."""
    context, shown = runtime.context, _shown(state)
    agent = BehaviorReasoner(context.agent_model())
    odds, errors = await agent.weigh(shown, _named(state)), []
    if context.count_picture and shown.picture:
        try:
            await agent.count(shown, _named(state))
        except SetupError:
            raise
        except MerchgraphError as error:  # the odds stand, and the picture's tokens are not known
            errors = [RunError.of("weigh", "count", error)]
    return {"odds": odds, "errors": errors}


def looked_up(request: Request, context: Context) -> tuple[History, list[str]]:
    """History and candidates of a request, from the shop's log where it does not bring them. Blocks.

    Raises:
        SetupError: an unknown shop or user, a user without purchases of its most bought types, or a
            shop with a single item to offer.
    """
    store, before = shop(context.data), request.before
    past = request.history or history(store, request.user, before=before)
    candidates = request.candidates or list(offered(past, most_bought(store, before), context.size))
    if len(candidates) < LEAST_CANDIDATES:
        raise SetupError(
            f"{store.name} has {len(candidates)} item to offer to user {past.user!r}, but a choice needs "
            f"{LEAST_CANDIDATES}; name candidates."
        )
    return past, candidates


def _shown(state: State) -> Shown:
    return Shown(**state["shown"].model_dump())


def _named(state: State) -> dict[str, str]:
    """Candidates by what they are called in the rendering too."""
    found = names([*state["past"].items, *state["offered"]])
    return {item: found[item] for item in state["offered"]}


def _no_prediction(state: State, error: MerchgraphError, context: Context) -> dict[str, Any]:
    return {"prediction": None}


def _no_odds(state: State, error: MerchgraphError, context: Context) -> dict[str, Any]:
    return {"odds": {}}


def build() -> StateGraph[State, Context, Request, State]:
    """The state machine, to be compiled with whatever checkpointer or store its user wants."""
    builder = StateGraph(State, context_schema=Context, input_schema=Request)
    add_node(builder, "read", read, timeout_s=READ_TIMEOUT_S, opens=True)
    add_node(builder, "show", show, timeout_s=SHOW_TIMEOUT_S)
    add_node(builder, "predict", predict, fallback=_no_prediction)
    add_node(builder, "weigh", weigh, fallback=_no_odds)
    builder.add_edge(START, "read")
    builder.add_edge("read", "show")
    builder.add_edge("show", "predict")
    builder.add_edge("show", "weigh")
    builder.add_edge("predict", END)
    builder.add_edge("weigh", END)
    return builder


graph: CompiledStateGraph[State, Context, Request, State] = (
    build().compile(name="behavior_lens").with_config(recursion_limit=RECURSION_LIMIT)
)


async def arun(
    request: Request, context: Context | None = None, *, watch: Watch | None = None
) -> Result:
    """Foresee one shopper's next purchase, from async code.

    Args:
        request: whose.
        context: settings, the defaults if None.
        watch: see `run_graph`.

    Raises:
        SetupError: an unknown user, model or shop, a history that cannot be shown, a model that takes no
            pictures, or a server that answers nobody.
    """
    return await run_graph(graph, request, context or Context(), result, watch)


def run(request: Request, context: Context | None = None) -> Result:
    """Foresee one shopper's next purchase, from ordinary code and notebooks.

    Raises:
        SetupError: as `arun`.
    """
    return run_sync(arun(request, context))
