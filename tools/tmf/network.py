"""The language model with vectors in its prompts: likelihoods of branches, and free answers.

    likely = model.likelihoods(packed, facts)       # (R,) mean log-likelihood of a label's tokens
    model.answer(prompts, question, facts)          # what the model says by itself

Sizes as in `prompt.py` and `model.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import Question
from merchgraph.tools.tmf.items import Facts, Widths
from merchgraph.tools.tmf.llm import Llm
from merchgraph.tools.tmf.model import Fusion
from merchgraph.tools.tmf.prompt import Packed, Prompts

INERT, HISTORY, CANDIDATE = range(3)
LONGEST = 24
"""Tokens of a free answer."""


class Network(nn.Module):
    """A language model, a fusion, and the embeddings of [PH], [HistoryEmb] and [CansEmb].

    The last two are added to the vectors, so that the model tells both kinds of slot apart. None of the
    three is a row of the language model, which stays as it is: its adapter works wherever it does.

    `trust` (1,) is what a likelihood counts beside the fusion's score; see `trust.py`.

    Args:
        llm: with LoRA.
        widths: of the facts; None is a model that sees text alone.
        config: settings.
    """

    def __init__(self, llm: Llm, widths: Widths | None, config: Config) -> None:
        super().__init__()
        self.llm, self.config = llm, config
        self.adapter: nn.Module = llm.model
        words = llm.words.weight.detach()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.special = nn.Parameter(torch.zeros(3, words.shape[1]))
            self.special.data[INERT] = words.mean(dim=0)
            length = float(words.norm(dim=1).mean())
            self.fusion = Fusion(widths, config, words.shape[1], length) if widths else None
        self.trust = nn.Parameter(torch.ones(1), requires_grad=False)
        self.to(words.device)

    def embedded(self, packed: Packed, facts: Facts | None) -> Tensor:
        """(B, L, E) — words, and in slots vectors, or [PH] without facts."""
        words = self.llm.words(packed.ids)
        inside = (packed.slot >= 0)[..., None]
        if facts is None or self.fusion is None:
            return torch.where(inside, self.special[INERT], words)
        vectors = self.fusion(facts).vectors
        tag = torch.where(
            torch.arange(vectors.shape[1], device=vectors.device)[:, None] < self.config.history,
            self.special[HISTORY],
            self.special[CANDIDATE],
        )
        index = packed.slot.clamp_min(0)[..., None].expand(-1, -1, vectors.shape[2])
        return torch.where(inside, (vectors + tag).gather(1, index), words)

    def likelihoods(self, packed: Packed, facts: Facts | None) -> Tensor:
        """(R,) float32 — mean log-likelihood of the tokens of each branch, its line end included."""
        hidden = self._read(
            inputs_embeds=self.embedded(packed, facts), attention_mask=packed.mask,
            position_ids=packed.position, use_cache=False,
        ).last_hidden_state  # fmt: skip
        # all first tokens of a question are predicted from one place: the head reads it once
        places, back = torch.unique(packed.reads, dim=0, return_inverse=True)
        logits = self.llm.head(hidden[places[:, 0], places[:, 1]].float()).float()
        found = logits[back, packed.wanted] - logits.logsumexp(dim=1)[back]
        sums = found.new_zeros(packed.branches).index_add(0, packed.of, found)
        counts = found.new_zeros(packed.branches).index_add(0, packed.of, torch.ones_like(found))
        return torch.as_tensor(sums / counts)

    @torch.no_grad()
    def answer(self, prompts: Prompts, question: Question, facts: Facts | None) -> str:
        """What the model writes behind "Answer:" by always taking the likeliest token, one line."""
        packed = prompts.pack([question], every=True).to(self.config.device)
        start = int((packed.branch[0] == 0).sum())
        packed = packed._replace(ids=packed.ids[:, :start], slot=packed.slot[:, :start])
        given: Any = {"inputs_embeds": self.embedded(packed, facts)}
        past, said = None, list[int]()
        while len(said) < LONGEST:
            out = self._read(**given, past_key_values=past, use_cache=True)
            past = out.past_key_values
            token = int(self.llm.head(out.last_hidden_state[:, -1].float()).argmax())
            if token == prompts.end or token == self.llm.tokenizer.eos_token_id:
                break
            said.append(token)
            given = {
                "inputs_embeds": self.llm.words(torch.tensor([[token]], device=packed.ids.device))
            }
        text: str = self.llm.tokenizer.decode(said)
        return text.strip()

    def _read(self, **given: Any) -> Any:
        """What the body of the language model makes of embeddings; the head stays in float32, since
        logits of one slate are near each other."""
        half = self.config.precision == "bfloat16"
        with torch.autocast(self.config.device, torch.bfloat16, enabled=half):
            return self.llm.body(**given)

    def own(self) -> dict[str, Tensor]:
        """What is trained: LoRA, special embeddings, fusion, trust; by name."""
        found = {f"lora/{name}": weight for name, weight in self.llm.lora().items()}
        found |= {"special": self.special, "trust": self.trust}
        if self.fusion is not None:
            found |= {f"fusion/{name}": w for name, w in self.fusion.named_parameters()}
        return found

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `own` named; what is not given stays."""
        mine = self.own()
        with torch.no_grad():
            for name, tensor in tensors.items():
                if name in mine:
                    mine[name].copy_(tensor)
