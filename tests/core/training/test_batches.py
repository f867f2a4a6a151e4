from __future__ import annotations

from core.domain.dataset import Example, Split
from core.domain.groups import TaskGroup
from core.domain.triple import Texts
from core.training.batches import BatchOrder, make_batch


def example(query: str, positive: str, negative: str | None = None, *, task: str = "t") -> Example:
    return Example(query, TaskGroup.SHORT_LONG, task, Texts(query, positive, negative), "English", None, Split.TRAIN)


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
    batch = make_batch([example("q", "same  text", "n"), example("r", "same text"), example("s", "other", "n")])
    assert batch.documents == ("same  text", "other", "n")
    assert batch.positives == (0, 0, 1)
    assert batch.negatives == (2, None, 2)
    assert batch.texts == 6


def test_hard_negatives_can_be_left_out():
    batch = make_batch([example("q", "p", "n")], hard_negatives=False)
    assert batch.documents == ("p",)
    assert batch.negatives == (None,)
