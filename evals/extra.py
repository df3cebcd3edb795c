"""The optional packages of the evaluations: the sentence where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from merchgraph.runtime.errors import SetupError


@contextmanager
def bench(purpose: str) -> Iterator[None]:
    """Import packages of the extra `bench` inside this block.

    Args:
        purpose: what needs them, as the sentence begins: "The HTML report".

    Raises:
        SetupError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise SetupError(
            f"{purpose} needs the extra bench ({error.name} is missing): "
            "pip install 'merchgraph[bench]'."
        ) from error
