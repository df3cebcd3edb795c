"""CARTS: one title for a module of items, by agents that extract, write, check, revise and arbitrate.

    START -> read -> extract x items -> plan -> draft -> refine x K -> arbitrate -> END

read         the texts of the module's items
extract      features of one item, each with the words that prove it; one branch per distinct text
plan         features of one meaning together, and the m groups that cover the items best
draft        K titles in one reply; what is missing or doubled is made of the features by code
refine       the loop of `refine.py` on one title: length, style, words, evidence, relevance
arbitrate    judges who see the titles in different orders; a title that breaks a hard rule never
             wins while there is another, and none that breaks one is called feasible

The stages are those of the paper (arXiv 2506.17765); prompts, scales, limits and checks are our design,
since it does not publish them. With J rounds a run has 1 + 1 + (1 + 2 J) + 1 model steps in sequence,
whatever K and the number of items. An agent that fails costs its own part only.

Ablations are settings: `without` features the writer reads the items' texts, without arbitration the
highest coverage wins, `rounds` = 0 revises nothing, and `feedback` withholds what the refiner is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from merchgraph.agents.feature_extractor import FeatureExtractor
from merchgraph.agents.title_writer import TitleWriter
from merchgraph.graphs import carts_choice as ends
from merchgraph.graphs.carts_checks import TITLE, Titling, checks, distinct, rules
from merchgraph.graphs.carts_module import (
    acceptable,
    brief_of,
    by_code,
    extracted,
    features_of,
    goods_of,
)
from merchgraph.graphs.carts_state import (
    AGENTS,
    Brief,
    Context,
    Extracted,
    Goods,
    Reading,
    Request,
    Result,
    State,
    finished,
    result,
)
from merchgraph.graphs.carts_titles import revise, shots, taken_over
from merchgraph.graphs.front import Watch, asked, run_graph
from merchgraph.graphs.refine import refine_loop
from merchgraph.runtime.errors import MerchgraphError, ModelReplyError, SetupError
from merchgraph.runtime.loop import run_sync
from merchgraph.runtime.node import RECURSION_LIMIT, add_node
from merchgraph.runtime.playing import on_tape
from merchgraph.tools import features as tool
from merchgraph.tools.data.shops import shop
from merchgraph.tools.embedding import Embedder

__all__ = ["Context", "Request", "Result", "arun", "build", "graph", "result", "run"]

READ_TIMEOUT_S = 900.0  # the first run on a shop reads its log


async def read(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The texts of the module's items."""
    context = runtime.context
    request = asked(Request, state)
    acceptable(request.items)
    for agent in AGENTS:
        context.agent_model(agent)  # a wrong model name is said before the shop is read
    nothing = Brief(goods=[], about="", sources=[], clusters=[], weights={})
    rules(nothing, context)  # and so is a banned phrase that no title could have
    goods = await on_tape(
        "module", lambda: goods_of(shop(context.data), request.items), list[Goods],
        items=request.items, data=context.data,
    )  # fmt: skip
    return {"goods": goods, "name": request.name, "refined": []}


async def extract(state: Reading, runtime: Runtime[Context]) -> dict[str, Any]:
    """What one item's text proves of it."""
    product = state["product"]
    agent = FeatureExtractor(runtime.context.agent_model("extract"))
    found = extracted(product, await agent.extract(product))
    return {"extracted": {product.item: found}}


async def plan(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The clusters of the module's features, and those to write from."""
    context, goods = runtime.context, state["goods"]
    if "features" in context.without:  # only what titles by code need
        found = [feature for one in goods for feature in by_code(one)]
        return {
            "features": found, "chosen": [], "brief": brief_of(goods, found, [], [], context),
        }  # fmt: skip
    found = features_of(goods, state["extracted"])
    said = tool.wordings(found)
    leaders = await on_tape("alike", lambda: tool.alike(said, _embed), list[int], texts=said)
    weights = tool.item_weights([one.item for one in goods], context.weights)
    every = tool.clusters(found, leaders, weights)
    chosen = tool.cover(tool.telling(every), weights, context.clusters)
    brief = brief_of(goods, found, every, chosen, context)
    return {"features": found, "chosen": chosen, "brief": brief}


async def draft(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """K different titles."""
    context, brief = runtime.context, state["brief"]
    writer = TitleWriter(context.agent_model("draft"))
    written = await writer.write(brief.about, brief.cues, context.drafts, context.limits)
    return _drafted(written, state, context)


async def arbitrate(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The title that is returned."""
    context, candidates = runtime.context, finished(state)
    origins = state["origins"] | taken_over(candidates, state["shots"])
    feasible = [one for one in candidates if one.feasible]
    if feasible:
        chosen, errors = await ends.choose(state, feasible, context)
        return {"choice": chosen, "errors": errors, "origins": origins}
    made = await ends.stand_in(state["brief"], state["features"], context)
    if made is None:
        return {"choice": ends.trimmed(candidates, context), "origins": origins}
    chosen, _ = await ends.choose(state, [made], context)
    return {
        "choice": chosen,
        "refined": [made],
        "drafts": [*state["drafts"], ends.as_draft(made)],
        "origins": origins | {made.id: "template"},
    }


def read_each(state: State, runtime: Runtime[Context]) -> list[Send] | Literal["plan"]:
    """One branch per distinct text."""
    if "features" in (runtime.context or Context()).without:
        return "plan"
    return [Send("extract", Reading(product=one)) for one in distinct(state["goods"])]


def refine_each(state: State) -> list[Send]:
    """One loop per draft."""
    brief, shown = state["brief"], state["shots"]
    return [Send("refine", Titling(draft=one, brief=brief, shots=shown)) for one in state["drafts"]]


def _drafted(written: Sequence[str], state: State, context: Context) -> dict[str, Any]:
    """The drafts, and the examples for their refiners: none of the drafts, the same for all."""
    brief = state["brief"]
    found, origins = ends.drafts(written, brief, state["features"], context)
    shown = shots(brief, context, [one.text[TITLE] for one in found])
    return {"drafts": found, "origins": origins, "shots": shown}


def _fields_alone(state: Reading, error: MerchgraphError, context: Context) -> dict[str, Any]:
    product = state["product"]
    return {"extracted": {product.item: Extracted(features=by_code(product), answered=False)}}


def _templates(state: State, error: MerchgraphError, context: Context) -> dict[str, Any]:
    """Titles by code; but a run in which no agent got an answer is no run."""
    heard = any(state["extracted"][one.item].answered for one in _asked(state, context))
    if not heard and not isinstance(error, ModelReplyError):
        raise SetupError(str(error))
    return _drafted([], state, context)


def _asked(state: State, context: Context) -> list[Goods]:
    """The items of which an extractor was asked in this run."""
    return [] if "features" in context.without else distinct(state["goods"])


@cache
def _embedder() -> Embedder:
    return Embedder()


def _embed(texts: Any) -> Any:
    return _embedder().embed(texts)


def build() -> StateGraph[State, Context, Request, State]:
    """The state machine, to be compiled with whatever checkpointer or store its user wants."""
    builder = StateGraph(State, context_schema=Context, input_schema=Request)
    loop = refine_loop(Titling, Context, checks=checks, revise=revise)
    add_node(builder, "read", read, timeout_s=READ_TIMEOUT_S, opens=True)
    add_node(
        builder, "extract", extract, fallback=_fields_alone,
        lane=lambda state: state["product"].item,
    )  # fmt: skip
    add_node(builder, "plan", plan)
    add_node(builder, "draft", draft, fallback=_templates)
    builder.add_node("refine", loop)
    add_node(builder, "arbitrate", arbitrate)
    builder.add_edge(START, "read")
    builder.add_conditional_edges("read", read_each, ["extract", "plan"])
    builder.add_edge("extract", "plan")
    builder.add_edge("plan", "draft")
    builder.add_conditional_edges("draft", refine_each, ["refine"])
    builder.add_edge("refine", "arbitrate")
    builder.add_edge("arbitrate", END)
    return builder


graph: CompiledStateGraph[State, Context, Request, State] = (
    build().compile(name="carts").with_config(recursion_limit=RECURSION_LIMIT)
)


async def arun(
    request: Request, context: Context | None = None, *, watch: Watch | None = None
) -> Result:
    """Title one module, from async code.

    Args:
        request: the module.
        context: settings, the defaults if None.
        watch: see `run_graph`.

    Raises:
        SetupError: no, too many, doubled or unknown items, an unknown model or shop, or a server that
            answers nobody.
    """
    return await run_graph(graph, request, context or Context(), result, watch)


def run(request: Request, context: Context | None = None) -> Result:
    """Title one module, from ordinary code and notebooks.

    Raises:
        SetupError: as `arun`.
    """
    return run_sync(arun(request, context))
