"""The rows of a batch for a graph of the registry: a row's columns are the fields of its request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from merchgraph.graphs.front import checked
from merchgraph.graphs.registry import module
from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.models import endpoint

FACTORY = "merchgraph.graphs.rows:rows"
SUBJECTS = {
    "arag": "user",
    "carts": "items",
    "copywriting": "use_case",
    "hyper": "text",
    "behavior_lens": "user",
    "voice_repair": "turns",
}
"""The field that each row has to have: its default is Studio's example."""


class GraphRows:
    """Answers a row by a run of a graph.

    Attributes:
        context: the settings of every run.
        kind: of the results.
        subject: the column that no row may miss.
        fields: all columns that a request can have.
    """

    def __init__(self, graph: str, context: Mapping[str, Any]) -> None:
        self._graph = module(graph)
        self.context: BaseModel = checked(self._graph.Context, context)
        self.kind: type[BaseModel] = self._graph.Result
        self.subject = SUBJECTS[graph]
        self.fields: tuple[str, ...] = tuple(self._graph.Request.model_fields)
        self._request = _lenient(self._graph.Request)

    def check(self, columns: Collection[str], id: str) -> None:
        """Whether requests can be made of a table, and the models asked.

        Raises:
            SetupError: a column is missing or no field, or a model's name is unknown.
        """
        if self.subject not in columns:
            raise SetupError(
                f"There is no column {self.subject!r}, which every row needs; there is "
                f"{', '.join(columns)}."
            )
        if unknown := [name for name in columns if name not in self.fields and name != id]:
            raise SetupError(
                f"The column {unknown[0]!r} is no field of a request; expected some of "
                f"{', '.join(self.fields)}. Drop it, or name it by --id."
            )
        asked = [getattr(self.context, "model", "none")]
        for name in (*asked, *getattr(self.context, "models", {}).values()):
            if name != "none":
                endpoint(name)

    async def __call__(self, row: Mapping[str, Any]) -> BaseModel:
        """The result of one row.

        Raises:
            DataError: the row lacks its subject, or has a value that a request does not allow.
            MerchgraphError: as the graph's `arun`, with the calls of the whole run.
        """
        given = {name: value for name, value in row.items() if name in self.fields}
        if self.subject not in given:
            raise DataError(f"The row has nothing in its column {self.subject!r}.")
        try:
            request = checked(self._request, given)
        except SetupError as error:
            raise DataError(str(error)) from error
        found: BaseModel = await self._graph.arun(request, self.context)
        return found


def rows(graph: str, context: Mapping[str, Any]) -> GraphRows:
    """The factory that a batch names (`FACTORY`).

    Raises:
        SetupError: there is no such graph, or a setting is wrong.
    """
    return GraphRows(graph, context)


def _lenient(request: type[BaseModel]) -> type[BaseModel]:
    """A request whose texts may come as numbers: shops' tables have whole numbers for ids."""
    config = ConfigDict(coerce_numbers_to_str=True)
    return type(request.__name__, (request,), {"model_config": config, "__doc__": request.__doc__,
                                               "__module__": request.__module__})  # fmt: skip
