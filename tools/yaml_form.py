"""A short YAML file as a pydantic form, with errors that name the file, the line and the field.

    case.yaml, line 7: 'parts.header.characters.least' is 'many', but: Input should be a valid integer ...

References (`*name`) and keys that stand twice are refused: a few lines of the first can stand for more
text than memory holds, and of the second YAML silently takes one.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from merchgraph.runtime.errors import DataError, SetupError

LARGEST = 100_000  # bytes; such a form has a few thousand
Form = TypeVar("Form", bound=BaseModel)
_Path = Sequence[str | int]


class FieldFault(ValueError):
    """A fault that a form's validator finds in one of its fields.

    Args:
        place: the path to the field, such as ("examples", 0).
    """

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


def read_form(path: Path, form: type[Form], what: str) -> Form:
    """The form in a YAML file.

    Args:
        what: the form's name in errors: "use case".

    Raises:
        SetupError: there is no such file, or it cannot be read.
        DataError: it is too large, no YAML, or does not have the form.
    """
    text = _text(path, what)
    try:
        tree, content = _parsed(text)
    except _Refused as error:
        raise DataError(f"{path}, line {error.line}: {error}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise DataError(f"{path}{line}: this is not YAML ({problem}); correct the line.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: this is no {what} ({error}); correct the value.") from None
    if not isinstance(content, dict):
        fields = ", ".join(repr(name) for name in list(form.model_fields)[:3])
        raise DataError(
            f"{path}, line 1: a {what} has keys such as {fields}, but this file holds "
            f"{_short(content)}; write it as one."
        )
    try:
        return form.model_validate(content)
    except ValidationError as error:
        # the chained error would print the whole input
        raise DataError(f"{path}, {_first(error, tree, form)}") from None


class _Refused(Exception):
    """YAML that is refused though it parses; says which line."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Safe YAML without references, in which a date is text."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise _Refused(
                f"the reference '*{event.anchor}' is not allowed; write out what it stands for",
                event.start_mark.line + 1,
            )
        return super().compose_node(parent, index)


def _parsed(text: str) -> tuple[yaml.Node | None, Any]:
    loader = _Loader(text)
    try:
        tree = loader.get_single_node()
        for node in _nodes(tree):
            _no_key_twice(node)
        return tree, None if tree is None else loader.construct_document(tree)
    finally:
        loader.dispose()


def _nodes(tree: yaml.Node | None) -> Iterator[yaml.Node]:
    waiting = [tree] if tree else []
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _no_key_twice(node: yaml.Node) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode):
            continue
        line = key.start_mark.line + 1
        if key.value in lines:
            raise _Refused(
                f"the key {key.value!r} stands in line {lines[key.value]} already; keep one", line
            )
        lines[key.value] = line


def _text(path: Path, what: str) -> str:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise DataError(
                f"{path}: a {what} is a short YAML file of at most {LARGEST:,} bytes, but this one "
                f"has {size:,}; give the {what}, not the data."
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: a {what} is YAML text in UTF-8, but byte {error.start} is not; give the {what}, "
            "or save it as UTF-8."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SetupError(f"The {what} {str(path)!r} cannot be read ({reason}); check it.") from None


def _first(error: ValidationError, tree: yaml.Node | None, form: type[BaseModel]) -> str:
    """The first fault as a sentence, with its line, and how many there are besides."""
    faults = error.errors(include_url=False)
    fault = faults[0]
    raised = fault.get("ctx", {}).get("error")
    inner = raised.place if isinstance(raised, FieldFault) else ()
    place = [part for part in (*fault["loc"], *inner) if part != "[key]"]
    where = f"line {_line(tree, place)}: "
    field = ".".join(str(part) for part in place) or "the file"
    more = f" ({len(faults) - 1} more faults follow.)" if len(faults) > 1 else ""
    if fault["type"] == "extra_forbidden":
        return f"{where}the key {field!r} is not known{_nearest(place, form)}; correct it.{more}"
    if fault["type"] == "missing":
        return f"{where}the key {field!r} is missing; add it.{more}"
    problem = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return f"{where}{field!r}: {problem}; correct it.{more}"
    return f"{where}{field!r} is {_short(fault['input'])}, but: {problem}; correct it.{more}"


def _line(tree: yaml.Node | None, place: _Path) -> int:
    """The line of the deepest node on a path that is there; a key's line for its value."""
    line, node = 1, tree
    for part in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == str(part)), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
    return line


def _nearest(place: _Path, form: type[BaseModel]) -> str:
    """What a misspelt key may have meant."""
    for part in place[:-1]:
        field = form.model_fields.get(str(part))
        inner = _forms(field.annotation) if field else ()
        form = next(iter(inner), form)
    close = difflib.get_close_matches(str(place[-1]), form.model_fields, n=1)
    known = ", ".join(form.model_fields)
    return f" (did you mean {close[0]!r}?)" if close else f" (known: {known})"


def _forms(annotation: Any) -> list[type[BaseModel]]:
    """The forms named in a type, such as the one inside `dict[str, Part]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [form for inner in get_args(annotation) for form in _forms(inner)]


def _short(value: object) -> str:
    return reprlib.repr(value)[:80]
