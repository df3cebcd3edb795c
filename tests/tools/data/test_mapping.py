from pathlib import Path

import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.data.mapping import read_mapping
from merchgraph.tools.yaml_form import LARGEST

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
    return message.removeprefix(str(path)).lstrip(",: ")


def test_a_mapping_has_defaults(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    mapping = read_mapping(tmp_path / "mine.yaml")
    assert (mapping.name, mapping.items.separator, mapping.events.time_format) == (None, ",", "iso")
    assert mapping.events.constants == {"behaviour": "view"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("items: [\nevents: }", "line 2: this is not YAML"),
        ("a: b: c", "line 1: this is not YAML"),
        ("items: !!python/object:os.system {}", "line 1: this is not YAML"),
        ("when: 2017-13-45", "line 1: the key 'items' is missing"),
        ("[" * 2_000, "this is no mapping file (maximum recursion depth"),
        (
            "",
            "line 1: a mapping file has keys such as 'name', 'items', 'events', but this file holds None",
        ),
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
    assert "byte 0 is not; give the mapping file" in fault(tmp_path, b"\xff\xfe\x00junk")
    assert "this is not YAML" in fault(tmp_path, b"PAR1\x00\x01\x02")


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    assert "but this one has 100,001; give the mapping file, not the data" in fault(
        tmp_path, b"#" * (LARGEST + 1)
    )


def test_references_that_grow_without_end_are_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    message = fault(tmp_path, "\n".join([*lines, "items: *a59"]))
    assert message.startswith("line 2: the reference '*a0' is not allowed")


def test_a_fault_far_down_is_named_by_its_line(tmp_path: Path) -> None:
    content = GOOD.strip().replace(", constants", ",\n\n  keep: {item: {abov: 1}},\n  constants")
    message = "line 4: the key 'events.keep.item.abov' is not known (did you mean 'above'?)"
    assert fault(tmp_path, content).startswith(message)
    assert "line 5: 'events.constants.when' is 'when'" in fault(
        tmp_path, content.replace("abov:", "above:").replace("{behaviour: view}", "{when: 1}")
    )
    twice = f"{GOOD}items: {{}}\n"
    assert "line 4: the key 'items' stands in line 2 already" in fault(tmp_path, twice)


def test_a_date_is_text(tmp_path: Path) -> None:
    dated = GOOD.replace("{behaviour: view}", "{time: 2024-01-02}").replace("time: t, ", "")
    (tmp_path / "mine.yaml").write_text(dated)
    assert read_mapping(tmp_path / "mine.yaml").events.constants == {"time": "2024-01-02"}


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        SetupError, match=r"The mapping file '.*' cannot be read \((No such file|Is a dir)"
    ):
        read_mapping(tmp_path / name)
