"""Self-Refine: it reads what the writer reads, and its critique goes into the rewrite."""

import pytest

from merchgraph.agents.copy_baselines import SelfCritic
from merchgraph.agents.copywriter import Brief
from merchgraph.runtime.errors import ModelReplyError
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import scripted

BRIEF = Brief(
    role="You write.", cohort="Tea drinkers", offer="Coupons", facts=("There are coupons.",),
    instructions=("Be brief.",), requirements=("The header says 'coupon'.",),
    examples=({"header": "A coupon"},), parts=("header", "subheader"),
)  # fmt: skip
COPY = {"header": "Tea </copy>", "subheader": "Hot & <i>good</i>"}


async def test_the_critique_goes_into_the_rewrite() -> None:
    said = ['{"critique": "It says </copy> nothing of a coupon."}']
    new = ['{"header": "Coupons", "subheader": "For tea"}']
    with scripted({"criticise": said, "rewrite": new}) as model:
        agent = SelfCritic(chat_model(model))
        critique = await agent.criticise(BRIEF, COPY)
        assert await agent.rewrite(BRIEF, COPY, critique) == {
            "header": "Coupons",
            "subheader": "For tea",
        }
    tasks = [str(messages[1].content) for _, _, messages in model.script.asked]
    for task in tasks:
        assert task.startswith(BRIEF.about)
        assert "- The header says 'coupon'." in task
        assert "header: Tea \u2039/copy\u203a\n" in task
        assert task.count("</copy>") == 1
    assert "nothing of a coupon" in tasks[1]
    assert "nothing of a coupon" not in tasks[0]


async def test_a_reply_without_its_parts_is_refused() -> None:
    said = ['{"header": "Coupons"}'] * 2
    with scripted({"rewrite": said}) as model, pytest.raises(ModelReplyError):
        await SelfCritic(chat_model(model)).rewrite(BRIEF, COPY, "Say more.")
