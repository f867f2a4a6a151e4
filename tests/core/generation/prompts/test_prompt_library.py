from __future__ import annotations

import pytest

from core.domain.groups import GROUPS, TaskGroup
from core.domain.prompt import PromptStep
from core.errors import BadTemplate, NotFound, NothingToDo
from core.workbench import Workbench
from tests.factories import TASK, make_task

GROUP, STEP = TaskGroup.SHORT_SHORT, PromptStep.EXAMPLE


def test_the_built_in_template_is_version_one_and_an_edit_is_the_next(workbench: Workbench):
    first = workbench.prompts.newest(GROUP, STEP)
    second = workbench.prompts.save(GROUP, STEP, first.template + "Be brief.\n", note="shorter")
    assert (first.number, second.number, second.parent_id, second.note) == (1, 2, first.id, "shorter")
    assert workbench.prompts.newest(GROUP, STEP) == second
    assert [v.number for v in workbench.prompts.versions(GROUP, STEP)] == [2, 1]


def test_a_broken_template_is_refused_by_slot_and_nothing_is_stored(workbench: Workbench):
    template = workbench.prompts.newest(GROUP, STEP).template
    with pytest.raises(BadTemplate, match=r"\{taks\}"):
        workbench.prompts.save(GROUP, STEP, template.replace("{task}", "{taks}"))
    with pytest.raises(BadTemplate, match=r"\{language\} is missing"):
        workbench.prompts.save(GROUP, STEP, template.replace("{language}", "English"))
    assert len(workbench.prompts.versions(GROUP, STEP)) == 1


def test_saving_the_same_wording_again_is_refused(workbench: Workbench):
    with pytest.raises(NothingToDo):
        workbench.prompts.save(GROUP, STEP, workbench.prompts.newest(GROUP, STEP).template.replace("\n", "\r\n"))


def test_restore_makes_an_old_wording_the_newest_and_keeps_the_history(workbench: Workbench):
    first = workbench.prompts.newest(GROUP, STEP)
    workbench.prompts.save(GROUP, STEP, first.template + "More.\n")
    third = workbench.prompts.restore(first.id)
    assert (third.number, third.template, third.note) == (3, first.template, "restored from v1")
    assert len({v.id for v in workbench.prompts.versions(GROUP, STEP)}) == 3
    with pytest.raises(NotFound):
        workbench.prompts.restore("no-such-version")


def test_a_diff_shows_the_lines_that_changed(workbench: Workbench):
    difference = workbench.prompts.diff("same\nold\n", "same\nnew\n", older_name="v1", newer_name="v2")
    assert difference.splitlines() == ["--- v1", "+++ v2", "@@ -1,2 +1,2 @@", " same", "-old", "+new"]


def test_a_preview_is_what_the_draw_says_and_pinned_slots_hold(workbench: Workbench):
    library = workbench.prompts
    one = library.preview(TaskGroup.STS, STEP, seed=5, pinned={"unit": "phrase", "language": "Welsh"})
    assert one == library.preview(TaskGroup.STS, STEP, seed=5, pinned={"unit": "phrase", "language": "Welsh"})
    assert (one.slots["unit"], one.language, one.task) == ("phrase", "Welsh", GROUPS[TaskGroup.STS].fixed_task)
    assert "Each text is one phrase" in one.text
    assert len({library.preview(TaskGroup.STS, STEP, seed=s).text for s in range(8)}) > 4
    with pytest.raises(BadTemplate, match="colour"):
        library.preview(TaskGroup.STS, STEP, pinned={"colour": "red"})


def test_a_preview_uses_an_accepted_task_where_there_is_one(workbench: Workbench):
    assert workbench.prompts.preview(TaskGroup.SHORT_LONG, STEP).task != TASK
    workbench.tasks.store([make_task()])
    preview = workbench.prompts.preview(TaskGroup.SHORT_LONG, STEP)
    assert preview.task == TASK
    assert TASK in preview.text
