"""Repairer Agent: the one line that a voice assistant says when it may have been wrong.

The kinds of repair are those that the literature on spoken dialogue has in common; "My Bad!" (Cuadra, Li,
Lee, Cho, Ju, CSCW 2021) words its own as a question that admits the chance of an error. The prompts are
ours. The line is spoken, so it is short, and it never blames the person nor speaks of the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from merchgraph.agents.refiner import parts_schema
from merchgraph.prompts.load import fenced, listed, prompt
from merchgraph.runtime.structured import ask

Kind = Literal["offer options", "ask again", "rephrase", "hand over"]
MOST_OPTIONS = 5
LINE = 300
"""Longest text of the exchange in a prompt, in characters."""
LONGEST = 220
"""Characters of a line, for servers that constrain; above what the rules allow."""
TOKENS = 120


@dataclass(frozen=True)
class Exchange:
    """What the agent is told.

    Attributes:
        asked: the person's words.
        answered: what the assistant said or did.
        options: what else may have been meant, best first.
        said: repair lines of this exchange, oldest first.
    """

    asked: str
    answered: str
    options: tuple[str, ...] = ()
    said: tuple[str, ...] = ()

    @property
    def system(self) -> str:
        """The system prompt of every request about a repair."""
        return prompt("voice_repair/system")

    @property
    def about(self) -> str:
        """How every request about this exchange begins."""
        return prompt(
            "voice_repair/exchange",
            asked=fenced(self.asked, LINE),
            answered=fenced(self.answered, LINE),
            options=listed(list(self.options), LINE),
            said=listed(list(self.said), LINE),
        )


@dataclass(frozen=True)
class Repairer:
    """Words a repair."""

    model: BaseChatModel

    async def say(self, exchange: Exchange, kind: Kind, rules: Sequence[str]) -> dict[str, str]:
        """The line, as {"line": ...}; nothing of it is checked here.

        Args:
            exchange: what went before.
            kind: what the line is to do.
            rules: all that is required of it, as sentences.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        task = prompt(
            "voice_repair/write",
            task=prompt(f"voice_repair/{kind.replace(' ', '_')}"),
            rules=listed(list(rules), LINE),
        )
        messages = [SystemMessage(exchange.system), HumanMessage(f"{exchange.about}\n\n{task}")]
        reply = await ask(
            self.model,
            messages,
            parts_schema(("line",), LONGEST),
            agent="repair",
            max_tokens=TOKENS,
        )
        return dict(reply.model_dump())
