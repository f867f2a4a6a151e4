from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch

from core.domain.contrast import Direction, Hardness
from core.domain.dataset import Example, Split
from core.domain.encoder import EncoderSpec, Pooling, Role
from core.domain.groups import TaskGroup
from core.domain.triple import Texts
from core.encoder.base_shape import BaseShape
from core.encoder.language_model import LanguageModelEncoder, embed, load_base
from core.encoder.packing import use_packing
from core.errors import OutOfMemory
from core.training.adapters import attach, trainable
from core.training.batches import batch_of, training_rows
from core.training.gradients import BatchGradient, _passes, pieces_of, weight_of
from core.training.lora_linear import join_products
from core.training.objective import Objective
from tests.core.training.runs import make_plan

BUDGET = 60  # tokens a pass: several passes for the batch below
LOSS = {
    "directions": [(Direction.QUERY_DOCUMENT,), tuple(Direction)],
    "margin_mask": [None, 0.1],
    "hardness_weight": [0.0, 5.0],
    "hardness_on": [Hardness.HARD, Hardness.IN_BATCH, Hardness.ALL],
    "matryoshka": [(), (8, 16)],
    "learn_temperature": [False, True],
    "no_in_batch_groups": [(), (TaskGroup.LONG_SHORT,)],
    "negatives_per_query": [1, 2],
}
ENCODING = [  # pooling, bidirectional, packed, dropout
    (pooling, both_ways, packed, dropout)
    for pooling in Pooling
    for both_ways in (False, True)
    for packed in ((False,) if both_ways else (False, True))
    for dropout in (0.0, 0.3)
]


def example(i: int, query: str, positive: str, negative: str | None, group: TaskGroup = TaskGroup.SHORT_LONG) -> Example:
    return Example(f"e{i}", group, "find it", Texts(query, positive, negative), "English", None, Split.TRAIN)


EXAMPLES = [
    example(0, "what is rain", "water from the sky", "rain is a word of four letters"),
    example(1, "what is rain", "water from the sky", "the rain in a song"),
    example(2, "what is the longest river of the world, and where does it end", "a long river " * 4, "a short river"),
    example(3, "sunny", "weather", "sport", TaskGroup.LONG_SHORT),
    example(4, "goal", "sport", None, TaskGroup.LONG_SHORT),
]


def ready(base, *, pooling=Pooling.LAST_TOKEN, both_ways=False, packed=False, dropout=0.0) -> LanguageModelEncoder:
    """A tiny model with joined LoRA layers that change it, B not zero."""
    model, tokenizer = load_base(str(base), dtype=torch.float32, shape=BaseShape(bidirectional=both_ways))
    if packed:
        assert use_packing(model, max_length=64)
    tuned = attach(model, rank=4, alpha=8, dropout=dropout, base_name=str(base), seed=0)
    join_products(tuned)
    with torch.no_grad():
        for name, parameter in trainable(tuned).items():
            if "lora_B" in name:
                parameter.fill_(0.01)
    spec = EncoderSpec(base=str(base), pooling=pooling, max_length=64, bidirectional=both_ways)
    encoder = LanguageModelEncoder(tuned, tokenizer, spec, device=torch.device("cpu"))
    tuned.train()
    return encoder


def setting(encoder, packed: bool, **fields) -> SimpleNamespace:
    plan = make_plan(temperature=0.1, **fields)
    batch = batch_of(training_rows(EXAMPLES, most_negatives=plan.negatives_per_query), plan, step=0)
    ids = [encoder.tokens.ids([q], role=Role.QUERY, task=t)[0] for q, t in zip(batch.queries, batch.tasks, strict=True)]
    ids += encoder.tokens.ids(batch.documents, role=Role.DOCUMENT)
    objective = Objective(plan, width=32, device=torch.device("cpu"))
    parameters = [*trainable(encoder.model).values(), *objective.parameters.values()]
    for parameter in parameters:
        parameter.grad = None
    torch.manual_seed(5)
    return SimpleNamespace(loss=objective.of(batch)[0], ids=ids, parameters=parameters, encoder=encoder, packed=packed)


def flat(parameters) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in parameters])


def plain(s: SimpleNamespace) -> tuple[float, torch.Tensor]:
    """One graph over everything, in the passes the cached way takes (packed, dropout is drawn for a whole pass)."""
    passes = _passes(pieces_of(s.ids, padding=s.encoder.tokens.pad, most_tokens=BUDGET, packed=s.packed), BUDGET)
    assert len(passes) > 2
    vectors = torch.cat([embed(s.encoder.model, [piece.tokens for piece in some], s.encoder.spec) for some in passes])
    rows = [row for some in passes for piece in some for row in piece.rows]
    contrast = s.loss(vectors[torch.tensor(rows).argsort()])
    contrast.loss.backward()
    return contrast.loss.item(), flat(s.parameters)


def gradient_of(s: SimpleNamespace) -> BatchGradient:
    encoder = s.encoder
    return BatchGradient(
        lambda batches: embed(encoder.model, batches, encoder.spec), s.parameters, width=32, padding=encoder.tokens.pad, packed=s.packed
    )


def cached(s: SimpleNamespace, budget: int = BUDGET) -> tuple[float, torch.Tensor]:
    found = gradient_of(s).of(s.ids, s.loss, budget=budget)
    return found.contrast.loss.item(), flat(s.parameters)


def check(encoder, packed: bool, **fields) -> None:
    plain_loss, expected = plain(setting(encoder, packed, **fields))
    cached_loss, found = cached(setting(encoder, packed, **fields))
    size = max(1.0, float(expected.abs().max()))
    assert size < 100
    assert float(expected.abs().max()) > 1e-4
    assert cached_loss == pytest.approx(plain_loss, rel=1e-5, abs=1e-5), fields
    assert float((found - expected).abs().max()) <= 1e-5 * size, fields


@pytest.mark.parametrize(("pooling", "both_ways", "packed", "dropout"), ENCODING)
def test_the_cached_gradient_is_the_plain_one(tiny_decoder, pooling, both_ways, packed, dropout):
    """For each option of the loss alone and for all at once."""
    encoder = ready(tiny_decoder, pooling=pooling, both_ways=both_ways, packed=packed, dropout=dropout)
    check(encoder, packed)
    for name, values in LOSS.items():
        for value in values[1:]:
            check(encoder, packed, **({"hardness_weight": 5.0} | {name: value} if name == "hardness_on" else {name: value}))
    check(encoder, packed, **{name: values[-1] for name, values in LOSS.items()})


@pytest.mark.slow
@pytest.mark.parametrize(("pooling", "both_ways", "packed", "dropout"), ENCODING)
def test_the_cached_gradient_is_the_plain_one_for_every_combination(tiny_decoder, pooling, both_ways, packed, dropout):
    encoder = ready(tiny_decoder, pooling=pooling, both_ways=both_ways, packed=packed, dropout=dropout)
    combinations = [dict(zip(LOSS, values, strict=True)) for values in itertools.product(*LOSS.values())]
    wanted = [c for c in combinations if c["hardness_weight"] or c["hardness_on"] is Hardness.HARD]
    assert len(wanted) == 256
    for fields in wanted:
        check(encoder, packed, **fields)


def test_packed_and_padded_texts_have_the_same_gradient(tiny_decoder):
    padded_loss, expected = cached(setting(ready(tiny_decoder), packed=False), budget=10**9)
    packed_loss, found = cached(setting(ready(tiny_decoder, packed=True), packed=True), budget=10**9)
    assert packed_loss == pytest.approx(padded_loss, abs=1e-5)
    assert torch.allclose(found, expected, atol=1e-5 * max(1.0, float(expected.abs().max())))


@pytest.mark.parametrize("packed", [False, True])
def test_sorted_texts_have_the_gradient_of_unsorted_ones(tiny_decoder, packed):
    """Every text alone and in the order it came in, against texts sorted by length and cut into pieces."""
    s = setting(ready(tiny_decoder, packed=packed), packed)
    unsorted = [pieces_of([row], padding=0)[0].tokens for row in s.ids]
    assert [b.ids.shape[1] for b in unsorted] != sorted(b.ids.shape[1] for b in unsorted)
    contrast = s.loss(torch.cat([embed(s.encoder.model, [batch], s.encoder.spec) for batch in unsorted]))
    contrast.loss.backward()
    expected = flat(s.parameters)
    loss, found = cached(setting(s.encoder, packed))
    assert loss == pytest.approx(contrast.loss.item(), abs=1e-5)
    assert float((found - expected).abs().max()) <= 1e-5 * max(1.0, float(expected.abs().max()))


def short_memory(encoder, most_tokens: int, calls: list[int]):
    """An embedder that has no room for more than so many tokens while it keeps a graph."""

    def embedder(batches):
        tokens = sum(batch.ids.numel() for batch in batches)
        calls.append(tokens)
        if torch.is_grad_enabled() and tokens > most_tokens:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return embed(encoder.model, batches, encoder.spec)

    return embedder


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_too_little_memory_halves_the_budget_and_gives_the_gradient_of_the_smaller_one(tiny_decoder, dropout):
    encoder = ready(tiny_decoder, dropout=dropout)
    small = setting(encoder, packed=False)
    _, expected = cached(small, budget=100)
    s = setting(encoder, packed=False)
    calls: list[int] = []
    gradient = BatchGradient(short_memory(encoder, 100, calls), s.parameters, width=32, padding=0, packed=False)
    found = gradient.of(s.ids, s.loss, budget=400)
    assert found.budget == 100
    assert max(calls) > 100
    assert torch.equal(flat(s.parameters), expected)


def test_a_text_that_does_not_fit_alone_is_told(tiny_decoder):
    s = setting(ready(tiny_decoder), packed=False)
    gradient = BatchGradient(short_memory(s.encoder, 8, []), s.parameters, width=32, padding=0, packed=False)
    with pytest.raises(OutOfMemory, match="one by one") as caught:
        gradient.of(s.ids, s.loss, budget=400)
    assert "shorter texts" in caught.value.hint


def test_an_error_that_is_not_memory_is_not_retried(tiny_decoder):
    s = setting(ready(tiny_decoder), packed=False)

    def broken(batches):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        BatchGradient(broken, s.parameters, width=32, padding=0, packed=False).of(s.ids, s.loss, budget=400)


def test_pieces_hold_every_text_once_and_stay_below_their_size():
    lengths = (5, 50, 6, 49, 7, 900, 350, 351, 352)
    pieces = pieces_of([[1] * n for n in lengths], padding=0, most_tokens=1100)
    assert sorted(row for piece in pieces for row in piece.rows) == list(range(9))
    weights = [weight_of(piece.tokens.ids.numel(), longest=piece.tokens.ids.shape[1]) for piece in pieces]
    assert all(weight <= 1100 or len(piece.rows) == 1 for weight, piece in zip(weights, pieces, strict=True))
    assert [350, 351] in [[lengths[row] for row in piece.rows] for piece in pieces]  # the third would weigh too much, not count too much


def test_long_texts_weigh_more_than_their_tokens():
    assert weight_of(1000, longest=70) == pytest.approx(1100)
    assert weight_of(1000, longest=1400) == pytest.approx(3000)
