"""Have one text of a triple written anew: asked like any request of generation, in a job of its own, and proposed to a person."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any

from core.domain.endpoint import Endpoint
from core.domain.identity import normalise
from core.domain.jobs import Job, JobKind
from core.domain.languages import count_words
from core.domain.lengths import length_asked
from core.domain.plans import Budget
from core.domain.prompt import PromptStep
from core.domain.request import PlannedRequest, RequestRecord, RequestState
from core.domain.review import TripleRecord
from core.domain.rewriting import Proposal, ProposalState, RewritePlan, TextField
from core.domain.triple import Triple, Verdict
from core.errors import BadInput, BadPlan, NotFound
from core.generation.desk import GenerationDesk
from core.generation.prompts.prompt_library import PromptLibrary
from core.generation.replies.parsing import REASONS
from core.generation.replies.reply_readers import FieldReader, read_field
from core.generation.request_planner import RequestPlanner
from core.jobs.board import JobBoard
from core.jobs.context import JobContext
from core.storage.artifacts import write_json
from core.storage.ledger import Ledger

MOST_ATTEMPTS = 8  # that leave for one text, repeats of what went wrong included
SETTLED = "settled.json"  # in the job's folder: a person used or dropped what came
ASK_AGAIN = "Ask again, or edit the text by hand."


class FieldRewriter:
    """Starts rewritings, does their work, and says what came of them."""

    def __init__(self, desk: GenerationDesk, jobs: JobBoard, ledger: Ledger, prompts: PromptLibrary, planner: RequestPlanner) -> None:
        self._desk = desk
        self._jobs = jobs
        self._ledger = ledger
        self._prompts = prompts
        self._planner = planner

    def start(self, endpoint: Endpoint, record: TripleRecord, field: TextField, reviewer: str) -> Job:
        """Ask for one text of a triple anew; a job that does this already for the reviewer is returned, unless it was dropped.

        Another reviewer has a job of their own, so that nobody drops what somebody else waits for.

        Raises:
            BadPlan: no endpoint is configured, or the group has no such text.
            BadInput: the reviewer has no name.
        """
        if endpoint.embedded:
            raise BadPlan(
                "No endpoint is configured that could write it; the embedded teacher is too small to mend a text.",
                hint="Add an endpoint on the Settings page and offer it first. python -m core teacher starts one that needs no key.",
            )
        if not reviewer.strip():
            raise BadInput("A rewriting needs the name of who asks.", hint="Give your name in Settings.")
        same = (record.id, field.value)
        active = [job for job in self._jobs.active(JobKind.REWRITE) if (job.plan["triple_id"], job.plan["field"]) == same]
        for job in active:
            if job.plan["reviewer"] == reviewer.strip() and not _settled(job):
                return job
        plan = self._unasked(self._plan(endpoint, record, field, reviewer.strip()), {job.plan["seed"] for job in active})
        return self._jobs.start(JobKind.REWRITE, plan, title=f"Write a {field.value} anew with {plan.model}")

    def run(self, context: JobContext) -> dict[str, Any]:
        """Do the job's work: one request, its repeats and its budget as in generation."""
        plan = RewritePlan.model_validate(context.plan)
        return self._desk.carry_out(context, plan, lambda: [self._planner.rewrite(plan)], FieldReader())

    def proposal(self, job_id: str) -> Proposal:
        """What came of a rewriting so far.

        Raises:
            NotFound: there is no such job.
        """
        job = self._jobs.get(job_id)
        plan = RewritePlan.model_validate(job.plan)
        request = self._planner.rewrite(plan)
        record = self._record(request)
        version = self._prompts.get(plan.prompt_version_id).name
        writing = Proposal(job.id, plan, ProposalState.WRITING, request.key, version)
        if record is not None and record.state is RequestState.PARSED:
            return _ready(writing, record)
        if job.state.active:
            return writing
        if record is not None and record.state is RequestState.FAILED:
            return _failed(writing, f"{self._detail(job, record)} ({record.reason})", record)
        if job.failure is None:
            return _failed(writing, f"The rewriting was {job.state.value} before a reply came.")
        return replace(_failed(writing, job.failure.message), hint=job.failure.hint)

    def waiting(self, reviewer: str) -> dict[str, str]:
        """Triple -> job of the reviewer's newest rewritings that were neither used nor dropped, so that a reload of the page loses none."""
        found: dict[str, str] = {}
        for job in self._jobs.find(JobKind.REWRITE):
            if job.plan["reviewer"] == reviewer and not _settled(job):
                found.setdefault(job.plan["triple_id"], job.id)
        return found

    def settle(self, job_id: str) -> None:
        """Note that a person used or dropped what came; a job at work is asked to stop. Its request stays in the ledger."""
        job = self._jobs.get(job_id)
        write_json(job.folder / SETTLED, {"settled": True})
        if job.state.active:
            with suppress(BadInput):  # it ended between the two
                self._jobs.stop(job_id)

    def _plan(self, endpoint: Endpoint, record: TripleRecord, field: TextField, reviewer: str) -> RewritePlan:
        triple, texts = record.triple, record.texts
        kept = ("base_url", "model", "api_key_env", "temperature", "top_p", "max_tokens", "timeout_seconds", "price")
        more = ("requests_per_minute", "tokens_per_minute")
        faults = [flag.message for flag in record.flags if flag.field in ("", field.value)]
        if record.standing.verdict is Verdict.REJECTED and record.standing.reason:
            faults.append(f"a person rejected the example: {record.standing.reason}")
        return RewritePlan(
            **{name: getattr(endpoint, name) for name in (*kept, *more)},
            in_flight=1,
            budget=Budget(requests=MOST_ATTEMPTS),
            triple_id=record.id,
            group=triple.group,
            field=field,
            task=triple.task,
            query=texts.query,
            positive=texts.positive,
            negative=texts.negative,
            language=_language(triple, field),
            length=_length(record, field),
            faults=tuple(faults),
            prompt_version_id=self._prompts.newest(triple.group, PromptStep.REWRITE).id,
            reviewer=reviewer,
        )

    def _unasked(self, plan: RewritePlan, taken: Collection[int]) -> RewritePlan:
        """The plan with the first seed whose request has no reply and that no job at work (`taken`) may still get one for."""
        while plan.seed in taken or self._ledger.answered([self._planner.rewrite(plan).key]):
            plan = plan.model_copy(update={"seed": plan.seed + 1})
        return plan

    def _record(self, request: PlannedRequest) -> RequestRecord | None:
        try:
            return self._ledger.get(request.key)
        except NotFound:  # its process has not come to plan it
            return None

    def _detail(self, job: Job, record: RequestRecord) -> str:
        events, _ = self._jobs.events(job.id)
        details = [event["detail"] for event in events if event["kind"] == "request" and event.get("detail")]
        return str(details[-1]) if details else REASONS.get(record.reason, "The request brought nothing.")


def _settled(job: Job) -> bool:
    return (job.folder / SETTLED).exists()


def _ready(writing: Proposal, record: RequestRecord) -> Proposal:
    text = read_field(record, record.stored_reply)[0] or ""
    current = writing.plan.current
    if current is not None and normalise(text) == normalise(current):
        return _failed(writing, "The model gave the same text back.", record)
    return replace(writing, state=ProposalState.READY, text=text, cost=record.cost, seconds=record.seconds)


def _failed(writing: Proposal, problem: str, record: RequestRecord | None = None) -> Proposal:
    cost, seconds = (record.cost, record.seconds) if record else (None, None)
    return replace(writing, state=ProposalState.FAILED, problem=problem, hint=ASK_AGAIN, cost=cost, seconds=seconds)


def _language(triple: Triple, field: TextField) -> str:
    return triple.language if field is TextField.QUERY else triple.document_language


def _length(record: TripleRecord, field: TextField) -> str:
    """As the slots asked; without slots as long as the text it replaces, or as the other document."""
    if asked := length_asked(record.triple, field.value):
        return asked
    like = getattr(record.texts, field.value) or record.texts.positive
    return f"about {max(1, count_words(like, _language(record.triple, field)))} words"
