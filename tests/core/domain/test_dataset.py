from __future__ import annotations

import pytest

from core.domain.dataset import choose_heldout_tasks
from core.domain.groups import TaskGroup

TASKS = [(f"task{i}", TaskGroup.SHORT_LONG) for i in range(10)]


def test_the_share_is_taken_of_each_group():
    tasks = TASKS + [(f"label{i}", TaskGroup.LONG_SHORT) for i in range(5)]
    chosen = choose_heldout_tasks(tasks, share=0.2, seed=0)
    assert sum(i.startswith("task") for i in chosen) == 2
    assert sum(i.startswith("label") for i in chosen) == 1


def test_a_group_of_two_tasks_gives_one_and_a_group_of_one_none():
    assert len(choose_heldout_tasks(TASKS[:2], share=0.1, seed=0)) == 1
    assert choose_heldout_tasks(TASKS[:1], share=0.5, seed=0) == frozenset()


@pytest.mark.parametrize("group", [TaskGroup.STS, TaskGroup.BITEXT])
def test_symmetric_groups_stay_in_training(group: TaskGroup):
    assert choose_heldout_tasks([("a", group), ("b", group)], share=0.5, seed=0) == frozenset()


def test_at_least_one_task_of_a_group_stays_in_training():
    assert len(choose_heldout_tasks(TASKS, share=0.99, seed=0)) == 9


def test_the_choice_depends_on_ids_and_seed_only():
    first = choose_heldout_tasks(TASKS, share=0.3, seed=1)
    assert first == choose_heldout_tasks(reversed(TASKS), share=0.3, seed=1)
    assert first != choose_heldout_tasks(TASKS, share=0.3, seed=2)


def test_a_new_task_moves_at_most_one_other():
    before = choose_heldout_tasks(TASKS, share=0.3, seed=0)
    after = choose_heldout_tasks([*TASKS, ("new", TaskGroup.SHORT_LONG)], share=0.3, seed=0)
    assert len(before - after) <= 1


def test_no_share_holds_nothing_out():
    assert choose_heldout_tasks(TASKS, share=0.0, seed=0) == frozenset()
