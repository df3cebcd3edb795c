"""The pool: retired ads whose click models are known, which a new ad's weights are written from.

    pool = pool_of("complete_journey")
    pool.ads[0].text, pool.weights[0]       # an ad, and the (F,) weights that its clicks trained
    pool.quantiles((0.1, 0.5, 0.9))         # (3, F): what weights of a feature usually are

A click model is linear: p(click | user, ad) = sigmoid(intercept + weights . z), where z are the user's
features, standardised on the pool's users and clipped. Sizes: n ads, F features, R reference users.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from merchgraph.runtime.errors import DataError, SetupError

Doubles = NDArray[np.float64]

REACH = 4.0
"""Standardised features are clipped to minus and plus this."""
ARRAYS = ("weights", "intercepts", "rates", "exposures", "centre", "spread", "users")
TENSORS, WORDS = "pool.safetensors", "pool.json"


class Feature(BaseModel):
    """A user feature, whose raw values lie in [0, 1].

    Attributes:
        name: short and unique, as "aisle: dairy".
        meaning: what it measures, in words that a model reads.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    meaning: str


class Ad(BaseModel):
    """What is known of an ad before anybody has seen it.

    Attributes:
        id: unique within a pool.
        text: what is embedded and shown to a model.
        image: path or URL; empty if there is none.
        group: what a rule keys on: its aisle; empty if unknown.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    text: str
    image: str = ""
    group: str = ""


@dataclass(frozen=True, eq=False)
class Pool:
    """Retired ads with their trained click models.

    Attributes:
        features: F names, in the order of every weight vector.
        ads: n.
        weights: (n, F), for standardised features.
        intercepts: (n,).
        rates: (n,) clicks per exposure.
        exposures: (n,) times that each ad was shown while its model was trained.
        centre, spread: (F,), of the raw features of the pool's users; see `standardised`.
        users: (R, F) standardised features of some of the pool's users, which intercepts are
            calibrated on.

    Raises:
        DataError: an array has another shape, or holds a number that is not finite.
    """

    features: tuple[Feature, ...]
    ads: tuple[Ad, ...]
    weights: Doubles
    intercepts: Doubles
    rates: Doubles
    exposures: Doubles
    centre: Doubles
    spread: Doubles
    users: Doubles

    def __post_init__(self) -> None:
        n, width = len(self.ads), len(self.features)
        shapes = {"weights": (n, width), "centre": (width,), "spread": (width,)}
        shapes |= dict.fromkeys(("intercepts", "rates", "exposures"), (n,))
        shapes["users"] = (len(self.users), width)
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise DataError(
                    f"The pool's {name} have the shape {array.shape}, but {n} ads and {width} "
                    f"features need {shape}; build the pool again."
                )
            if not np.isfinite(array).all():
                raise DataError(
                    f"The pool's {name} hold a number that is not finite; build the pool again."
                )

    def standardised(self, raw: Doubles) -> Doubles:
        """Raw features (..., F) in [0, 1] as the weights read them: within -4 to 4."""
        return np.clip((raw - self.centre) / self.spread, -REACH, REACH)

    def quantiles(self, q: Sequence[float]) -> Doubles:
        """(len(q), F) — quantiles of each feature's weights over the pool's ads."""
        return np.asarray(np.quantile(self.weights, q, axis=0), dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write the pool into a folder, which is made if absent; load it by `load`."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        # safetensors writes the memory as it lies and knows no strides
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in ARRAYS}
        save_file(arrays, folder / TENSORS)
        words = {
            "features": [feature.model_dump() for feature in self.features],
            "ads": [ad.model_dump() for ad in self.ads],
        }
        (folder / WORDS).write_text(json.dumps(words, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Pool:
        """The pool that `save` wrote.

        Raises:
            SetupError: the folder does not hold one.
            DataError: its files do not fit together.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            words = json.loads((folder / WORDS).read_text(encoding="utf-8"))
            arrays = {
                name: np.asarray(array, dtype=np.float64)
                for name, array in load_file(folder / TENSORS).items()
            }
            features = TypeAdapter(tuple[Feature, ...]).validate_python(words["features"])
            ads = TypeAdapter(tuple[Ad, ...]).validate_python(words["ads"])
            return cls(features, ads, **{name: arrays[name] for name in ARRAYS})
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            RecursionError,
            ValidationError,
            SafetensorError,
        ) as error:
            raise SetupError(
                f"The folder {str(folder)!r} holds no pool of ads ({type(error).__name__}); "
                f"expected {WORDS} and {TENSORS} as Pool.save writes them."
            ) from error


def pool_of(shop_name: str, seed: int = 0) -> Pool:
    """The pool of a shop, built at the first call (seconds) and kept in the cache.

    Args:
        shop_name: "complete_journey", the one shop with a record of what was advertised.
        seed: of the split into pool and test; the pool holds no test ad and no test user.

    Raises:
        SetupError: a shop without such a record, or its package is missing.
    """
    from merchgraph.tools.ctr.launch import kept
    from merchgraph.tools.data.shops import shop

    return Pool.load(kept(shop(shop_name), seed))
