"""The loss against a derivation of its own in numpy, query by query, and against sentence-transformers'."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.domain.contrast import Direction, Hardness
from core.domain.dataset import Example, Split
from core.domain.groups import TaskGroup
from core.domain.triple import Texts
from core.errors import BadPlan
from core.training.batches import batch_of, training_rows
from core.training.objective import Objective
from tests.core.training.runs import make_plan

COUNT, WIDTH = 6, 12
ALL = tuple(Direction)


def examples(*, negatives: int = 1) -> list[Example]:
    rows = []
    for i in range(COUNT):
        group = TaskGroup.LONG_SHORT if i == COUNT - 1 else TaskGroup.SHORT_LONG
        rows += [
            Example(f"{i}-{k}", group, "t", Texts(f"q{i}", f"p{i}", f"n{i}.{k}"), "English", None, Split.TRAIN) for k in range(negatives)
        ]
    return rows


def vectors(negatives: int = 1, seed: int = 0) -> torch.Tensor:
    """Unit vectors in which positives resemble their query a little, so that some negatives pass them."""
    torch.manual_seed(seed)
    queries = torch.randn(COUNT, WIDTH)
    documents = torch.randn(COUNT * (1 + negatives), WIDTH)
    documents[:COUNT] += 0.7 * queries
    return torch.nn.functional.normalize(torch.cat([queries, documents]), dim=1)


def contrast(found: torch.Tensor, *, negatives: int = 1, **fields):
    plan = make_plan(**{"temperature": 0.1, "negatives_per_query": negatives, **fields})
    batch = batch_of(training_rows(examples(negatives=negatives), most_negatives=negatives), plan, step=0)
    assert batch.documents[:COUNT] == tuple(f"p{i}" for i in range(COUNT))
    return Objective(plan, width=WIDTH, device=torch.device("cpu")).of(batch)[0](found)


def by_hand(found, *, negatives=1, temperature=0.1, directions=(), margin=None, spare=True, hardness=0.0, on=None, alone=(), width=WIDTH):
    """The definition, term by term: documents are all positives, then the negatives of query 0, of query 1 and so on."""
    v = found.detach().double().numpy()[:, :width]
    v = v / np.linalg.norm(v, axis=1, keepdims=True)
    q, d = v[:COUNT], v[COUNT:]
    losses = []
    for i in range(COUNT):
        own = range(COUNT + i * negatives, COUNT + (i + 1) * negatives)
        limit = q[i] @ d[i] + (math.inf if margin is None else margin)
        terms = [math.exp(q[i] @ d[i] / temperature)]
        for j in range(len(d)):
            if j == i or (i in alone and j not in own):
                continue
            score = q[i] @ d[j]
            if score > limit and not (spare and j in own):
                continue
            harder = on == "all" or (on == "hard" and j in own) or (on == "in-batch" and j not in own)
            terms.append(math.exp(score / temperature + (hardness * score if harder else 0)))
        terms += [math.exp(score / temperature) for score in further(q, d, i, {i, *own}, directions, alone=i in alone) if score <= limit]
        terms += [terms[0]] if "d-q" in directions else []
        losses.append(-math.log(terms[0] / sum(terms)))
    return float(np.mean(losses))


def further(q, d, i, own, directions, *, alone):
    """Cosines with others that the directions beyond q-d add for query i, and with none where it stands alone."""
    others = [] if alone else [j for j in range(COUNT) if j != i]
    queries = [q[i] @ q[j] for j in others if "q-q" in directions]
    askers = [q[j] @ d[i] for j in others if "d-q" in directions]
    documents = [d[i] @ d[j] for j in range(len(d)) if "d-d" in directions and j not in own and not alone]
    return queries + askers + documents


CASES = [
    ({}, {}),
    ({"negatives": 3}, {"negatives": 3}),
    ({"directions": ("q-d", "q-q")}, {"directions": ("q-q",)}),
    ({"directions": ("q-d", "d-q")}, {"directions": ("d-q",)}),
    ({"directions": ("q-d", "d-d"), "negatives": 2}, {"directions": ("d-d",), "negatives": 2}),
    ({"directions": ALL}, {"directions": ALL}),
    ({"margin_mask": 0.1}, {"margin": 0.1}),
    ({"margin_mask": 0.0, "spare_confirmed": False}, {"margin": 0.0, "spare": False}),
    ({"margin_mask": 0.1, "directions": ALL, "negatives": 2}, {"margin": 0.1, "directions": ALL, "negatives": 2}),
    ({"hardness_weight": 5.0}, {"hardness": 5.0, "on": "hard"}),
    ({"hardness_weight": 9.0, "hardness_on": Hardness.IN_BATCH}, {"hardness": 9.0, "on": "in-batch"}),
    ({"hardness_weight": 2.0, "hardness_on": Hardness.ALL, "directions": ALL}, {"hardness": 2.0, "on": "all", "directions": ALL}),
    ({"no_in_batch_groups": (TaskGroup.LONG_SHORT,), "directions": ALL}, {"alone": (COUNT - 1,), "directions": ALL}),
]


@pytest.mark.parametrize(("fields", "terms"), CASES)
def test_the_loss_is_what_its_definition_says(fields, terms):
    found = vectors(fields.get("negatives", 1))
    assert contrast(found, **fields).loss.item() == pytest.approx(by_hand(found, **terms), abs=2e-5)


def test_the_margin_masks_what_scores_above_the_positive_and_spares_what_a_person_confirmed():
    found = vectors()
    found[COUNT + 1] = found[0]  # the positive of query 1 is query 0's best document by far
    found[2 * COUNT] = found[0]  # and so is query 0's own hard negative
    spared, masked = (contrast(found, margin_mask=0.1, spare_confirmed=spare) for spare in (True, False))
    assert masked.masked == spared.masked + 1
    assert spared.masked >= 1
    assert spared.loss > masked.loss
    assert contrast(found).masked == 0


def test_matryoshka_is_the_mean_over_beginnings_and_the_whole():
    found = vectors()
    expected = np.mean([by_hand(found, width=size) for size in (4, 8, WIDTH)])
    assert contrast(found, matryoshka=(8, 4)).loss.item() == pytest.approx(float(expected), abs=2e-5)
    with pytest.raises(BadPlan, match="12 numbers"):
        Objective(make_plan(matryoshka=(WIDTH,)), width=WIDTH, device=torch.device("cpu"))


def test_a_learnt_temperature_has_the_gradient_of_the_loss_and_stays_in_its_bounds():
    plan = make_plan(temperature=0.1, learn_temperature=True)
    objective = Objective(plan, width=WIDTH, device=torch.device("cpu"))
    loss, _ = objective.of(batch_of(training_rows(examples()), plan, step=0))
    found = vectors()
    loss(found).loss.backward()
    step = 1e-4
    slope = (by_hand(found, temperature=0.1 * math.exp(step)) - by_hand(found, temperature=0.1 * math.exp(-step))) / (2 * step)
    learnt = objective.parameters["log_temperature"]
    assert learnt.grad.item() == pytest.approx(slope, rel=1e-3)
    for wild, bound in ((5.0, 0.5), (-9.0, 0.005)):
        with torch.no_grad():
            learnt.fill_(wild)
        objective.keep_in_bounds()
        assert objective.temperature == pytest.approx(bound)


def test_chance_counts_every_direction():
    plan = make_plan(directions=ALL)
    batch = batch_of(training_rows(examples()), plan, step=0)
    _, chance = Objective(plan, width=WIDTH, device=torch.device("cpu")).of(batch)
    assert chance == pytest.approx(math.log(2 * COUNT + (COUNT - 1) + COUNT + 2 * (COUNT - 1)))


NAMES = {"q-d": "query_to_doc", "q-q": "query_to_query", "d-q": "doc_to_query", "d-d": "doc_to_doc"}
THEIRS = [
    {},
    {"negatives": 3},
    {"directions": ("q-d", "q-q")},
    {"directions": ("q-d", "d-q")},
    {"directions": ALL},
    {"directions": ALL, "negatives": 2},
    {"hardness_weight": 5.0},
    {"hardness_weight": 9.0, "hardness_on": Hardness.IN_BATCH, "negatives": 2},
    {"hardness_weight": 3.0, "hardness_on": Hardness.ALL, "directions": ALL},
]


@pytest.mark.parametrize("fields", THEIRS)
def test_loss_and_gradient_are_those_of_sentence_transformers(fields):
    """MultipleNegativesRankingLoss and its cached form, on the same vectors; skipped where that package is not installed."""
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses", reason="sentence-transformers is not installed")
    negatives = fields.get("negatives", 1)
    modes = {Hardness.HARD: "hard_negatives", Hardness.IN_BATCH: "in_batch_negatives", Hardness.ALL: "all_negatives"}
    weight = fields.get("hardness_weight", 0.0)
    options = {
        "scale": 1 / 0.1,
        "directions": tuple(NAMES[str(d)] for d in fields.get("directions", ("q-d",))),
        "hardness_mode": modes[fields.get("hardness_on", Hardness.HARD)] if weight else None,
        "hardness_strength": weight,
    }
    ours = (3 * vectors(negatives)).requires_grad_()  # not of unit length: theirs normalises itself
    loss = contrast(torch.nn.functional.normalize(ours, dim=1), **fields).loss
    loss.backward()
    theirs = (3 * vectors(negatives)).requires_grad_()
    columns = [theirs[:COUNT], theirs[COUNT : 2 * COUNT], *(theirs[2 * COUNT + k :: negatives] for k in range(negatives))]
    expected = losses.MultipleNegativesRankingLoss(model=None, **options).compute_loss_from_embeddings(columns, None)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)
    no_model = torch.nn.Sequential(torch.nn.Identity())
    cached = losses.CachedMultipleNegativesRankingLoss(model=no_model, mini_batch_size=2, **options)
    parts = [list(column.detach().split(2)) for column in columns]
    assert cached.calculate_loss(parts, with_backward=False).item() == pytest.approx(loss.item(), abs=1e-5)
