import json
import logging
from pathlib import Path

import polars as pl
import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data.cache import cached, fingerprint

TABLE = pl.DataFrame({"item": ["a", "b"], "price": [1.0, None]})


class Builder:
    """Counts how often the tables are made."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, pl.DataFrame]:
        self.calls += 1
        return {"items": TABLE}


def load(folder: Path, build: Builder) -> pl.DataFrame:
    with use_settings(cache=folder):
        return cached("shop/1", build)["items"]


def test_tables_are_built_once_and_come_back_as_they_were(tmp_path: Path) -> None:
    build = Builder()
    assert load(tmp_path, build).equals(TABLE)
    assert load(tmp_path, build).equals(TABLE)
    assert build.calls == 1


def test_no_temporary_file_stays_behind(tmp_path: Path) -> None:
    load(tmp_path, Builder())
    names = sorted(file.name for file in (tmp_path / "data/shop/1").iterdir())
    assert names == ["contents.json", "items.arrow"]


@pytest.mark.parametrize("name", ["items.arrow", "contents.json"])
@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"[1]", None])
def test_a_damaged_cache_is_built_again(tmp_path: Path, name: str, content: bytes | None) -> None:
    build = Builder()
    load(tmp_path, build)
    file = tmp_path / "data/shop/1" / name
    file.write_bytes(file.read_bytes()[:-9] if content is None else content)
    assert load(tmp_path, build).equals(TABLE)
    assert load(tmp_path, build).equals(TABLE)
    assert build.calls == 2


def test_one_flipped_byte_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    build = Builder()
    load(tmp_path, build)
    file = tmp_path / "data/shop/1/items.arrow"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with caplog.at_level(logging.WARNING, logger="merchgraph"):
        load(tmp_path, build)
    assert build.calls == 2
    assert "cache_damaged" in caplog.text


def test_a_missing_table_is_built_again(tmp_path: Path) -> None:
    build = Builder()
    load(tmp_path, build)
    (tmp_path / "data/shop/1/items.arrow").unlink()
    assert load(tmp_path, build).equals(TABLE)
    assert build.calls == 2


def test_a_cache_that_is_not_a_folder_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(
        SetupError, match=r"cache folder .* cannot be written .*set MERCHGRAPH_CACHE"
    ):
        load(tmp_path, Builder())


def test_the_contents_are_checksums(tmp_path: Path) -> None:
    load(tmp_path, Builder())
    contents = json.loads((tmp_path / "data/shop/1/contents.json").read_text())
    assert list(contents) == ["items"]


def test_a_fingerprint_depends_on_bytes_and_version_only(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"x")
    two.write_bytes(b"x")
    assert fingerprint([one], version="1") == fingerprint([two], version="1")
    assert fingerprint([one], version="1") != fingerprint([one], version="2")
    two.write_bytes(b"y")
    assert fingerprint([one], version="1") != fingerprint([two], version="1")
