"""The judge that reports is not the model that wrote."""

import asyncio

import pytest

from merchgraph.evals.judges import answered, other_than
from merchgraph.runtime.errors import BudgetError, EndpointError, ModelReplyError, SetupError


@pytest.mark.parametrize("judge", ["vllm/m", "vllm/M", " vllm/m "])
def test_a_judge_that_is_the_model_is_refused(judge: str) -> None:
    with pytest.raises(SetupError, match=r"The judge is .*the critic of a loop is never its judge"):
        other_than(judge, "vllm/m")


@pytest.mark.parametrize("judge", ["", "vllm/n", "openai/m"])
def test_another_model_or_none_may_judge(judge: str) -> None:
    other_than(judge, "vllm/m")


async def said(answer: float | Exception) -> float:
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_answers_come_in_the_order_of_the_questions() -> None:
    async def all_of() -> list[float] | None:
        return await answered([said(0.1), said(0.9)])

    assert asyncio.run(all_of()) == [0.1, 0.9]


@pytest.mark.parametrize("error", [ModelReplyError("no odds"), EndpointError("gone")])
def test_one_answer_that_is_missing_leaves_none(error: Exception) -> None:
    async def all_of() -> list[float] | None:
        return await answered([said(0.1), said(error), said(0.9)])

    assert asyncio.run(all_of()) is None


@pytest.mark.parametrize("error", [BudgetError("spent"), SetupError("no model"), ValueError("bug")])
def test_what_no_other_case_survives_ends_the_run(error: Exception) -> None:
    async def all_of() -> list[float] | None:
        return await answered([said(ModelReplyError("no odds")), said(error)])

    with pytest.raises(type(error)):
        asyncio.run(all_of())
