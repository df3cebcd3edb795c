"""LLM-HYPER: a model writes the click model of an ad that nobody has seen yet (arXiv 2604.12096).

    START -> retrieve -> read -> write x batches -> validate -> normalise -> calibrate -> store -> END

retrieve    retired ads most like the new one, their trained weights, what weights usually are
read        the new ad in words, and a guess of its intercept
write       reasons, then weights of a batch of features; or one of five levels per feature
validate    weights that are missing, unknown, no numbers or against their reason do not go on
normalise   clip to the pool, scale to the neighbours' norm, shrink towards the neighbours' mean
calibrate   the intercept with which reference users click at the rate that the neighbours had
store       a new version in the weight store, if one is named

Retrieval, few-shot reasoning, normalisation and calibration are the paper's; their formulas, prompts and
schemas are ours, since it publishes none. In its ablation five shots without the picture rank no better
(NDCG@10) than the median of retired weights, so expect little of a run on text alone.

A branch that fails leaves its features to the neighbours' mean, and the result says so. Weights are
rounded to 1e-6, so that a replay on another processor asks its tape the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from merchgraph.agents.hypernetwork import Brief, Hypernetwork, prompt_version
from merchgraph.graphs.front import Watch, asked, run_graph
from merchgraph.graphs.hyper_result import Result, origin, result
from merchgraph.graphs.hyper_state import (
    AGENTS,
    QUANTILES,
    Calibration,
    Context,
    Neighbour,
    Part,
    Request,
    Retrieved,
    State,
    Term,
    Writing,
    batches,
    content,
)
from merchgraph.runtime.errors import MerchgraphError, ModelReplyError, SetupError
from merchgraph.runtime.loop import run_sync
from merchgraph.runtime.node import RECURSION_LIMIT, add_node
from merchgraph.runtime.playing import on_tape
from merchgraph.runtime.seeing import sight
from merchgraph.tools.ctr.entries import Basis, Draft, Entry
from merchgraph.tools.ctr.images import picture
from merchgraph.tools.ctr.likeness import AdVectors, nearest
from merchgraph.tools.ctr.pool import Ad, pool_of
from merchgraph.tools.ctr.store import Store
from merchgraph.tools.ctr.weights import (
    DIGITS,
    Checked,
    checked,
    expected,
    first_guess,
    intercept,
    normalise,
    predicted,
    rate,
)

__all__ = ["Context", "Request", "Result", "arun", "build", "graph", "result", "run"]

RETRIEVE_TIMEOUT_S = 900.0  # the first run on a shop trains the models of its retired ads
BAD_REPLY = ModelReplyError.__name__
WRITE_TIMEOUT_S = 900.0  # a thousand tokens, from a model that runs on the processor


async def retrieve(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The neighbours and the dictionary of features."""
    context, request = runtime.context, asked(Request, state)
    for agent in AGENTS:
        context.agent_model(agent)  # a wrong model name is said before the pool is read
    found = await on_tape(
        "retrieve", lambda: _retrieved(request, context), Retrieved, request=request,
        context=context.reads,
    )  # fmt: skip
    return {"retrieved": found, "parts": [], "seen": await _seen(found, context)}


async def _seen(retrieved: Retrieved, context: Context) -> bool | None:
    """Whether the agents are shown the pictures, which they are if all of them see; None without any."""
    if not retrieved.pictures(context.shots):
        return None
    models = [context.agent_model(agent) for agent in ("read", context.writer)]
    return all([await sight(model) == "sees" for model in models])


def _retrieved(request: Request, context: Context) -> Retrieved:
    pool, url = pool_of(context.data, context.seed), picture(request.image)
    vectors, new = AdVectors(context.clip), Ad(id=request.id, text=request.text, image=url)
    found = nearest(vectors.of(pool.ads), vectors.of([new])[0], context.neighbours)
    quantiles = np.round(pool.quantiles(QUANTILES).T, DIGITS).tolist()
    return Retrieved(
        terms=[
            Term(name=feature.name, meaning=feature.meaning, quantiles=tuple(values))
            for feature, values in zip(pool.features, quantiles, strict=True)
        ],
        neighbours=[
            Neighbour(
                id=pool.ads[row].id, text=pool.ads[row].text, picture=picture(pool.ads[row].image),
                cosine=round(cosine, DIGITS), rate=round(float(pool.rates[row]), DIGITS),
                weights=tuple(np.round(pool.weights[row], DIGITS).tolist()),
                intercept=round(float(pool.intercepts[row]), DIGITS),
                exposures=float(pool.exposures[row]),
            )
            for row, cosine in found
        ],
        picture=url,
    )  # fmt: skip


async def read(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The new ad in words."""
    context = runtime.context
    brief = _brief(state, context)
    return {"reading": await Hypernetwork(context.agent_model("read")).read(brief)}


def _brief(state: State, context: Context) -> Brief:
    pictures = bool(state["seen"])
    return state["retrieved"].brief(state["text"], context.shots, pictures=pictures)


def fan_out(state: State, runtime: Runtime[Context]) -> list[Send]:
    """One branch per batch."""
    context, retrieved = runtime.context or Context(), state["retrieved"]
    brief, known = _brief(state, context), retrieved.known(context.shots)
    return [
        Send(
            "write",
            Writing(
                brief=brief, reading=state["reading"], features=known[part],
                levels=[term.levels for term in retrieved.terms[part]],
            ),
        )
        for part in batches(state, context)
    ]  # fmt: skip


async def write(state: Writing, runtime: Runtime[Context]) -> dict[str, Any]:
    """The weights of one batch as the model gives them."""
    context, features = runtime.context, state["features"]
    agent = Hypernetwork(context.agent_model(context.writer))
    names = [feature.name for feature in features]
    if context.by == "writing":
        reply = await agent.write(state["brief"], state["reading"], features)
        part = Part(features=names, weights=reply.weights, reasons=reply.reasoning)
    else:
        [feature], [values] = features, state["levels"]
        odds = await agent.level(state["brief"], feature, calibrate=context.calibrate)
        part = Part(features=names, weights={feature.name: expected(odds, values)})
    return {"parts": [part]}


async def validate(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """What of the replies can be used."""
    parts = state["parts"]
    heard = parts or state["reading"] or any(error.kind == BAD_REPLY for error in state["errors"])
    if not heard:
        raise SetupError(state["errors"][-1].message)  # nobody answered at all
    found = Checked()
    for part in parts:
        directions = {reason.feature: reason.direction for reason in part.reasons}
        found += checked(part.weights, part.features, directions)
    if parts and not any(found.weights.values()):
        raise ModelReplyError("The model wrote no weight that can be used.")
    return {"checked": found}


async def normalise_(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Clipped, scaled and shrunk weights."""
    retrieved = state["retrieved"]
    written = state["checked"].vector(retrieved.names)
    return {"normalised": normalise(written, retrieved.near, runtime.context.share)}


async def calibrate(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The intercept."""
    near, context = state["retrieved"].neighbours, runtime.context
    wanted = rate(np.array([one.rate for one in near]), [one.cosine for one in near])
    weights, wanted = state["normalised"].weights, round(wanted, DIGITS)

    def work() -> Calibration:
        logits = pool_of(context.data, context.seed).users @ np.array(weights)
        b, start = intercept(logits, wanted), first_guess(logits, wanted)
        return Calibration(
            wanted=wanted, start=start, started=round(predicted(logits, start), DIGITS), intercept=b,
            predicted=round(predicted(logits, b), DIGITS),
        )  # fmt: skip

    found = await on_tape(
        "calibrate", work, Calibration, weights=weights, wanted=wanted, context=context.pool
    )
    return {"calibration": found}


async def store(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """A new version of the ad's weights."""
    context, retrieved = runtime.context, state["retrieved"]
    if context.store is None:
        return {"stored": None}
    path, hashed = context.store, content(state["text"], retrieved.picture)
    draft = Draft(
        ad=state.get("id") or hashed, content=hashed, prompt=prompt_version(),
        model=context.models.get(context.writer, context.model),
        weights=state["normalised"].weights, intercept=state["calibration"].intercept,
        origin=origin(retrieved, state["checked"]),
    )  # fmt: skip

    def work() -> Entry:
        return Store(path, Basis.of(pool_of(context.data, context.seed))).put(draft)

    kept = await on_tape("store", work, Entry, path=path, draft=draft, context=context.pool)
    return {"stored": kept}


def _unread(state: State, error: MerchgraphError, context: Context) -> dict[str, Any]:
    return {"reading": None}


def _unwritten(state: Writing, error: MerchgraphError, context: Context) -> dict[str, Any]:
    return {}


def _nothing_usable(state: State, error: MerchgraphError, context: Context) -> dict[str, Any]:
    return {"checked": Checked()}


def build() -> StateGraph[State, Context, Request, State]:
    """The state machine, to be compiled with whatever checkpointer or store its user wants."""
    builder = StateGraph(State, context_schema=Context, input_schema=Request)
    add_node(builder, "retrieve", retrieve, timeout_s=RETRIEVE_TIMEOUT_S, opens=True)
    add_node(builder, "read", read, timeout_s=WRITE_TIMEOUT_S, fallback=_unread)
    add_node(
        builder, "write", write, timeout_s=WRITE_TIMEOUT_S, fallback=_unwritten,
        lane=lambda state: state["features"][0].name,
    )  # fmt: skip
    add_node(builder, "validate", validate, fallback=_nothing_usable)
    add_node(builder, "normalise", normalise_)
    add_node(builder, "calibrate", calibrate, timeout_s=RETRIEVE_TIMEOUT_S)
    add_node(builder, "store", store, timeout_s=RETRIEVE_TIMEOUT_S)
    builder.add_edge(START, "retrieve")
    builder.add_edge("retrieve", "read")
    builder.add_conditional_edges("read", fan_out, ["write"])
    builder.add_edge("write", "validate")
    builder.add_edge("validate", "normalise")
    builder.add_edge("normalise", "calibrate")
    builder.add_edge("calibrate", "store")
    builder.add_edge("store", END)
    return builder


graph: CompiledStateGraph[State, Context, Request, State] = (
    build().compile(name="hyper").with_config(recursion_limit=RECURSION_LIMIT)
)


async def arun(
    request: Request, context: Context | None = None, *, watch: Watch | None = None
) -> Result:
    """Write the click model of one ad, from async code.

    Args:
        request: which ad.
        context: settings, the defaults if None.
        watch: see `run_graph`.

    Raises:
        SetupError: an unknown shop or model, an image that is none, or a server that answers nobody.
    """
    return await run_graph(graph, request, context or Context(), result, watch)


def run(request: Request, context: Context | None = None) -> Result:
    """Write the click model of one ad, from ordinary code and notebooks.

    Raises:
        SetupError: as `arun`.
    """
    return run_sync(arun(request, context))
