from __future__ import annotations

import pytest

from core.domain.groups import TaskGroup
from core.domain.task import TaskState
from core.errors import BadInput, NotFound, NothingToDo
from core.workbench import Workbench

GROUP = TaskGroup.SHORT_LONG
ONE = "Given a symptom of a houseplant, retrieve advice that names its cause."
TWO = "Given a question about tax law, retrieve the paragraph that answers it."


def test_lines_become_accepted_tasks_and_known_ones_are_reported(workbench: Workbench):
    report = workbench.tasks.add(GROUP, [ONE, "", "# a comment", f"  {ONE} ", TWO], topic="mixed")
    assert (len(report.added), len(report.duplicates)) == (2, 1)
    tasks = workbench.tasks.list(GROUP, TaskState.ACCEPTED)
    assert [(t.text, t.topic, t.source) for t in tasks] == [(ONE, "mixed", "by hand"), (TWO, "mixed", "by hand")]


def test_a_bad_line_is_named_and_nothing_is_added(workbench: Workbench):
    with pytest.raises(BadInput, match="Line 2"):
        workbench.tasks.add(GROUP, [ONE, "too short"])
    with pytest.raises(BadInput, match="fixed task"):
        workbench.tasks.add(TaskGroup.STS, [ONE])
    with pytest.raises(NothingToDo):
        workbench.tasks.add(GROUP, ["", "# nothing"])
    assert workbench.tasks.list() == []


def test_accept_and_reject_are_all_or_nothing(workbench: Workbench):
    [one, two] = workbench.tasks.add(GROUP, [ONE, TWO]).added
    assert workbench.tasks.reject([one, two]) == 2
    assert workbench.tasks.accept([one]) == 1
    with pytest.raises(NotFound):
        workbench.tasks.accept([two, "no-such-id"])
    assert workbench.tasks.get(two).state is TaskState.REJECTED


def test_an_edit_is_a_new_task_and_the_old_wording_stays(workbench: Workbench):
    [one] = workbench.tasks.add(GROUP, [ONE], topic="plants").added
    new = workbench.tasks.edit(one, ONE.replace("symptom", "photo"))
    assert (new.state, new.topic) == (TaskState.ACCEPTED, "plants")
    assert workbench.tasks.get(one).state is TaskState.REJECTED
    with pytest.raises(NothingToDo):
        workbench.tasks.edit(new.id, new.text)


def test_counts_and_topics_cover_every_brainstormed_group(workbench: Workbench):
    [one, _] = workbench.tasks.add(GROUP, [ONE, TWO], topic="Law").added
    workbench.tasks.reject([one])
    counts = workbench.tasks.counts()
    assert set(counts) == {g for g in TaskGroup if g not in (TaskGroup.STS, TaskGroup.BITEXT)}
    assert counts[GROUP] == {TaskState.PROPOSED: 0, TaskState.ACCEPTED: 1, TaskState.REJECTED: 1}
    assert workbench.tasks.topics() == {"law": 1}


def test_near_duplicates_are_found_within_a_group_only(workbench: Workbench):
    alike = ONE.replace("advice that names", "tips that name")
    workbench.tasks.add(GROUP, [ONE, TWO, alike])
    workbench.tasks.add(TaskGroup.LONG_LONG, [ONE])
    [pair] = workbench.tasks.near_duplicates()
    assert {pair.first.text, pair.second.text} == {ONE, alike}
    assert 0.55 <= pair.similarity < 1
    workbench.tasks.reject([pair.second.id])
    assert workbench.tasks.near_duplicates() == ()


def test_search_takes_the_text_literally(workbench: Workbench):
    workbench.tasks.add(GROUP, [ONE, "Given a 100% match score, retrieve the rule that explains it."])
    assert [t.text for t in workbench.tasks.list(text="100%")] == ["Given a 100% match score, retrieve the rule that explains it."]
    assert workbench.tasks.list(text="%") != workbench.tasks.list()
