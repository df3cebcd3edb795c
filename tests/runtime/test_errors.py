import re

from merchgraph.runtime import errors
from merchgraph.runtime.errors import (
    DataError,
    MerchgraphError,
    ModelReplyError,
    SetupError,
    ToolError,
)


def test_the_drawn_tree_holds_exactly_the_classes() -> None:
    drawn = set(re.findall(r"^[│├└─ ]*([A-Z]\w+)  ", str(errors.__doc__), re.MULTILINE))
    known = {name for name, value in vars(errors).items() if _ours(value)}
    assert drawn == known


def _ours(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, MerchgraphError)


def test_an_error_is_its_sentence() -> None:
    assert str(ModelReplyError("no usable Grade", reply="raw")) == "no usable Grade"
    assert str(ToolError("index busy", retryable=True)) == "index busy"
    assert MerchgraphError("x").calls == ()


def test_faulty_data_is_a_mistake_of_the_set_up() -> None:
    assert issubclass(DataError, SetupError)
