"""What all graphs share: checked input, and a run to its final state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel, ValidationError

from merchgraph.runtime.errors import SetupError

B = TypeVar("B", bound=BaseModel)


def checked(kind: type[B], values: Mapping[str, Any]) -> B:
    """Make a request or context from raw values.

    Raises:
        SetupError: one sentence naming the field, its value and what is expected.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "value_error" and not field:
            raise SetupError(f"{message}.") from error  # it begins with a field's name
        if fault["type"] == "extra_forbidden":
            known = ", ".join(kind.model_fields)
            raise SetupError(f"There is no setting {field!r}; there are {known}.") from error
        raise SetupError(
            f"The setting {field} is {fault['input']!r}, but: {message[0].lower()}{message[1:]}."
        ) from error


async def final_state(
    graph: CompiledStateGraph[Any, Any, Any, Any], request: BaseModel, context: BaseModel | None
) -> dict[str, Any]:
    """Run a graph to its end; only what the request sets goes in."""
    state: dict[str, Any] = await graph.ainvoke(
        request.model_dump(exclude_unset=True) or request.model_dump(), context=context
    )
    return state
