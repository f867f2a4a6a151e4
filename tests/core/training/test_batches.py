from __future__ import annotations

from pathlib import Path

import pytest

from core.domain.contrast import BatchScope
from core.domain.dataset import Example, Split
from core.domain.groups import TaskGroup
from core.domain.triple import Texts
from core.errors import NothingToDo
from core.training.batches import BatchOrder, batch_of, make_batch, order_of, training_rows
from tests.core.training.runs import make_plan

KINDS = (
    ("rivers", TaskGroup.SHORT_LONG, 8),
    ("lakes", TaskGroup.SHORT_LONG, 1),
    ("same", TaskGroup.STS, 3),
    ("equal", TaskGroup.STS, 3),
    ("alike", TaskGroup.STS, 1),
)


def example(
    query: str,
    positive: str,
    negative: str | None = None,
    *,
    task: str = "t",
    group: TaskGroup = TaskGroup.SHORT_LONG,
    source: str = "starter",
) -> Example:
    return Example(query, group, task, Texts(query, positive, negative), "English", None, Split.TRAIN, source=source)


def test_an_epoch_uses_each_example_at_most_once_and_the_next_is_in_another_order():
    order = BatchOrder(10, batch_size=3, seed=1)
    first = [i for step in range(3) for i in order.indices(step)]
    second = [i for step in range(3, 6) for i in order.indices(step)]
    assert len(set(first)) == 9
    assert len(set(second)) == 9
    assert first != second
    assert [order.epoch_of(step) for step in (0, 2, 3)] == [0, 0, 1]


def test_a_batch_follows_from_seed_and_step_alone():
    assert BatchOrder(50, batch_size=8, seed=3).indices(17) == BatchOrder(50, batch_size=8, seed=3).indices(17)
    assert BatchOrder(50, batch_size=8, seed=3).indices(17) != BatchOrder(50, batch_size=8, seed=4).indices(17)


def test_a_batch_is_never_larger_than_the_data():
    assert sorted(BatchOrder(3, batch_size=8, seed=0).indices(5)) == [0, 1, 2]


def test_equal_documents_share_a_column_and_a_missing_negative_is_none():
    examples = [example("q", "same  text", "n"), example("r", "same text"), example("s", "other", "n")]
    batch = make_batch(training_rows(examples))
    assert batch.documents == ("same  text", "other", "n")
    assert batch.positives == (0, 0, 1)
    assert batch.negatives == ((2,), (), (2,))
    assert batch.alone == (False, False, False)
    assert batch.texts == 6


def test_hard_negatives_can_be_left_out():
    batch = batch_of(training_rows([example("q", "p", "n")]), make_plan(use_hard_negatives=False), step=0)
    assert batch.documents == ("p",)
    assert batch.negatives == ((),)


def test_triples_that_differ_in_their_negative_become_one_query_with_several():
    examples = [example("q", "p", "n"), example("q", "p ", "m"), example("q", "p", "N"), example("q", "other", "o"), example("r", "s")]
    assert [row.negatives for row in training_rows(examples)] == [("n",), ("m",), ("N",), ("o",), ()]
    rows = training_rows(examples, most_negatives=3)
    assert [row.negatives for row in rows] == [("n", "m", "N"), ("o",), ()]
    batch = make_batch(rows, most_negatives=3)
    assert batch.documents == ("p", "other", "s", "n", "m", "N", "o")
    assert batch.negatives == ((3, 4, 5), (6,), ())


def test_of_more_negatives_than_wanted_a_step_draws_some_and_always_the_same():
    rows = training_rows([example("q", "p", f"n{i}") for i in range(9)], most_negatives=2)
    plan = make_plan(negatives_per_query=2)
    drawn = [batch_of(rows, plan, step=step).documents for step in range(20)]
    assert all(len(documents) == 3 for documents in drawn)
    assert len(set(drawn)) > 5
    assert drawn == [batch_of(rows, plan, step=step).documents for step in range(20)]


def test_queries_of_some_groups_stand_alone():
    rows = training_rows([example("q", "p"), example("r", "label", group=TaskGroup.LONG_SHORT)])
    assert batch_of(rows, make_plan(no_in_batch_groups=(TaskGroup.LONG_SHORT,)), step=0).alone == (False, True)
    assert batch_of(rows, make_plan(use_in_batch_negatives=False), step=0).alone == (True, True)


def test_batches_of_one_group_or_task_hold_no_other_and_use_every_example_that_has_company():
    examples = [example(f"{task}{i}", "p", task=task, group=group) for task, group, n in KINDS for i in range(n)]
    rows = training_rows(examples)
    for scope, kind, sizes in (
        ("group", lambda e: e.group, [3, 4, 4, 4]),  # nine short-long: 4, 4 and one that is left; seven of sts
        ("task", lambda e: e.task, [3, 3, 4, 4]),
    ):
        order = order_of(rows, make_plan(batch_scope=scope))
        batches = [order.indices(step) for step in range(order.batches_an_epoch)]
        assert all(len({kind(examples[i]) for i in batch}) == 1 for batch in batches)
        assert sorted(map(len, batches)) == sizes
        assert len({i for batch in batches for i in batch}) == sum(sizes)
        assert order.epoch_of(len(batches)) == 1
        assert batches != [order.indices(len(batches) + step) for step in range(len(batches))]


def test_a_source_is_drawn_by_its_weight_and_a_half_brings_the_other_half_next_time():
    examples = [example(f"{source}{i}", "p", source=source) for source in ("starter", "generated", "import") for i in range(8)]
    order = order_of(training_rows(examples), make_plan(batch_size=2, source_weights={"starter": 0.5, "import": 0, "generated": 2}))
    assert order.examples_an_epoch == 4 + 16
    first, second = ([i for step in range(e * 10, e * 10 + 10) for i in order.indices(step)] for e in (0, 1))
    for drawn in (first, second):
        assert sorted(i for i in drawn if 8 <= i < 16) == sorted([*range(8, 16)] * 2)
        assert sum(i < 8 for i in drawn) == 4
        assert max(drawn) < 16
    assert {i for i in [*first, *second] if i < 8} == set(range(8))


def test_weights_and_kinds_together_go_on_from_any_step():
    examples = [example(f"{s}{i}", "p", source=s, group=list(TaskGroup)[i % 3]) for s in ("starter", "generated") for i in range(11)]
    plan = make_plan(batch_scope="group", source_weights={"starter": 0.3})
    rows = training_rows(examples)
    walked = order_of(rows, plan)
    steps = [walked.indices(step) for step in range(30)]
    assert order_of(rows, plan).indices(23) == steps[23]
    epochs = [walked.epoch_of(step) for step in range(30)]
    assert epochs == sorted(epochs)
    assert epochs[-1] >= 3


def test_where_no_task_has_two_triples_a_batch_of_one_task_is_refused_and_never_mixed_in_silence():
    rows = training_rows([example(f"q{i}", f"d{i}", task=f"task {i}") for i in range(4)])
    plan = make_plan(Path("nowhere"), batch_size=2, batch_scope=BatchScope.TASK)
    with pytest.raises(NothingToDo, match="none has two triples") as caught:
        order_of(rows, plan)
    assert "Mix all groups" in caught.value.hint
    assert order_of(rows, plan.model_copy(update={"batch_scope": BatchScope.GROUP})).batches_an_epoch == 2


def test_an_epoch_that_draws_no_two_of_a_kind_is_passed_over():
    told = {"batch_size": 2, "kinds": ["a", "a", "a", "b"], "sources": ["s"] * 4, "weights": {"s": 0.5}}  # one draw of two is mixed
    orders = []
    for seed in range(8):
        try:
            orders.append(BatchOrder(4, seed=seed, **told))
        except NothingToDo:  # its first epoch is the mixed one
            continue
    assert 0 < len(orders) < 8
    for order in orders:
        assert all(set(order.indices(step)) <= {0, 1, 2} for step in range(6))
        assert order.epoch_of(5) == 10  # every second epoch brings nothing
