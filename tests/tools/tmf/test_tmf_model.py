from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import Question
from merchgraph.tools.tmf.items import Facts
from merchgraph.tools.tmf.learn import Lesson, share
from merchgraph.tools.tmf.lesson import View, knowledge, lesson_with, view
from merchgraph.tools.tmf.model import Fusion, listwise
from merchgraph.tools.tmf.pictures import Pictures
from tests.tools.gmvo.toy import toy_shop
from tests.tools.tmf.tmf_toy import quick


def made(llm: Path, **changes: object) -> tuple[Config, View, Lesson]:
    config = quick(llm, **changes)
    seen = view(toy_shop().items, toy_shop().events, config)
    known = knowledge(seen, config) if config.seeing else None
    return config, seen, lesson_with(seen, known, config)


def scored(lesson: Lesson, questions: list[Question], see: bool = True) -> torch.Tensor:
    packed = lesson.prompts.pack(questions, every=True)
    facts = lesson.known.facts(questions) if lesson.known and see else None
    with torch.no_grad():
        return lesson.network.eval().likelihoods(packed, facts)


def test_branches_behind_one_prefix_are_scored_as_prompts_of_their_own(llm: Path) -> None:
    """The packed pass against one plain forward pass per candidate."""
    _, _, lesson = made(llm)
    some = list(lesson.questions[:3])
    found = scored(lesson, some).view(3, 4)
    network, prompts = lesson.network, lesson.prompts
    assert lesson.known is not None
    for row, question in enumerate(some):
        whole = prompts.pack([question], every=True)
        facts = lesson.known.facts([question])
        start = int((whole.branch[0] == 0).sum())
        with torch.no_grad():
            prefix = network.embedded(whole, facts)[:, :start]
        for place, item in enumerate(question.slate.tolist()):
            label = [*prompts.label(item), prompts.end]
            with torch.no_grad():
                tail = network.llm.words(torch.tensor([label[:-1]]))
                given = torch.cat([prefix, tail], dim=1)
                hidden = network.llm.body(inputs_embeds=given).last_hidden_state[0, start - 1 :]
                logs = network.llm.head(hidden).log_softmax(dim=-1)
            alone = logs[torch.arange(len(label)), torch.tensor(label)].mean()
            assert found[row, place].item() == pytest.approx(alone.item(), abs=1e-5)


def test_a_prompt_tells_what_was_done_what_is_asked_and_the_slate(llm: Path) -> None:
    _, seen, lesson = made(llm)
    question = lesson.questions[0]
    ids, slot = lesson.prompts.prefix(question)
    words = lesson.network.llm.tokenizer.decode(
        [i for i, s in zip(ids, slot, strict=True) if s < 0]
    )
    history = [seen.kept.labels[item] for item in question.trail.latest(3)[0]]
    slate = [seen.kept.labels[item] for item in question.slate]
    told = "; ".join(f"bought {label}" for label in history)
    lines = "\n".join(slate)
    assert words == f"A household: {told}.\nWhich of these is bought next?\n{lines}\nAnswer:"
    used = [s for s in slot if s >= 0]
    assert used == [*range(3 - len(history), 3), 3, 4, 5, 6]


def test_text_alone_reads_no_vectors_and_vectors_change_what_is_likely(llm: Path) -> None:
    _, _, lesson = made(llm)
    some = list(lesson.questions[:2])
    blind, seeing = scored(lesson, some, see=False), scored(lesson, some)
    assert not torch.allclose(blind, seeing)
    lesson.known = replace(lesson.known, text=lesson.known.text * 0) if lesson.known else None
    assert torch.equal(scored(lesson, some, see=False), blind)
    assert not torch.allclose(scored(lesson, some), seeing)


def facts(lesson: Lesson, count: int = 2) -> Facts:
    assert lesson.known is not None
    return lesson.known.facts(lesson.questions[:count])


def fusion(lesson: Lesson) -> Fusion:
    assert lesson.network.fusion is not None
    return lesson.network.fusion.eval()


@pytest.mark.parametrize(("amsa", "moved"), [("history", True), ("item", False), ("none", False)])
def test_candidates_look_at_the_history_only_where_amsa_does(
    llm: Path, amsa: str, moved: bool
) -> None:
    _, _, lesson = made(llm, amsa=amsa)
    given, model = facts(lesson), fusion(lesson)
    other = given._replace(text=given.text.clone())
    other.text[:, :3] += 1.0  # the history's
    with torch.no_grad():
        before, after = model(given), model(other)
    assert torch.allclose(before.scores, after.scores) is not moved
    assert not torch.allclose(before.vectors[:, :3], after.vectors[:, :3])


def test_candidates_never_look_at_each_other(llm: Path) -> None:
    _, _, lesson = made(llm)
    given, model = facts(lesson), fusion(lesson)
    other = given._replace(text=given.text.clone())
    other.text[:, -1] += 1.0
    with torch.no_grad():
        before, after = model(given), model(other)
    assert torch.allclose(before.scores[:, :-1], after.scores[:, :-1])
    assert not torch.allclose(before.scores[:, -1], after.scores[:, -1])


def test_free_places_of_a_short_history_say_nothing(llm: Path) -> None:
    _, _, lesson = made(llm)
    given, model = facts(lesson), fusion(lesson)
    short = given._replace(real=given.real.clone())
    short.real[:, 0] = False
    noisy = short._replace(text=short.text.clone(), graph=short.graph.clone())
    noisy.text[:, 0] += 5.0
    noisy.graph[:, 0] += 5.0
    with torch.no_grad():
        assert torch.allclose(model(short).scores, model(noisy).scores)
        assert not torch.allclose(model(short).scores, model(given).scores)


def test_a_count_reaches_the_score_past_the_layer_norms(llm: Path) -> None:
    _, _, lesson = made(llm)
    given, model = facts(lesson), fusion(lesson)
    assert model.wide is not None
    with torch.no_grad():
        before = model(given).scores
        model.wide.weight[:, -1] = 2.0
        after = model(given).scores
    torch.testing.assert_close(after - before, 2.0 * given.graph[:, 3:, -1])
    assert fusion(made(llm, wide=False)[2]).wide is None
    assert fusion(made(llm, modalities=("text",))[2]).wide is None


@pytest.mark.parametrize("gone", ["text", "graph", "image"])
def test_a_modality_that_is_left_out_is_not_read(llm: Path, gone: str) -> None:
    left = tuple(name for name in ("text", "graph", "image") if name != gone)
    _, seen, lesson = made(llm, modalities=left)
    assert lesson.known is not None
    eye = np.eye(len(seen.kept), 1280, dtype=np.float32)
    lesson.known = replace(lesson.known, pictures=Pictures(eye, np.arange(len(seen.kept)), ()))
    torch.manual_seed(0)
    model = Fusion(lesson.known.widths, lesson.config, 32, 1.0).eval()
    given = facts(lesson)
    assert given.has[..., 2].all() == given.real.all()
    for name in ("text", "graph", "image"):
        other = given._replace(**{name: getattr(given, name) + 1.0})
        with torch.no_grad():
            same = torch.allclose(model(given).scores, model(other).scores)
        assert same is (name == gone), name


@pytest.mark.parametrize(
    "changes",
    [{"fusion": "mean"}, {"fusion": "single", "modalities": ("graph",)}, {"cma": False}, {}],
)
def test_vectors_are_as_long_as_words_and_every_weight_learns(
    llm: Path, changes: dict[str, object]
) -> None:
    _, _, lesson = made(llm, **changes)
    model = fusion(lesson)
    found = model(facts(lesson))
    length = lesson.network.llm.words.weight.norm(dim=1).mean()
    torch.testing.assert_close(found.vectors.norm(dim=-1), length.expand(2, 7).detach())
    right = torch.from_numpy(np.stack([one.right for one in lesson.questions[:2]]))
    (found.vectors[..., 0].sum() + listwise(found.scores, right)).backward()
    for name, weight in model.projector.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_right_candidates_share_the_probability() -> None:
    scores = torch.tensor([[2.0, 2.0, -50.0]])
    assert listwise(scores, torch.tensor([[True, True, False]])).item() == pytest.approx(np.log(2))
    assert listwise(scores, torch.tensor([[False, False, True]])).item() > 50


def test_half_precision_says_nearly_the_same_and_keeps_weights_whole(llm: Path) -> None:
    found = []
    for precision in ("float32", "bfloat16"):
        _, _, lesson = made(llm, precision=precision)
        network = lesson.network.eval()
        packed = lesson.prompts.pack(lesson.questions[:2], every=True)
        likely = network.likelihoods(packed, facts(lesson))
        likely.sum().backward()  # type: ignore[no-untyped-call]
        assert {weight.dtype for weight in network.own().values()} == {torch.float32}
        assert all(weight.grad is not None for weight in network.llm.lora().values())
        assert isinstance(network.answer(lesson.prompts, lesson.questions[0], None), str)
        found.append(likely.detach())
    assert found[1].dtype == torch.float32
    assert not torch.equal(*found)
    torch.testing.assert_close(found[1], found[0], atol=0.02, rtol=0)


def test_the_model_answers_by_itself_in_one_line(llm: Path) -> None:
    _, _, lesson = made(llm)
    question = lesson.questions[0]
    said = lesson.network.eval().answer(lesson.prompts, question, None)
    assert "\n" not in said
    # byte by byte, as one forward pass without a cache has it
    packed = lesson.prompts.pack([question], every=True)
    start = int((packed.branch[0] == 0).sum())
    given, bytes_ = lesson.network.embedded(packed, None)[:, :start].detach(), list[int]()
    for _ in range(24):
        with torch.no_grad():
            hidden = lesson.network.llm.body(inputs_embeds=given).last_hidden_state[:, -1]
        token = int(lesson.network.llm.head(hidden).argmax())
        if token in (lesson.prompts.end, lesson.network.llm.tokenizer.eos_token_id):
            break
        bytes_.append(token)
        word = lesson.network.llm.words(torch.tensor([[token]])).detach()
        given = torch.cat([given, word], dim=1)
    assert said == lesson.network.llm.tokenizer.decode(bytes_).strip()


def test_rates_rise_and_fall() -> None:
    rates = [share(step, 100) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    assert share(0, 1) == 1.0


def test_special_embeddings_are_no_rows_of_the_language_model(llm: Path) -> None:
    _, _, lesson = made(llm)
    before = lesson.network.llm.words.weight.clone()
    lesson.network.special.data += 1
    assert torch.equal(lesson.network.llm.words.weight, before)
    assert all("lora_" in n or not n.startswith("lora/") for n in lesson.network.own())
