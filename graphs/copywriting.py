"""Constrained copy: banners for one campaign and cohort, each checked and revised (arXiv 2504.10391).

    START -> read -> write -> refine x m -> select -> END

read      the use case: who writes what for whom, and the checks a copy must pass; with `calibrate`, also
          what each evaluator says of nothing and of the examples
write     m different copies in one reply; if it holds fewer, one reply more for the rest
refine    the loop of `refine.py`, one lane per copy: rules in code before evaluators, the first failed
          check told to the reviser together with all requirements, J revisions at most
select    copies that passed every check, best score first, without near-doubles; all others are rejected

Every version is tidied by code before it is checked (the paper's formatter). The default is the paper's
chain as it is read: the first failure stops the checks of a version, and a copy has all its J revisions.
With `mend` a revision that brought nothing is followed by one in code, which cuts what is too long; and a
reviser that gives back the draft or an example, or was told of a rule in code in vain, is replaced by the
writer, of whose other copies the one that breaks the fewest rules is taken.
Evaluators answer by one token, and a copy that repeats an example of its use case is no new copy: ours.

An evaluator without an answer is no pass; a reviser without one leaves the best version so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from merchgraph.agents.copy_evaluators import CopyEvaluator, Guideline, feedback
from merchgraph.agents.copywriter import Copywriter
from merchgraph.agents.refiner import Refiner
from merchgraph.graphs.copywriting_brief import brief, guidelines, mended, shots
from merchgraph.graphs.copywriting_state import (
    AGENTS,
    Context,
    Copying,
    Request,
    Result,
    Selection,
    State,
    loaded,
    result,
)
from merchgraph.graphs.front import Watch, asked, run_graph
from merchgraph.graphs.refine import Check, coded, refine_loop
from merchgraph.graphs.versions import Draft, Finding, Round, Text
from merchgraph.runtime.errors import MerchgraphError, ModelReplyError, SetupError
from merchgraph.runtime.loop import run_sync
from merchgraph.runtime.node import RECURSION_LIMIT, RunError, add_node
from merchgraph.runtime.playing import on_tape
from merchgraph.tools.copy_rules.distinct import distinct
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.use_case import UseCase

__all__ = ["Context", "Request", "Result", "arun", "build", "graph", "result", "run"]

MOST_VERSIONS = 11  # of one copy: the draft and ten revisions
WRITE_TIMEOUT_S = 900.0  # fifty copies, from a model that runs on the processor


async def read(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The use case of the request."""
    request = asked(Request, state)
    for agent in AGENTS:
        runtime.context.agent_model(agent)  # a wrong model name is said before a model is asked
    case = await on_tape("use_case", lambda: loaded(request.use_case), UseCase, request=request)
    neutral = await neutrals(case, runtime.context)
    return {"case": case, "neutral": neutral, "refined": []}


async def neutrals(case: UseCase, context: Context) -> dict[str, float]:
    """What is taken off each evaluator's answers; nothing of one that gives no answer.

    Raises:
        SetupError: as `choose`.
    """
    found: dict[str, float] = {}
    for name, guideline in guidelines(case).items() if context.calibrate else ():
        agent = CopyEvaluator(context.agent_model(guideline.kind))
        try:
            found[name] = await agent.neutral(brief(case), guideline)
        except SetupError:
            raise
        except MerchgraphError:  # its answers stand as they are
            continue
    return found


async def write(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The first version of m copies; fewer where the model wrote no more in two replies."""
    case, context = state["case"], runtime.context
    agent, told = Copywriter(context.agent_model("write")), brief(case)
    wanted, errors = context.wanted(case), []
    written = await agent.write(told, wanted)
    texts = _different(case, written)
    if missing := wanted - len(texts):
        try:  # what was dropped stays in the conversation: left out, it would be written once more
            more = await agent.write(told, len(written) + missing, had=written)
            texts = _different(case, [*texts, *more])[:wanted]
        except SetupError:
            raise
        except MerchgraphError as error:  # those that are there stand
            errors = [RunError.of("write", "", error)]
    drafts = [Draft(id=str(number), text=text) for number, text in enumerate(texts, start=1)]
    return {"drafts": drafts, "errors": errors}


def fan_out(state: State) -> list[Send] | str:
    """One loop per draft."""
    case, neutral = state["case"], state["neutral"]
    lanes = [Copying(draft=draft, case=case, neutral=neutral) for draft in state["drafts"]]
    return [Send("refine", lane) for lane in lanes] or "select"


def checks(state: Copying, context: Context) -> list[Check]:
    """The use case's rules in code, then its evaluators: cheap before dear."""
    judges = [_judged(state, context, *named) for named in guidelines(state["case"]).items()]
    return [*(coded(rule) for rule in state["case"].rules()), *judges]


async def revise(state: Copying, context: Context, source: Round) -> Text:
    """The next version of one copy; by the reviser, as long as it brings anything."""
    case, failed = state["case"], [f for f in source.findings if f.passed is False]
    if not failed:  # an evaluator gave no answer: of that the copy is not to suffer
        return source.text
    in_vain = context.mend and state["rounds"][-1].number != source.number
    if in_vain and (cut := mended(case, source.text)):
        text = case.tidy(cut)
        if all(text != one.text for one in state["rounds"]):
            return text
    # a copy that is revised a second time from the same version is not to come out the same
    sample = int(state["draft"].id) * MOST_VERSIONS + len(state["rounds"])
    if not (in_vain and any(found.hard for found in failed)):
        text = await _revised(case, context, source, sample)
        if not context.mend or _new(case, context, [text], source.text):
            return text
    return await _another(case, context, source, sample)


async def _revised(case: UseCase, context: Context, source: Round, sample: int) -> Text:
    told, failed = brief(case), [f for f in source.findings if f.passed is False]
    text = await Refiner(context.agent_model("refine", sample)).revise(
        told.system,
        told.about,
        source.text,
        rules=told.requirements,
        faults=[line for found in failed for line in found.feedback.splitlines()],
        shots=shots(case),
        longest=told.longest,
    )
    return case.tidy(text)


async def _another(case: UseCase, context: Context, source: Round, sample: int) -> Text:
    """The best of m other copies of the writer's: it says more than the same one again."""
    agent = Copywriter(context.agent_model("write", sample))
    # asked as at first, so that the server has the question in its cache
    texts = await agent.write(brief(case), context.wanted(case))
    rules, new = case.rules(), _new(case, context, texts, source.text)
    broken = [sum(not rule(text).passed for rule in rules) for text in new]
    return new[broken.index(min(broken))] if new else source.text


async def select(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The copies that passed, without doubles."""
    context, examples = runtime.context, [_line(copy) for copy in state["case"].examples]
    passed = [one for one in state["refined"] if one.passed]
    passed.sort(key=lambda one: one.version.score, reverse=True)
    texts, cosine = [*examples, *(_line(one.text) for one in passed)], context.alike_meaning

    def work() -> list[int]:
        if cosine is None:
            return distinct(texts, jaccard=context.alike)
        return distinct(texts, jaccard=context.alike, embed=Embedder().embed, cosine=cosine)

    limits = {"jaccard": context.alike, "cosine": cosine}
    kept = await on_tape("distinct", work, list[int], texts=texts, **limits)
    new = {number - len(examples) for number in kept}
    accepted = [one.id for number, one in enumerate(passed) if number in new]
    doubles = [one.id for number, one in enumerate(passed) if number not in new]
    return {"selection": Selection(accepted=accepted, duplicates=doubles)}


def _different(case: UseCase, texts: Sequence[Text]) -> list[Text]:
    """Tidied copies that say something, each once, and no example of the use case among them."""
    tidy = [case.tidy(text) for text in texts]
    new = {_line(text): text for text in tidy if any(text.values())}
    for example in case.examples:
        new.pop(_line(example), None)
    return list(new.values())


def _new(case: UseCase, context: Context, texts: Sequence[Text], source: Text) -> list[Text]:
    """Those tidied copies that are neither the source nor a double of an example."""
    shown = [_line(example) for example in case.examples]
    return [
        text
        for text in _different(case, texts)
        if text != source and len(shown) in distinct([*shown, _line(text)], jaccard=context.alike)
    ]


def _line(text: Mapping[Any, str]) -> str:
    return " / ".join(text.values())


def _judged(state: Copying, context: Context, name: str, guideline: Guideline) -> Check:
    told, neutral = brief(state["case"]), state["neutral"].get(name)

    async def run(text: Text) -> Finding:
        agent = CopyEvaluator(context.agent_model(guideline.kind))
        score = await agent.judge(told, guideline, text, neutral=neutral)
        passed = score >= context.threshold
        said = "" if passed else feedback(guideline, text)
        return Finding(rule=name, passed=passed, feedback=said, score=score)

    return Check(name, run, hard=False)


def _no_copies(state: State, error: MerchgraphError, context: Context) -> dict[str, Any]:
    if not isinstance(error, ModelReplyError):
        raise SetupError(str(error))  # nobody answered at all
    return {"drafts": []}


def build() -> StateGraph[State, Context, Request, State]:
    """The state machine, to be compiled with whatever checkpointer or store its user wants."""
    builder = StateGraph(State, context_schema=Context, input_schema=Request)
    loop = refine_loop(
        Copying, Context, checks=checks, revise=revise,
        rounds=lambda state, context: context.revisions(state["case"].rounds),
    )  # fmt: skip
    add_node(builder, "read", read, opens=True)
    add_node(builder, "write", write, timeout_s=WRITE_TIMEOUT_S, fallback=_no_copies)
    builder.add_node("refine", loop)
    add_node(builder, "select", select)
    builder.add_edge(START, "read")
    builder.add_edge("read", "write")
    builder.add_conditional_edges("write", fan_out, ["refine", "select"])
    builder.add_edge("refine", "select")
    builder.add_edge("select", END)
    return builder


graph: CompiledStateGraph[State, Context, Request, State] = (
    build().compile(name="copywriting").with_config(recursion_limit=RECURSION_LIMIT)
)


async def arun(
    request: Request, context: Context | None = None, *, watch: Watch | None = None
) -> Result:
    """Write the copies of one use case, from async code.

    Args:
        request: which use case.
        context: settings, the defaults if None.
        watch: see `run_graph`.

    Raises:
        SetupError: an unknown use case or model, or a server that answers nobody.
        DataError: a file that holds no use case.
    """
    return await run_graph(graph, request, context or Context(), result, watch)


def run(request: Request, context: Context | None = None) -> Result:
    """Write the copies of one use case, from ordinary code and notebooks.

    Raises:
        SetupError, DataError: as `arun`.
    """
    return run_sync(arun(request, context))
