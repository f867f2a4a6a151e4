from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from core.domain.chat import ChatReply, ChatRequest
from core.domain.endpoint import EMBEDDED_ENDPOINT, Endpoint
from core.domain.groups import GROUPS, TaskGroup
from core.domain.jobs import Job, JobKind, JobState
from core.domain.lengths import length_asked
from core.domain.prompt import PromptStep
from core.domain.request import RequestState
from core.domain.review import Action, TripleRecord
from core.domain.rewriting import ProposalState, RewritePlan, TextField
from core.domain.triple import Flag, Texts, Triple
from core.errors import BadInput, BadPlan, NothingToDo
from core.generation.prompts.slots import required_slots
from core.generation.prompts.templating import slots_in
from core.generation.replies.reply_readers import FieldReader
from core.generation.request_planner import RequestPlanner
from core.generation.rewriting import FieldRewriter
from core.shipped.teacher.recorded import TeacherOptions
from core.shipped.teacher.replies import StarterReplies
from core.storage.artifacts import write_json
from core.storage.jobs import JobStore
from core.storage.ledger import Ledger
from core.storage.tasks import TaskStore
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.core.generation.jobs import Bench
from tests.core.shipped.teacher.teachers import PLANT_TASK, starter_records, teaching
from tests.factories import make_triple

ENDPOINT = Endpoint(name="scripted", base_url="http://scripted/v1", model="scripted")


class Saying:
    """Answers every request with the same text, and keeps what it was asked."""

    name, base_url = "scripted", "http://scripted/v1"

    def __init__(self, text: str, finish_reason: str = "stop") -> None:
        self.text, self.finish_reason = text, finish_reason
        self.asked: list[ChatRequest] = []

    async def reply(self, request: ChatRequest) -> ChatReply:
        self.asked.append(request)
        return ChatReply(self.text, self.finish_reason, 10, 5, 0.1, "scripted", raw=self.text)


@pytest.fixture
def record(workbench: Workbench) -> TripleRecord:
    triple = make_triple(slots={"num_words": 50, "query_length": "5 to 15 words"})
    TripleStore(workbench.database).add([triple], {triple.id: [
        Flag("copied", "The positive copies the query.", "positive", 0.5), Flag("short", "The query is short.", "query", 0.2)
    ]})  # fmt: skip
    return workbench.review.card(triple.id)


def planned(workbench: Workbench, record: TripleRecord, field: TextField = TextField.POSITIVE) -> RewritePlan:
    return workbench.rewriting._plan(ENDPOINT, record, field, "ann")


def carried_out(workbench: Workbench, folder: Path, plan: RewritePlan, model: Saying) -> Bench:
    bench = Bench(workbench, folder)
    bench.model = model
    planner = RequestPlanner(workbench.prompts, TaskStore(workbench.database))
    FieldRewriter(bench.desk, workbench.jobs, bench.ledger, workbench.prompts, planner).run(bench.context(plan, "one"))
    return bench


def test_the_request_holds_the_other_texts_task_language_length_and_faults_of_that_field(workbench: Workbench, record: TripleRecord):
    plan = planned(workbench, record)
    request = RequestPlanner(workbench.prompts, TaskStore(workbench.database)).rewrite(plan)
    prompt = request.messages[0]["content"]
    texts = record.texts
    for part in (texts.query, texts.positive, texts.negative, record.triple.task, "at least 50 words", "English"):
        assert part in prompt
    assert "The positive copies the query." in prompt
    assert "The query is short." not in prompt
    assert request.schema["required"] == ["positive_document"]
    assert request.prompt_version_id == workbench.prompts.newest(TaskGroup.SHORT_LONG, PromptStep.REWRITE).id
    assert plan.budget.requests == 8


@pytest.mark.parametrize("group", list(TaskGroup))
def test_the_shipped_template_uses_every_slot_and_can_be_versioned_by_group(workbench: Workbench, group: TaskGroup):
    version = workbench.prompts.newest(group, PromptStep.REWRITE)
    assert slots_in(version.template) == required_slots(group, PromptStep.REWRITE)
    assert "Kind of example: " + group.value in workbench.prompts.preview(group, PromptStep.REWRITE).text
    newer = workbench.prompts.save(group, PromptStep.REWRITE, version.template + "Be brief.")
    assert (newer.number, newer.group) == (2, group)


def test_a_reply_is_stored_read_and_proposed(workbench: Workbench, record: TripleRecord, tmp_path: Path):
    plan, model = planned(workbench, record), Saying('{"positive_document": "A better answer."}')
    bench = carried_out(workbench, tmp_path, plan, model)
    (one,) = model.asked
    assert one.schema["properties"] == {"positive_document": {"type": "string"}}
    kept = bench.ledger.get(RequestPlanner(workbench.prompts, bench.tasks).rewrite(plan).key)
    assert (kept.state, kept.reply_text) == (RequestState.PARSED, model.text)
    assert bench.events("one", "request")[0]["sample"] == "A better answer."


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ('{"user_query": "a question"}', "stop", "wrong_shape"),
        ('{"positive_document": "  "}', "stop", "blank_field"),
        ("I cannot help with that.", "stop", "refusal"),
        ('{"positive_document": "cut', "length", "length"),
    ],
)
def test_a_reply_without_the_text_fails_with_its_reason(workbench: Workbench, record: TripleRecord, text, finish, reason):
    bench = Bench(workbench, workbench.settings.workspace)
    request = RequestPlanner(workbench.prompts, bench.tasks).rewrite(planned(workbench, record))
    bench.ledger.plan([request], "job")
    outcome = FieldReader().read(bench.ledger.get(request.key), ChatReply(text, finish, 1, 1, 0.1, "m", raw=text))
    assert outcome.reason == reason
    assert outcome.detail


def test_lengths_come_from_the_slots_else_from_the_text_that_is_replaced(workbench: Workbench, record: TripleRecord):
    assert planned(workbench, record, TextField.QUERY).length == "5 to 15 words"
    sts = make_triple("a", "b", "c", group=TaskGroup.STS, slots={"unit": "phrase"})
    assert length_asked(sts, "positive") == "one phrase"
    assert length_asked(make_triple(group=TaskGroup.LONG_SHORT, slots={"num_words": "at least 50"}), "query") == "at least 50 words"
    bare = TripleRecord(make_triple("one two three", "a b c d e", None), 1)
    assert planned(workbench, bare, TextField.QUERY).length == "about 3 words"
    assert planned(workbench, bare, TextField.NEGATIVE).length == "about 5 words"  # like the positive


def test_a_person_s_reason_counts_as_a_fault(workbench: Workbench, record: TripleRecord):
    workbench.review.decide(record.id, Action.REJECT, "ann", reason="negative is too easy")
    faults = planned(workbench, workbench.review.card(record.id), TextField.NEGATIVE).faults
    assert faults == ("a person rejected the example: negative is too easy",)


def test_what_cannot_be_asked_is_refused_with_what_to_do(workbench: Workbench, record: TripleRecord):
    with pytest.raises(BadPlan, match="No endpoint is configured") as refused:
        workbench.rewriting.start(EMBEDDED_ENDPOINT, record, TextField.QUERY, "ann")
    assert "Settings" in refused.value.hint
    with pytest.raises(BadInput, match="name"):
        workbench.rewriting.start(ENDPOINT, record, TextField.QUERY, " ")
    pair = make_triple(group=TaskGroup.SHORT_SHORT, negative=None)
    TripleStore(workbench.database).add([pair])
    with pytest.raises(BadPlan, match="have no negative"):
        workbench.rewriting.start(ENDPOINT, workbench.review.card(pair.id), TextField.NEGATIVE, "ann")
    assert workbench.jobs.find() == []


def plant(workbench: Workbench) -> TripleRecord:
    triple = Triple(TaskGroup.SHORT_LONG, PLANT_TASK, Texts("leaves drop", "Water it.", "A fern is green."), language="English")
    TripleStore(workbench.database).add([triple])
    return workbench.review.card(triple.id)


def test_the_recorded_teacher_writes_it_in_a_job_and_another_time_another_text(workbench: Workbench):
    record, rewriting = plant(workbench), workbench.rewriting
    with teaching() as address:
        endpoint = Endpoint(name="teacher", base_url=address, model="starter")
        job = rewriting.start(endpoint, record, TextField.POSITIVE, "ann")
        assert rewriting.start(endpoint, record, TextField.POSITIVE, "ann").id == job.id or not workbench.jobs.get(job.id).state.active
        assert workbench.jobs.wait(job.id, timeout_seconds=120).state is JobState.DONE, workbench.jobs.log_tail(job.id)
        first = rewriting.proposal(job.id)
        again = rewriting.start(endpoint, record, TextField.POSITIVE, "ann")
        workbench.jobs.wait(again.id, timeout_seconds=120)
        second = rewriting.proposal(again.id)
    starter = [triple for triple in _starter() if triple.task == PLANT_TASK]
    assert (first.state, second.state) == (ProposalState.READY, ProposalState.READY)
    assert {first.text, second.text} <= {triple.texts.positive for triple in starter}
    assert first.request_key != second.request_key
    assert (first.plan.seed, second.plan.seed) == (0, 1)
    assert first.reason == f"positive rewritten by starter (short-long rewrite v1, request {first.request_key})"
    assert rewriting.waiting("ann") == {record.id: again.id}
    assert rewriting.waiting("bob") == {}
    rewriting.settle(again.id)
    rewriting.settle(job.id)
    assert rewriting.waiting("ann") == {}


def test_one_that_was_dropped_while_it_was_written_is_neither_returned_nor_asked_with_its_key(workbench: Workbench):
    record, rewriting = plant(workbench), workbench.rewriting
    with teaching(TeacherOptions(latency_seconds=2.0)) as address:
        endpoint = Endpoint(name="teacher", base_url=address, model="starter")
        dropped = rewriting.start(endpoint, record, TextField.POSITIVE, "ann")
        rewriting.settle(dropped.id)
        assert workbench.jobs.get(dropped.id).state.active
        again = rewriting.start(endpoint, record, TextField.POSITIVE, "ann")
        assert again.id != dropped.id
        assert (dropped.plan["seed"], again.plan["seed"]) == (0, 1)  # the first may be paid still
        for job in (dropped, again):
            workbench.jobs.wait(job.id, timeout_seconds=120)
    assert rewriting.proposal(again.id).state is ProposalState.READY
    assert rewriting.waiting("ann") == {record.id: again.id}


def test_another_reviewer_has_a_job_of_their_own_and_drops_nobody_else_s(workbench: Workbench):
    record, rewriting = plant(workbench), workbench.rewriting
    with teaching(TeacherOptions(latency_seconds=2.0)) as address:
        endpoint = Endpoint(name="teacher", base_url=address, model="starter")
        hers = rewriting.start(endpoint, record, TextField.POSITIVE, "ann")
        his = rewriting.start(endpoint, record, TextField.POSITIVE, "bob")
        rewriting.settle(his.id)
        for job in (hers, his):
            workbench.jobs.wait(job.id, timeout_seconds=120)
    assert (hers.plan["seed"], his.plan["seed"]) == (0, 1)
    assert rewriting.proposal(hers.id).state is ProposalState.READY
    assert rewriting.waiting("ann") == {record.id: hers.id}


def test_dropping_one_that_ends_at_that_moment_is_no_trouble(workbench: Workbench, record: TripleRecord, tmp_path: Path):
    class Ending:
        """A board on which a job is at work when it is looked at, and over when it is to be stopped."""

        def get(self, job_id: str) -> Job:
            return Job(job_id, JobKind.REWRITE, "", JobState.RUNNING, {}, "hash", tmp_path)

        def stop(self, job_id: str) -> None:
            raise BadInput(f"Job {job_id} is not running: it is done.", hint="")

    FieldRewriter(workbench.generation, Ending(), Ledger(workbench.database), workbench.prompts, None).settle("one")
    assert (tmp_path / "settled.json").exists()


def test_a_request_that_another_rewriting_is_sending_is_not_sent_twice(workbench: Workbench, record: TripleRecord, tmp_path: Path):
    plan, model = planned(workbench, record), Saying('{"positive_document": "A better answer."}')
    request = RequestPlanner(workbench.prompts, TaskStore(workbench.database)).rewrite(plan)
    folder = workbench.settings.jobs_folder / "other"
    folder.mkdir(parents=True)
    other = Job("other", JobKind.REWRITE, "", JobState.QUEUED, plan.model_dump(mode="json"), "hash", folder)
    write_json(folder / "plan.json", other.plan)
    JobStore(workbench.database, workbench.settings.jobs_folder).add(other)
    ledger = Ledger(workbench.database)
    ledger.plan([request], "other")
    ledger.mark_sent(request.key, "other")
    with pytest.raises(NothingToDo, match="would be paid twice"):
        carried_out(workbench, tmp_path, plan, model)
    assert model.asked == []


def _starter() -> list[Triple]:
    return [record.triple for record in starter_records()]


def test_an_endpoint_that_refuses_is_told_with_its_answer(workbench: Workbench):
    record = plant(workbench)
    with teaching(TeacherOptions()) as address:
        endpoint = Endpoint(name="teacher", base_url=address, model="starter+400")
        job = workbench.rewriting.start(endpoint, record, TextField.QUERY, "ann")
        workbench.jobs.wait(job.id, timeout_seconds=120)
    proposal = workbench.rewriting.proposal(job.id)
    assert proposal.state is ProposalState.FAILED
    assert "refused" in proposal.problem
    assert proposal.hint


@pytest.mark.parametrize("group", list(TaskGroup))
def test_the_teacher_knows_the_rewriting_of_every_group_and_never_repeats_what_is_there(workbench: Workbench, group: TaskGroup):
    replies = StarterReplies(starter_records())
    record = TripleRecord(next(triple for triple in _starter() if triple.group is group), 1)
    for field in TextField:
        key = field.key_in(group)
        if key is None:
            continue
        plan = planned(workbench, record, field)
        prompt = RequestPlanner(workbench.prompts, TaskStore(workbench.database)).rewrite(plan).messages[0]["content"]
        value = replies.value(prompt, Random(3))
        assert list(value) == [key]
        assert key in GROUPS[group].fields
        assert value[key] not in prompt
        spoken = {
            t.language if field is TextField.QUERY else t.document_language for t in _starter() if value[key] == getattr(t.texts, field)
        }
        assert plan.language in spoken
