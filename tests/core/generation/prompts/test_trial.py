from __future__ import annotations

from core.domain.endpoint import EMBEDDED_ENDPOINT, Endpoint
from core.domain.groups import TaskGroup
from core.domain.prompt import PromptStep
from core.generation.prompts.trial import PromptTrial
from core.workbench import Workbench
from tests.core.llm.loopback import completion, serving
from tests.core.llm.scripted import example_text, make_reply, tasks_text

GROUP = TaskGroup.SHORT_SHORT


def test_the_embedded_teacher_is_asked_through_the_service(workbench: Workbench):
    asked = []

    def service(request):
        asked.append(request)
        return make_reply(example_text(GROUP))

    preview = workbench.prompts.preview(GROUP, PromptStep.EXAMPLE)
    report = PromptTrial(workbench._teachers, service).run(EMBEDDED_ENDPOINT, GROUP, PromptStep.EXAMPLE, preview)
    assert asked[0].messages[0]["content"] == preview.text
    assert (report.reason, report.cost) == ("", 0.0)
    assert report.texts.query.startswith("input number 0")


def test_a_brainstorm_trial_shows_the_tasks(workbench: Workbench):
    preview = workbench.prompts.preview(GROUP, PromptStep.BRAINSTORM)
    trial = PromptTrial(workbench._teachers, lambda request: make_reply(tasks_text("Given a tool, find its trade.")))
    report = trial.run(EMBEDDED_ENDPOINT, GROUP, PromptStep.BRAINSTORM, preview)
    assert report.tasks == (("Given a tool, find its trade.", "testing"),)


def test_an_endpoint_is_asked_for_real_and_an_unusable_reply_keeps_its_reason(workbench: Workbench):
    preview = workbench.prompts.preview(GROUP, PromptStep.EXAMPLE)
    with serving(lambda body, n: completion("sorry, no")) as server:
        report = workbench.trial.run(Endpoint(name="x", base_url=server.url, model="m"), GROUP, PromptStep.EXAMPLE, preview)
    assert (report.reason, report.texts, report.cost) == ("not_json", None, None)
    assert "sorry, no" in report.reply.raw
