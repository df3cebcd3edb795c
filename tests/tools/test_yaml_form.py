"""YAML forms whose errors name the file, the line and the field."""

from pathlib import Path
from typing import Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.yaml_form import LARGEST, FieldFault, read_form


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    least: int = Field(default=0, ge=0)


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    parts: dict[str, Inner] = {}
    rows: list[str] = []

    @model_validator(mode="after")
    def _rows_are_short(self) -> Self:
        for number, row in enumerate(self.rows):
            if len(row) > 5:
                raise FieldFault(f"it has {len(row)} letters", "rows", number)
        return self


def fault(tmp_path: Path, content: str | bytes) -> str:
    path = tmp_path / "form.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read_form(path, Form, "form")
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < len(str(path)) + 300
    return message.removeprefix(str(path)).lstrip(",: ")


def test_a_form_is_read(tmp_path: Path) -> None:
    path = tmp_path / "form.yaml"
    path.write_text("name: 2017-03-08\nparts: {header: {least: 3}}\nrows: [a, b]\n")
    form = read_form(path, Form, "form")
    # a date is text, since no form has a field for one
    assert (form.name, form.parts["header"].least, form.rows) == ("2017-03-08", 3, ["a", "b"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "name: x\nparts:\n  header:\n    least: many\n",
            "line 4: 'parts.header.least' is 'many', but",
        ),
        ("name: x\n\n\nparts: {header: {least: -1}}", "line 4: 'parts.header.least' is -1, but"),
        (
            "name: x\nparts:\n  header: {leest: 1}",
            "line 3: the key 'parts.header.leest' is not known (did",
        ),
        ("name: x\nzzz: 1", "line 2: the key 'zzz' is not known (known: name, parts, rows)"),
        ("parts: {}", "line 1: the key 'name' is missing; add it."),
        ("name: x\nrows:\n- a\n- [b]", "line 4: 'rows.1' is ['b'], but"),
        ("name: x\nrows:\n- a\n- too long", "line 4: 'rows.1': it has 8 letters; correct it."),
        (
            "name: 1\nrows: 2",
            "line 1: 'name' is 1, but: Input should be a valid string; correct it. (1 more",
        ),
        (
            "name: x\nrows: []\nname: y",
            "line 3: the key 'name' stands in line 1 already; keep one.",
        ),
        ("name: x\nparts: {a: {}, a: {}}", "line 2: the key 'a' stands in line 2 already"),
        ("name: &n x\nrows: [*n]", "line 2: the reference '*n' is not allowed; write out"),
        ("<<: {name: x}\nrows: 1", "'rows' is 1, but"),
        ("name: [\nrows: }", "line 2: this is not YAML"),
        ("name: x\n  rows: 1", "line 2: this is not YAML"),
        ("name: !!python/object:os.system {}", "line 1: this is not YAML"),
        ("? [a]\n: 1", "line 1: this is not YAML"),
        ("a: 1\n---\nb: 1", "line 2: this is not YAML"),
        ("[" * 2_000, "this is no form (maximum recursion depth"),
        (
            "",
            "line 1: a form has keys such as 'name', 'parts', 'rows', but",
        ),
        ("- 1", "but this file holds [1]"),
        ("just words", "but this file holds 'just words'"),
        (b"\xff\xfe\x00junk", "byte 0 is not; give the form, or save it as UTF-8"),
        (b"PAR1\x00\x01\x02", "this is not YAML"),
    ],
)
def test_a_broken_file_is_named_by_line_and_field(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    assert message in fault(tmp_path, content)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    assert "but this one has 10,000,000; give" in fault(tmp_path, b"#" * 10_000_000)
    assert LARGEST < 10_000_000


def test_references_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert "line 2: the reference '*a0' is not allowed" in fault(tmp_path, "\n".join(lines))


@pytest.mark.parametrize("name", ["absent.yaml", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetupError, match=r"The form '.*' cannot be read \(.+\); check it"):
        read_form(tmp_path / name, Form, "form")
