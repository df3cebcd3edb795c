"""The judge that reports is not the model that wrote."""

import pytest

from merchgraph.evals.judges import other_than
from merchgraph.runtime.errors import SetupError


@pytest.mark.parametrize("judge", ["vllm/m", "vllm/M", " vllm/m "])
def test_a_judge_that_is_the_model_is_refused(judge: str) -> None:
    with pytest.raises(SetupError, match=r"The judge is .*the critic of a loop is never its judge"):
        other_than(judge, "vllm/m")


@pytest.mark.parametrize("judge", ["", "vllm/n", "openai/m"])
def test_another_model_or_none_may_judge(judge: str) -> None:
    other_than(judge, "vllm/m")
