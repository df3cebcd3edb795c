"""What the GRACE suite compares: by hand, sequence models of a library, and settings of the tool.

A trained system is a config, trained once per seed. Its training lies in the cache while it lasts, its
lists when it is done, so that a suite that was stopped goes on where it stood. TIGER and MBGen are the
tool's skeleton with their tokens and without what is ours; both search along the trie, as all others do.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from merchgraph.evals.baselines.cornac_nets import Effort
from merchgraph.evals.baselines.grace import RANKERS, lists
from merchgraph.evals.baselines.sequential import KINDS, sequential
from merchgraph.evals.suites.grace_cases import Cases, K
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.files import put
from merchgraph.runtime.settings import settings
from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.grace.config import BRANCHES, Config
from merchgraph.tools.grace.data import Ints
from merchgraph.tools.grace.learn import Learned, learn, prepare
from merchgraph.tools.grace.samples import collate

VERSION = "3"  # raise it when the same config makes other lists
NOTHING = -1
TOGETHER = 16
"""Households that are answered at once."""
WIDE = 40
"""Beams of each behaviour where what a household has had is left out of its list."""
Kind = Literal["baseline", "ablation", "method"]
PLAIN = {"copies": False, "prior": False, "attention": "dense", "alone": 0.0}
ATTRIBUTES = ("department", "category", "brand", "price")
TEXTS = ("text 1", "text 2")
METHOD = "GRACE"
BY_HAND = "own frequency"


class Compared(NamedTuple):
    """A system.

    Attributes:
        name, about, kind: for the report.
        config: of the tool; None is a baseline by hand or of a library.
    """

    name: str
    about: str
    kind: Kind
    config: Config | None = None


class Lists(NamedTuple):
    """What a system answers, best first, -1 where there are fewer.

    Attributes:
        anyhow: (N, K) items by any behaviour.
        fresh: (N, K) the same of items that the household has not had.
        given: (N, B, K) items of each behaviour, or (N, 1, K) where it knows none.
        together: (N, 2, K) behaviours and items of the best pairs, or (N, 0, K).
    """

    anyhow: Ints
    fresh: Ints
    given: Ints
    together: Ints


def systems(base: Config, *, ablations: bool = True) -> list[Compared]:
    """All systems, from the simplest to the tool."""
    about = {
        "popularity": "what all bought most",
        BY_HAND: "what the household bought most",
        "item-kNN": "cosines to what the household bought, the latest counting most",
    }
    found = [Compared(name, about[name], "baseline") for name in RANKERS]
    found += [Compared(name, f"{name} of Cornac", "baseline") for name in KINDS]
    found += [
        Compared(
            "TIGER", "text codes only, dense, no behaviour", "baseline",
            base.with_(**PLAIN, slots=TEXTS, behaviours=False),
        ),
        Compared(
            "MBGen", "behaviour and text codes, dense", "baseline", base.with_(**PLAIN, slots=TEXTS)
        ),
    ]  # fmt: skip
    parts: dict[str, tuple[str, dict[str, object]]] = {
        "dense": ("attention of all to all", {"attention": "dense"}),
        "no copy path": ("decoded paths alone", {"copies": False, "alone": 0.0}),
    }
    if ablations:
        parts |= _ablations()
    found += [
        Compared(name, told, "ablation", base.with_(**changes))
        for name, (told, changes) in parts.items()
    ]
    return [*found, Compared(METHOD, "attributes, text codes, JSA, copy path", "method", base)]


def _ablations() -> dict[str, tuple[str, dict[str, object]]]:
    found: dict[str, tuple[str, dict[str, object]]] = {
        "no attributes": ("text codes only", {"slots": TEXTS}),
        "no texts": ("attributes only", {"slots": ATTRIBUTES}),
        "random prices": ("price bins drawn by lot", {"random_prices": True}),
        "random ids": ("digits of a random number", {"slots": ()}),
        "no neighbours": ("copies of own items only", {"near": 0}),
        "no prior": ("tokens start alike", {"prior": False}),
        "no trie": ("any path may be told", {"trie": False}),
        "no behaviours": ("items alone", {"behaviours": False}),
    }
    for branch in BRANCHES:
        rest = tuple(name for name in BRANCHES if name != branch)
        found[f"no {branch}"] = (f"JSA without its branch {branch}", {"branches": rest})
    return found


@dataclass(frozen=True, eq=False)
class Answers:
    """Makes each system's lists for the same cases.

    Attributes:
        data: names the log, its cut and the cases.
        items, known: catalogue and log before the cut.
        cases: what is answered.
        effort: of the library's models.
    """

    data: str
    items: Items
    known: Events
    cases: Cases
    effort: Effort

    def of(self, system: Compared, seed: int, progress: Progress = quiet) -> Lists:
        """The lists, from the cache where they were made before.

        Args:
            system: whose.
            seed: of its training.
            progress: told after each step of a training of the tool, and as it answers.

        Raises:
            SetupError: the cache cannot be written, or a package is missing.
        """
        if system.name in RANKERS:
            return _plain(lists(RANKERS[system.name], self.cases))
        if system.config is None:
            told = self.effort
            return self._kept(f"{system.name} {told} {seed}", lambda _: self._library(system, seed))
        config = system.config.with_(seed=seed)
        return self._kept(
            config.model_dump_json(), lambda folder: self._tool(config, folder, progress)
        )

    def _library(self, system: Compared, seed: int) -> Lists:
        (kind,) = (kind for kind in KINDS if kind == system.name)
        return _plain(sequential(kind, self.cases, self.effort, seed))

    def _tool(self, config: Config, folder: Path, progress: Progress) -> Lists:
        told = prepare(self.items, self.known, config)
        learned, _ = learn(told, config, state=(folder, self.data), progress=progress)
        return answered(learned, self.cases, progress)

    def _kept(self, told: str, make: Callable[[Path], Lists]) -> Lists:
        """From the cache, or made and kept there; `make` is given a folder for what is unfinished."""
        name = hashlib.blake2b(f"{VERSION} {self.data} {told}".encode(), digest_size=16).hexdigest()
        file = settings().cache_dir / "grace-suite" / f"{name}.npz"
        if file.exists():
            with np.load(file, allow_pickle=False) as kept:
                found = Lists(*(kept[part] for part in Lists._fields))
            if len(found.anyhow) == len(self.cases):
                return found
        unfinished = file.with_name(f"training-{name}")
        found = make(unfinished)
        data = BytesIO()
        np.savez(data, **found._asdict())
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            put(file, data.getvalue())
        except OSError as error:
            raise SetupError(
                f"Lists cannot be kept in {str(file.parent)!r} ({error.strerror or error}); set "
                "MERCHGRAPH_CACHE to a folder that can be written to, or make room there."
            ) from error
        shutil.rmtree(unfinished, ignore_errors=True)
        return found


def answered(learned: Learned, cases: Cases, progress: Progress = quiet) -> Lists:
    """The lists of a trained model; it sees what the cases' households did, by its own codes."""
    from merchgraph.tools.grace.answer import Ask, anyhow, listed

    goods, config = learned.goods, learned.model.config
    count = goods.predicted
    size = len(cases)
    shapes = (K,), (K,), (count, K), (2, K)
    found = Lists(*(np.full((size, *rest), NOTHING) for rest in shapes))
    rng = np.random.default_rng(0)
    for start in range(0, size, TOGETHER):
        some = range(start, min(start + TOGETHER, size))
        told = [cases.history(case) for case in some]
        if not config.behaviours:
            told = [one._replace(behaviour=np.zeros_like(one.behaviour)) for one in told]
        batch = collate(told, goods, config, rng)
        for case, one in zip(
            some, listed(learned.model, batch, Ask(WIDE, fresh=True)), strict=True
        ):
            had = set(told[case - start].item.tolist())
            items = [answer.item for answer in anyhow(one) if answer.item not in had][:K]
            found.fresh[case, : len(items)] = items
        for case, one in zip(some, listed(learned.model, batch, Ask(K)), strict=True):
            items = [answer.item for answer in anyhow(one)][:K]
            found.anyhow[case, : len(items)] = items
            for code in range(count):
                mine = [answer.item for answer in one if answer.behaviour == code][:K]
                found.given[case, code, : len(mine)] = mine
            for side, part in enumerate(("behaviour", "item")):
                values = [getattr(answer, part) for answer in one[:K]]
                found.together[case, side, : len(values)] = values
        progress(some.stop, size, "answering")
    return found if config.behaviours else _plain(np.stack([found.anyhow, found.fresh]))


def _plain(found: Ints) -> Lists:
    """Of (2, N, K) lists that know no behaviours."""
    anyhow, fresh = found
    return Lists(anyhow, fresh, anyhow[:, None], np.zeros((len(anyhow), 0, K), np.int64))
