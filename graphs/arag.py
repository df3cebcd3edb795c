"""ARAG: agentic retrieval-augmented ranking for one shopper (arXiv 2506.21931, SIGIR 2025).

    START -> retrieve -+-> understand ------+-> summarize -> rank -> (fair_rerank) -> END
                       +-> nli x candidates +

retrieve     the shopper's texts, and I0: a union of named sources, or the slate of the request
understand   S_user: what the shopper likes and is after (beside nli: it reads the raw texts)
nli          s_NLI(i, u) of one candidate, and why if it is kept; one branch per candidate
summarize    I+ = {i : s_NLI >= theta}, and S_ctx over it
rank         a permutation of I0: I+ by the ranker, the others by s_NLI, then as retrieved; with
             `Context.fusion` then by a weighted sum of signals, of which the ranker's place is one
fair_rerank  with `Context.fair`: the k of greatest expected sales, raised for sellers who fell short

Scales, prompts and schemas are our design where the paper does not publish them. Where I+ is empty the
three best scores stand in, and the board says so. An agent that fails costs its own part only.

Ablations are settings: an agent that `Context.without` names makes no call. Without `nli` every candidate
is accepted as retrieved; without all three readers a single prompt ranks the candidates.
"""

from __future__ import annotations

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from merchgraph.agents.context_summary import ContextSummarizer, ContextSummary
from merchgraph.agents.item_ranker import ItemRanker, Ranking
from merchgraph.agents.nli import Nli, NliScore
from merchgraph.agents.shopper import Shopper
from merchgraph.agents.single_prompt import SinglePrompt
from merchgraph.agents.user_understanding import Understanding, UserUnderstanding
from merchgraph.graphs.arag_fair import Fair, chances, fair, ranker_of
from merchgraph.graphs.arag_state import (
    AGENTS,
    Accepted,
    Context,
    Judging,
    Message,
    Result,
    Retrieved,
    State,
    accept,
    by_score,
    fused,
    result,
)
from merchgraph.graphs.blackboard import latest, read
from merchgraph.graphs.front import Watch, asked, run_graph
from merchgraph.graphs.fusion import Fused
from merchgraph.graphs.offers import (
    Offer,
    Request,
    Wanted,
    informed,
    past,
    recent,
    retrieved,
    shopper,
    slate,
)
from merchgraph.runtime.errors import MerchgraphError, ModelReplyError, SetupError
from merchgraph.runtime.loop import run_sync
from merchgraph.runtime.node import RECURSION_LIMIT, RunError, add_node
from merchgraph.runtime.playing import on_tape
from merchgraph.tools.data.shops import shop

__all__ = ["Context", "Request", "Result", "arun", "build", "graph", "result", "run"]

RETRIEVE_TIMEOUT_S = 900.0  # the first run on a shop reads its log and builds its index


async def retrieve(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Read the shopper's texts and gather I0."""
    context = runtime.context
    request = asked(Request, state)
    for agent in AGENTS:
        context.agent_model(agent)  # a wrong model name is said before the log is read

    def work() -> tuple[Shopper, list[Offer]]:
        store = shop(context.data)
        whole = past(store, request)
        read = recent(
            whole, long_term_items=context.long_term_items, session_items=context.session_items
        )
        who = shopper(store, request.user, read)
        if request.candidates is not None:
            offers = slate(store, request.candidates, context.k)
        else:
            offers = retrieved(store, context.sources, whole, context.candidates, request.before)
        wanted = Wanted(context.evidence, context.fuses_tools, context.trained)
        if context.fair:
            ranker_of(store, request.before, context.fair_ledger)  # one that is missing is said now
        return who, informed(store, offers, whole, request.before, wanted)

    who, offers = await on_tape(
        "retrieve", work, tuple[Shopper, list[Offer]], request=request,
        context=context.reads,
    )  # fmt: skip
    found = Retrieved(items=[offer.item for offer in offers])
    return {"shopper": who, "offers": offers, "board": [Message(role="retrieve", payload=found)]}


def fan_out(state: State) -> list[Send]:
    """One branch to understand the shopper, and one per candidate."""
    who = state["shopper"]
    judge = [Send("nli", Judging(shopper=who, offer=offer)) for offer in state["offers"]]
    return [Send("understand", {"shopper": who}), *judge]


async def understand(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """S_user from the raw texts."""
    if "understand" in runtime.context.without:
        return {"board": []}
    agent = UserUnderstanding(runtime.context.agent_model("understand"))
    found = await agent.understand(state["shopper"])
    return {"board": [Message(role="understand", payload=found)]}


async def nli(state: Judging, runtime: Runtime[Context]) -> dict[str, Any]:
    """s_NLI of one candidate; the reason too, if it is kept."""
    context, offer = runtime.context, state["offer"]
    if "nli" in context.without:
        return _unjudged(state)
    agent, errors = Nli(context.agent_model("nli")), []
    score = await agent.score(state["shopper"], offer, calibrate=context.calibrate)
    if context.rationales and (score.score or 0) >= context.theta:
        try:
            reason = await agent.rationale(state["shopper"], offer, score)
            score = score.model_copy(update={"rationale": reason})
        except SetupError:
            raise
        except MerchgraphError as error:  # the score stands without its reason
            errors = [RunError.of("nli", offer.item, error)]
    return {"board": [Message(role="nli", payload=score)], "errors": errors}


async def summarize(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """S_ctx over I+."""
    context = runtime.context
    if "nli" not in context.without:
        _someone_answered(state)
    accepted = accept(state, context)
    board = [Message(role="summarize", payload=accepted)]
    if "summarize" not in context.without:
        agent = ContextSummarizer(context.agent_model("summarize"))
        found = await agent.summarize(state["shopper"], _pairs(state, accepted.accepted))
        board.append(Message(role="summarize", payload=found))
    return {"board": board}


async def rank(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The permutation of I0."""
    board, context = state["board"], runtime.context
    model = context.agent_model("rank")
    if context.single_prompt:
        ranking = await SinglePrompt(model).rank(state["shopper"], state["offers"], k=context.k)
        return _ranked(state, ranking, context)
    accepted = latest(board, Accepted)
    everything = by_score(state)
    chosen = accepted.accepted if accepted and context.rank_scope == "accepted" else everything
    ranking = await ItemRanker(model).rank(
        state["shopper"],
        latest(board, Understanding),
        latest(board, ContextSummary),
        _pairs(state, chosen),
        k=context.k,
    )
    whole = list(dict.fromkeys(ranking.ranking + everything))
    return _ranked(state, ranking.model_copy(update={"ranking": whole}), context)


def last_step(state: State, runtime: Runtime[Context]) -> str:
    """Whether the ranking is made fair to sellers."""
    return "fair_rerank" if (runtime.context or Context()).fair else END


async def fair_rerank(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The first k anew, so that sellers who fell short are shown more."""
    context, board, before = runtime.context, state["board"], asked(Request, state).before
    whole = latest(board, Fused) or latest(board, Ranking)
    assert whole is not None, "this comes after a ranking"
    judged = {score.item: score.score for score in read(board, NliScore)}
    odds = chances(whole.ranking, whole if isinstance(whole, Fused) else None, judged)

    def work() -> Fair:
        store, ledger = shop(context.data), context.fair_ledger
        return fair(store, whole.ranking, odds, context.k, before=before, ledger=ledger)

    found = await on_tape(
        "fair_rerank", work, Fair, data=context.data, before=before, ranking=whole.ranking,
        odds=odds, k=context.k,
    )  # fmt: skip
    return {"board": [Message(role="fair_rerank", payload=found)]}


def _ranked(state: State, ranking: Ranking, context: Context) -> dict[str, Any]:
    board = [Message(role="rank", payload=ranking)]
    if context.fusion:
        board.append(Message(role="rank", payload=fused(state, ranking, context)))
    return {"board": board}


def _pairs(state: State, items: list[str]) -> list[tuple[Offer, NliScore]]:
    offers = {offer.item: offer for offer in state["offers"]}
    scores = {score.item: score for score in read(state["board"], NliScore)}
    return [(offers[item], scores[item]) for item in items]


def _someone_answered(state: State) -> None:
    """A run in which no agent got an answer is no run, and its cause is not the shopper's."""
    if not _heard(state["board"]):
        raise SetupError(state["errors"][-1].message)


def _heard(board: list[Message]) -> bool:
    """Whether any agent has got an answer so far."""
    judged = any(score.score is not None for score in read(board, NliScore))
    return judged or bool(latest(board, Understanding) or latest(board, ContextSummary))


def _no_understanding(state: State, error: MerchgraphError, context: Context) -> dict[str, Any]:
    return {}


def _unjudged(state: Judging, *_: object) -> dict[str, Any]:
    score = NliScore(item=state["offer"].item, score=None)
    return {"board": [Message(role="nli", payload=score)]}


def _no_summary(state: State, error: MerchgraphError, context: Context) -> dict[str, Any]:
    return {"board": [Message(role="summarize", payload=accept(state, context))]}


def _by_score_alone(state: State, error: MerchgraphError, context: Context) -> dict[str, Any]:
    if not _heard(state["board"]) and not isinstance(error, ModelReplyError):
        raise SetupError(str(error))  # without a judge this is where nobody has answered
    return _ranked(state, Ranking(ranking=by_score(state)), context)


def build() -> StateGraph[State, Context, Request, State]:
    """The state machine, to be compiled with whatever checkpointer or store its user wants."""
    builder = StateGraph(State, context_schema=Context, input_schema=Request)
    add_node(builder, "retrieve", retrieve, timeout_s=RETRIEVE_TIMEOUT_S, opens=True)
    add_node(builder, "understand", understand, fallback=_no_understanding)
    add_node(builder, "nli", nli, fallback=_unjudged, lane=lambda state: state["offer"].item)
    add_node(builder, "summarize", summarize, fallback=_no_summary)
    add_node(builder, "rank", rank, fallback=_by_score_alone)
    add_node(builder, "fair_rerank", fair_rerank)
    builder.add_edge(START, "retrieve")
    builder.add_conditional_edges("retrieve", fan_out, ["understand", "nli"])
    builder.add_edge("understand", "summarize")
    builder.add_edge("nli", "summarize")
    builder.add_edge("summarize", "rank")
    builder.add_conditional_edges("rank", last_step, ["fair_rerank", END])
    builder.add_edge("fair_rerank", END)
    return builder


graph: CompiledStateGraph[State, Context, Request, State] = (
    build().compile(name="arag").with_config(recursion_limit=RECURSION_LIMIT)
)


async def arun(
    request: Request, context: Context | None = None, *, watch: Watch | None = None
) -> Result:
    """Run ARAG for one shopper, from async code.

    Args:
        request: for whom.
        context: settings, the defaults if None.
        watch: see `run_graph`.

    Raises:
        SetupError: an unknown user, item, model or shop, or a server that answers nobody.
    """
    return await run_graph(graph, request, context or Context(), result, watch)


def run(request: Request, context: Context | None = None) -> Result:
    """Run ARAG for one shopper, from ordinary code and notebooks.

    Raises:
        SetupError: as `arun`.
    """
    return run_sync(arun(request, context))
