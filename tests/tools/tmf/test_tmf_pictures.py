from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.settings import settings
from merchgraph.tools.data.tables import Items
from merchgraph.tools.tmf import pictures as module
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.goods import Goods, goods
from merchgraph.tools.tmf.pictures import grocery_classes, pictures
from tests.tools.gmvo.toy import bought
from tests.tools.tmf.tmf_toy import Words

CONFIG = Config(likeness=0.9)
HEAD = (
    "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),Iconic,Words\n"
)
ROOT = "iconic-images-and-descriptions"


def shop(images: list[str | None]) -> Goods:
    frame = pl.DataFrame(
        {
            "item": ["p", "s", "b"],
            "title": ["Granny apples", "Soap", "Banana"],
            "category": ["Fruit > Apples > Granny Smith", "Drug > Soap", "Fruit > Banana"],
            "image": images,
        },
        schema_overrides={"image": pl.String},
    )
    return goods(Items(frame), bought([("ann", 1, "p"), ("ann", 1, "s"), ("ann", 2, "b")]), 1, 3)


@pytest.fixture
def _classes() -> None:
    folder = settings().data / module.FOLDER
    rows = ""
    for name, above in (("Granny-Smith", "Apple"), ("Pink-Lady", "Apple"), ("Banana", "Banana")):
        for place in (f"{ROOT}/Fruit/{above}/{name}", f"train/Fruit/{above}/{name}"):
            (folder / place).mkdir(parents=True)
        (folder / f"{ROOT}/Fruit/{above}/{name}/{name}_Iconic.jpg").write_bytes(b"1")
        for n in range(3):
            (folder / f"train/Fruit/{above}/{name}/{name}_{n}.jpg").write_bytes(b"12")
        rows += f"{name},0,{above},0,/{ROOT}/Fruit/{above}/{name}/{name}_Iconic.jpg,/x\n"
    (folder / "classes.csv").write_text(HEAD + rows)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What would be looked at, once it is; a picture's vector is of its name."""
    asked: list[Path] = []

    def look(files: list[Path], progress: object) -> NDArray[np.float32]:
        asked.extend(files)
        return np.stack([np.full(4, len(file.name), np.float32) + np.eye(4)[0] for file in files])

    monkeypatch.setattr(module, "_seen", look)
    monkeypatch.setattr(module, "PACKAGES", ())
    return asked


@pytest.mark.usefixtures("_classes")
def test_classes_stand_by_both_names_with_some_photos() -> None:
    found = {one.name: [file.name for file in one.files]
             for one in grocery_classes(settings().data / module.FOLDER)}  # fmt: skip
    assert found == {
        "Apple": ["Granny-Smith_Iconic.jpg", "Pink-Lady_Iconic.jpg"],
        "Banana": ["Banana_Iconic.jpg"],
        "Granny Smith": ["Granny-Smith_Iconic.jpg", "Granny-Smith_0.jpg", "Granny-Smith_1.jpg"],
        "Pink Lady": ["Pink-Lady_Iconic.jpg", "Pink-Lady_0.jpg", "Pink-Lady_1.jpg"],
    }


@pytest.mark.usefixtures("_classes")
def test_types_take_the_picture_of_their_name_and_the_rest_has_none(seen: list[Path]) -> None:
    found = pictures(shop([None, None, None]), Words(), CONFIG)  # type: ignore[arg-type]
    assert found.of[1] == -1
    assert min(found.of[[0, 2]]) >= 0
    assert found.of[0] != found.of[2]
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=1e-5)
    assert (
        "2 classes of grocery_store_images for 2 of 3 product types; 2 of 3 goods" in found.told[0]
    )
    looked = len(seen)
    assert looked > 0
    again = pictures(shop([None, None, None]), Words(), CONFIG)  # type: ignore[arg-type]
    np.testing.assert_array_equal(again.vectors, found.vectors)
    assert len(seen) == looked  # kept in the cache


@pytest.mark.usefixtures("_classes")
def test_an_item_s_own_picture_comes_first(seen: list[Path], tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"1")
    found = pictures(shop([str(mine), None, None]), Words(), CONFIG)  # type: ignore[arg-type]
    assert found.of[0] == 0
    assert mine in seen
    with pytest.raises(SetupError, match=r"column 'image' names 'gone.png', which is no file"):
        pictures(shop(["gone.png", None, None]), Words(), CONFIG)  # type: ignore[arg-type]


def test_without_pictures_or_their_packages_nothing_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    none = pictures(shop([None, None, None]), Words(), CONFIG)  # type: ignore[arg-type]
    assert none.of.tolist() == [-1, -1, -1]
    monkeypatch.setattr(module, "PACKAGES", ("no_such_package",))
    told = pictures(shop([None, None, None]), Words(), CONFIG).told  # type: ignore[arg-type]
    assert told[0].startswith("No image modality: pip install")


def test_the_packaged_network_sees_a_picture_and_refuses_what_is_none(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    from PIL import Image

    Image.new("RGB", (50, 40), "red").save(tmp_path / "red.png")
    Image.new("RGB", (50, 40), "blue").save(tmp_path / "blue.png")
    files = [tmp_path / "red.png", tmp_path / "blue.png"]
    red, blue = module._seen(files, lambda done, total, what: None)
    assert red.shape == (1280,)
    assert np.isfinite(red).all()
    assert not np.allclose(red, blue)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=r"text.png' cannot be read"):
        module._seen([tmp_path / "text.png"], lambda done, total, what: None)
