from pathlib import Path

import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.data.mapping import LARGEST, read_mapping

GOOD = """
items: {file: i.csv, columns: {item: id, title: name}}
events: {file: e.csv, columns: {user: u, time: t, item: id}, constants: {behaviour: view}}
"""


def fault(tmp_path: Path, content: str | bytes) -> str:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read_mapping(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_mapping_has_defaults(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    mapping = read_mapping(tmp_path / "mine.yaml")
    assert (mapping.name, mapping.items.separator, mapping.events.time_format) == (None, ",", "iso")
    assert mapping.events.constants == {"behaviour": "view"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("items: [\nevents: }", "this is not YAML in line 2"),
        ("a: b: c", "this is not YAML in line 1"),
        ("items: !!python/object:os.system {}", "this is not YAML in line 1"),
        ("when: 2017-13-45", "this is not a mapping (month must be in 1..12)"),
        ("[" * 2_000, "this is not a mapping (maximum recursion depth"),
        ("", "but this file holds None"),
        ("- 1", "but this file holds [1]"),
        ("just words", "but this file holds 'just words'"),
    ],
)
def test_what_is_not_a_yaml_mapping_is_refused(tmp_path: Path, content: str, message: str) -> None:
    assert message in fault(tmp_path, content)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("items:", "item:", "the key 'items' is missing"),
        ("events: {file: e.csv", "events: {fyle: e.csv", "the key 'events.file' is missing"),
        ("columns: {item", "colums: {item", "the key 'items.columns' is missing"),
        ("{file: i.csv,", "{file: i.csv, sepparator: ;,", "not known (did you mean 'separator'?)"),
        ("{file: i.csv,", "{file: i.csv, zzz: 1,", "not known (known: file, separator"),
        (
            "title: name",
            "titel: name",
            "'items.columns.titel' is 'titel', but: Input should be 'item'",
        ),
        (
            "{file: i.csv,",
            "{file: i.csv, separator: ';;',",
            "'items.separator' is ';;', but: String",
        ),
        ("{file: i.csv,", "{file: '',", "'items.file' is '', but: String should have at least 1"),
        ("{file: i.csv,", '{file: "a\\0b",', "but: a path has no zero byte"),
        ("{file: i.csv,", "{file: 7,", "'items.file' is 7, but: Input should be a valid string"),
        ("time: t", "time: [t]", "'events.columns.time' is ['t'], but"),
        ("constants: {behaviour", "constants: {user", "'user' is given twice"),
        ("constants: {", "extras: [price], constants: {", "the extra column 'price' is a column"),
        ("constants: {", "extras: [x, x], constants: {", "the extra column 'x' is a column"),
        (
            "{file: i.csv,",
            "{file: i.csv, keep: {x: {abov: 1}},",
            "not known (did you mean 'above'?)",
        ),
        (
            "{file: i.csv,",
            "{file: i.csv, duplicates: any,",
            "Input should be 'error', 'first' or 'last'",
        ),
        ("constants: {behaviour: view}", "behaviours: {view: 1}", "'events.behaviours.view' is 1"),
    ],
)
def test_a_broken_mapping_is_named_by_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    assert message in fault(tmp_path, GOOD.replace(old, new))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    assert "byte 0 is not; give the mapping, not the data" in fault(tmp_path, b"\xff\xfe\x00junk")
    assert "this is not YAML" in fault(tmp_path, b"PAR1\x00\x01\x02")


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    assert "but this one has 1,000,001 bytes" in fault(tmp_path, b"#" * (LARGEST + 1))


def test_references_that_grow_without_end_are_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    message = fault(tmp_path, "\n".join([*lines, "items: *a59"]))
    assert len(message) < 500


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        SetupError, match=r"The mapping '.*' cannot be read \((No such file|Is a dir)"
    ):
        read_mapping(tmp_path / name)
