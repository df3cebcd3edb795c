import subprocess
import sys
import threading
from pathlib import Path

import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data import shops, tabular
from merchgraph.tools.data.tables import Shop

MAPPING = """
items: {file: i.csv, columns: {item: id, title: name}}
events: {file: e.csv, columns: {user: u, time: t, item: id}, constants: {behaviour: view}}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "i.csv").write_text("id,name\n1,Soap\n")
    (tmp_path / "e.csv").write_text("u,t,id\n7,2017-01-02,1\n")
    (tmp_path / "mine.yaml").write_text(MAPPING)
    monkeypatch.setattr(shops, "_shops", {})
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.yaml"


def test_a_shop_is_the_same_object_by_whatever_path(mine: Path) -> None:
    assert shops.shop("mine.yaml") is shops.shop(str(mine)) is shops.shop("./mine.yaml")


def test_the_complete_journey_is_the_default(
    journey: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shops, "_shops", {})
    assert shops.shop().fingerprint == journey.fingerprint
    assert shops.shop("complete_journey") is shops.shop()


def test_threads_that_ask_at_once_get_one_shop(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Path] = []
    load = tabular.load

    def counted(path: Path) -> Shop:
        loads.append(path)
        return load(path)

    monkeypatch.setattr(tabular, "load", counted)
    got: list[Shop] = []
    threads = [threading.Thread(target=lambda: got.append(shops.shop(str(mine)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert all(one is got[0] for one in got)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("complete_jurney", "did you mean 'complete_journey'?"),
        ("Complete-Journey", "did you mean 'complete_journey'?"),
        ("mime.yaml", "did you mean 'mine.yaml'?"),
        ("mine", "did you mean 'mine.yaml'?"),
        ("zzz", "give one of those or a mapping file (.yaml)."),
        ("", "give one of those or a mapping file (.yaml)."),
        ("a\0b.yaml", "give one of those or a mapping file (.yaml)."),
        ("x" * 5_000 + ".yaml", "give one of those or a mapping file (.yaml)."),
        ("~nobody-here/mine.yaml", ""),
    ],
)
def test_an_unknown_shop_is_named_with_what_there_is(mine: Path, name: str, hint: str) -> None:
    with pytest.raises(SetupError) as caught:
        shops.shop(name)
    message = str(caught.value)
    assert message.startswith(f"The shop {name!r} is not known (there are 'complete_journey'")
    assert message.endswith(hint)


def test_a_failed_load_is_tried_again(mine: Path) -> None:
    (mine.parent / "e.csv").unlink()
    with pytest.raises(SetupError, match="there is no file"):
        shops.shop("mine.yaml")
    (mine.parent / "e.csv").write_text("u,t,id\n7,2017-01-02,1\n")
    assert shops.shop("mine.yaml").history("7")[0].items == ("1",)


def test_importing_the_shops_loads_no_polars() -> None:
    code = "import sys, merchgraph.tools.data.shops; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
