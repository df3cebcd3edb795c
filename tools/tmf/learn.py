"""The curriculum: the fusion by itself, text alone, the fusion under a frozen model, then all together.

    fuse   fusion, no language model     listwise over candidates; LLaRA has no such stage
    warm   LoRA, prompts of text alone   TMF's first stage
    align  fusion and projector          vectors in the prompts, the language model frozen
    joint  everything                    a step has vectors with chance s / S, else text, as LLaRA has it

The loss of the last three is that of the language model on the answer's tokens, length-normalised; a
question has up to four right answers, each a branch of its own. Where a step has vectors, the fusion's
own loss is added. A stage has its own optimiser and cosine. Some questions are held back from all of
them; at the end they tell how much a likelihood counts beside the fusion's score (`trust.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import Question
from merchgraph.tools.tmf.items import Facts, Known
from merchgraph.tools.tmf.model import listwise
from merchgraph.tools.tmf.network import Network
from merchgraph.tools.tmf.prompt import Prompts
from merchgraph.tools.tmf.trust import HELD, LEAST, trust

AT_ONCE = 64
"""Questions of a step of the fusion by itself."""
KEEP = 10
"""Steps after which an unfinished training is kept."""
CLIP = 1.0
STAGES = ("fuse", "warm", "align", "joint")
UNFINISHED = "A training that was not finished; the same call goes on.\n"


class Learnt(BaseModel):
    """How far a training is; what makes two trainings the same one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: Config
    data: str
    stage: str
    step: int
    losses: dict[str, list[float]]


class Stage(NamedTuple):
    """One part of the curriculum."""

    name: str
    steps: int
    step: Callable[[int], Tensor]
    """Number of the step -> loss."""
    groups: list[dict[str, object]]


@dataclass
class Lesson:
    """One training.

    Attributes:
        network: what is trained, in place.
        known: vectors of items; None for text alone.
        prompts: of the shop.
        questions: to learn from.
        config: settings.
        warm: folder of the warm-up, which does not depend on vectors: read where it is there, else
            written, so that trainings share it; None keeps none.
    """

    network: Network
    known: Known | None
    prompts: Prompts
    questions: Sequence[Question]
    config: Config
    warm: Path | None = None

    def learn(self, state: tuple[Path, str], progress: Progress = quiet) -> dict[str, list[float]]:
        """Train; the losses of each stage. A folder with an unfinished training is gone on with.

        Args:
            state: folder for what is unfinished, and name of the data.
            progress: told after each step.

        Raises:
            SetupError: the folder holds another training, or cannot be written.
        """
        stages = [stage for stage in self.stages() if stage.steps]
        total, done = sum(stage.steps for stage in stages), 0
        found = self._resume(*state)
        for stage in stages:
            losses = found.losses.setdefault(stage.name, [])
            if stage.name == "warm" and not losses:
                losses += self._warmed()
            optimiser = torch.optim.AdamW(stage.groups, weight_decay=0.0)
            if found.stage == stage.name:
                self._moments(optimiser, state[0])
            for step in range(len(losses), stage.steps):
                losses.append(self._step(stage, optimiser, step))
                done_now = done + step + 1
                progress(done_now, total, f"{stage.name}, loss {losses[-1]:.3f}")
                if (step + 1) % KEEP == 0 or step + 1 == stage.steps:
                    told = found.model_copy(update={"stage": stage.name, "step": step + 1})
                    self._keep(state[0], told, optimiser)
            done += stage.steps
            if stage.name == "warm" and self.warm and not self.warm.exists():
                told = found.model_copy(update={"stage": stage.name, "step": stage.steps})
                checkpoint.save(self.warm, self._arrays(), told, UNFINISHED)
        self._weigh(progress)
        return found.losses

    @property
    def held(self) -> int:
        """Questions at the end of the list that are not learned from."""
        some = min(HELD, len(self.questions) // 10)
        return some if some >= LEAST else 0

    @torch.no_grad()
    def _weigh(self, progress: Progress) -> None:
        if self.network.fusion is None:
            return
        if not any(self.config.steps):
            self.network.trust[:] = 0  # a language model that was taught nothing
            return
        self.network.eval()
        rows = []
        for number in range(self.held):
            question = self.questions[len(self.questions) - 1 - number]
            facts = self._facts([question])
            packed = self.prompts.pack([question], every=True).to(self.config.device)
            likely = self.network.likelihoods(packed, facts).cpu().numpy()
            assert facts is not None
            fused = self.network.fusion(facts).scores[0].cpu().numpy()
            rows.append((likely, fused, question.right))
            progress(number + 1, self.held, "how far the likelihood is to be trusted")
        if rows:
            likely, fused, right = (np.stack(column) for column in zip(*rows, strict=True))
            self.network.trust[:] = trust(likely, fused, right)

    def stages(self) -> Iterator[Stage]:
        """In order."""
        network, config = self.network, self.config
        lora = list(network.llm.lora().values())
        fusion = [] if network.fusion is None else list(network.fusion.parameters())
        text = {"params": [*lora, network.special], "top": config.rate}
        seen = {"params": [*fusion, network.special], "top": config.fusion_rate}
        whole = [
            {"params": lora, "top": config.rate},
            {"params": [*fusion, network.special], "top": config.fusion_rate / 2},
        ]
        warm, align, joint = config.steps
        if network.fusion is not None:
            yield Stage("fuse", config.fuse_steps, self._fuse, [seen])
        yield Stage("warm", warm, lambda step: self._read(step, 0.0, "warm"), [text])
        yield Stage("align", align, lambda step: self._read(step, 1.0, "align"), [seen])
        chance = 1.0 if network.fusion is not None else 0.0
        yield Stage(
            "joint",
            joint,
            lambda step: self._read(step, chance * (step + 1) / joint, "joint"),
            whole,
        )

    def _step(self, stage: Stage, optimiser: torch.optim.AdamW, step: int) -> float:
        for group in optimiser.param_groups:
            group["lr"] = group["top"] * share(step, stage.steps)
        self.network.train()
        seeds = (self.config.seed, STAGES.index(stage.name), step)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.default_rng(seeds).integers(2**31)))
            loss = stage.step(step)
        self.network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        trained = [one for group in optimiser.param_groups for one in group["params"]]
        nn.utils.clip_grad_norm_(trained, CLIP)
        optimiser.step()
        return float(loss.item())

    def _fuse(self, step: int) -> Tensor:
        some = self._some(step, AT_ONCE, 0)
        fusion, facts = self.network.fusion, self._facts(some)
        assert fusion is not None
        assert facts is not None
        right = torch.from_numpy(np.stack([one.right for one in some])).to(self.config.device)
        return listwise(fusion(facts).scores, right)

    def _read(self, step: int, chance: float, stage: str) -> Tensor:
        """The language model's loss on the right answers of some questions."""
        number = STAGES.index(stage)
        some = self._some(step, self.config.batch, number)
        drawn = np.random.default_rng((self.config.seed, number, step, 5)).random()
        facts = self._facts(some) if drawn < chance else None
        packed = self.prompts.pack(some, every=False).to(self.config.device)
        loss = -self.network.likelihoods(packed, facts).mean()
        if facts is None:
            return loss
        # without its own loss the fusion forgets how to score while the language model pulls at it
        return loss + self._fuse(self.config.fuse_steps + step)

    def _some(self, step: int, count: int, stage: int) -> list[Question]:
        """The questions of a step; a stage goes through all of them before it repeats any."""
        total = len(self.questions) - self.held
        places = np.arange(step * count, (step + 1) * count)
        rounds = sorted(set((places // total).tolist()))
        order = {
            turn: np.random.default_rng((self.config.seed, stage, turn, 3)).permutation(total)
            for turn in rounds
        }
        return [self.questions[int(order[int(p // total)][p % total])] for p in places]

    def _facts(self, some: Sequence[Question]) -> Facts | None:
        if self.known is None or self.network.fusion is None:
            return None
        return self.known.facts(some).to(self.config.device)

    def _warmed(self) -> list[float]:
        """Take over the warm-up of another training; its losses, none where there is none."""
        if self.warm is None or not (self.warm / checkpoint.WEIGHTS).exists():
            return []
        told, arrays = checkpoint.load(self.warm, Learnt, f"remove the folder {str(self.warm)!r}")
        text = {n: a for n, a in arrays.items() if not n.startswith("own/fusion/")}
        self.network.restore(_own(text))
        return list(told.losses["warm"])

    def _arrays(self) -> dict[str, NDArray[Any]]:
        own = self.network.own()
        return {f"own/{name}": weight.detach().cpu().numpy() for name, weight in own.items()}

    def _keep(self, folder: Path, told: Learnt, optimiser: torch.optim.AdamW) -> None:
        arrays = self._arrays()
        for number, moments in optimiser.state_dict()["state"].items():
            for name, one in moments.items():
                arrays[f"moment/{number}/{name}"] = one.detach().cpu().numpy()
        checkpoint.save(folder, arrays, told, UNFINISHED)

    def _resume(self, folder: Path, data: str) -> Learnt:
        new = Learnt(config=self.config, data=data, stage="", step=0, losses={})
        if not (folder / checkpoint.WEIGHTS).exists():
            return new
        told, arrays = checkpoint.load(folder, Learnt, f"remove the folder {str(folder)!r}")
        if told.config != self.config or told.data != data:
            raise SetupError(
                f"The folder {str(folder)!r} holds a training with other settings or data; go on "
                f"with those, name another folder, or remove it."
            )
        self.network.restore(_own(arrays))
        return told

    def _moments(self, optimiser: torch.optim.AdamW, folder: Path) -> None:
        _, arrays = checkpoint.load(folder, Learnt, "")
        moments: dict[int, dict[str, Tensor]] = {}
        for name, array in arrays.items():
            if name.startswith("moment/"):
                _, number, moment = name.split("/")
                moments.setdefault(int(number), {})[moment] = torch.from_numpy(array.copy())
        optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})


def _own(arrays: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    """What `Network.restore` takes."""
    prefix = "own/"
    return {name.removeprefix(prefix): torch.from_numpy(array.copy())
            for name, array in arrays.items() if name.startswith(prefix)}  # fmt: skip


def share(step: int, steps: int) -> float:
    """Learning rate over its greatest: up in a line for a tenth, down in half a cosine to a tenth."""
    rise = max(1, steps // 10)
    if step < rise:
        return (step + 1) / rise
    done = (step - rise) / max(1, steps - rise)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))
