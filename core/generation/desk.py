"""Generation as pages and commands use it: estimate, preview, start, run, look at failures."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.domain.batch import BatchRecord
from core.domain.jobs import Job, JobKind
from core.domain.plans import EMBEDDED_TEACHER, BrainstormPlan, EndpointPlan, GenerationPlan
from core.domain.prompt import Preview
from core.domain.request import Estimate, GenerationProgress, PlannedRequest, RequestRecord
from core.domain.triple import Flag, Triple
from core.errors import BadPlan, NotFound, NothingToDo
from core.generation.checks.side_process import SideChecks
from core.generation.checks.triple_checks import check_triple
from core.generation.estimate import estimate_requests
from core.generation.prompts.prompt_library import PromptLibrary
from core.generation.replies.all_failed import nothing_came
from core.generation.replies.reply_readers import ExampleReader, TaskReader, TripleSink
from core.generation.request_planner import RequestPlanner
from core.generation.sending.batch_desk import BatchDesk
from core.generation.sending.bookkeeper import Reader
from core.generation.sending.sender import Sender
from core.generation.sending.teachers import OpenModel, close_model
from core.jobs.board import JobBoard
from core.jobs.context import JobContext
from core.jobs.events import read_events
from core.storage.ledger import Ledger
from core.storage.tasks import TaskStore

ESTIMATE_DRAWS = 5_000  # larger plans are estimated from so many of their requests
CHECKED_ASIDE_FROM = 200  # examples: then a process for the checks is worth its start of a second


class GenerationDesk:
    """Plans in, jobs out; the work itself is done in the job's own process."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self, jobs: JobBoard, ledger: Ledger, tasks: TaskStore, triples: TripleSink, prompts: PromptLibrary, *, open_model: OpenModel,
        check: Callable[[Triple], Sequence[Flag]] = check_triple, side_checks: Callable[[], SideChecks] | None = None,
        batches: BatchDesk | None = None,
    ) -> None:  # fmt: skip
        self._jobs = jobs
        self._ledger = ledger
        self._tasks = tasks
        self._triples = triples
        self._planner = RequestPlanner(prompts, tasks)
        self._open_model = open_model
        self._check = check
        self._side_checks = side_checks
        self._batches = batches

    def estimate(self, plan: GenerationPlan | BrainstormPlan) -> Estimate:
        """Requests, tokens, cost and time of a plan.

        Raises:
            BadPlan, NotFound, NothingToDo: the plan cannot be carried out.
        """
        if isinstance(plan, BrainstormPlan):
            planned = list(self._planner.brainstorm(plan))
            return estimate_requests(planned, plan, self._ledger, answered=self._ledger.answered([r.key for r in planned]))
        total = sum(plan.counts.values())
        planned = list(self._planner.generation(plan, limit=min(total, ESTIMATE_DRAWS)))
        found = estimate_requests(planned, plan, self._ledger, answered=self._ledger.answered([r.key for r in planned]))
        if total <= ESTIMATE_DRAWS:
            return found
        scaled = _scaled(found, total / len(planned))
        return replace(scaled, seconds=found.seconds) if plan.batch else scaled  # a day, however many

    def preview(self, plan: GenerationPlan, count: int = 3) -> list[tuple[PlannedRequest, Preview]]:
        """The first requests of a plan as they will be sent, the groups in turn.

        Raises:
            BadPlan, NotFound, NothingToDo: the plan cannot be carried out.
        """
        requests = self._planner.generation(plan, limit=count)
        return [(r, Preview(r.messages[0]["content"], r.slots, r.task_id, r.language, r.target_language)) for r in requests]

    def first_of(self, plan: GenerationPlan, count: int = 3) -> GenerationPlan:
        """A plan of the previewed requests alone. What it brings is not sent or paid again by the whole plan.

        Raises:
            BadPlan, NotFound, NothingToDo: the plan cannot be carried out.
        """
        counts = Counter(request.group for request in self._planner.generation(plan, limit=count))
        return plan.model_copy(update={"counts": dict(counts), "batch": False})

    def reply_of(self, request: PlannedRequest) -> RequestRecord | None:
        """What came of a planned request, if it was ever sent."""
        try:
            return self._ledger.get(request.key)
        except NotFound:
            return None

    def start_generation(self, plan: GenerationPlan) -> Job:
        """Start writing examples. A plan that is being carried out already is not started twice: its job is returned.

        Raises:
            BadPlan, NotFound, NothingToDo: the plan cannot be carried out; nothing was started.
        """
        self._planner.check_generation(plan)
        if (running := self._at_work(JobKind.GENERATE, plan)) is not None:
            return running
        return self._jobs.start(JobKind.GENERATE, plan, title=_title_of(plan))

    def start_brainstorm(self, plan: BrainstormPlan) -> Job:
        """Start a brainstorm.

        Raises:
            BadPlan, NotFound, NothingToDo: the plan cannot be carried out; nothing was started.
        """
        self._planner.check_brainstorm(plan)
        if (running := self._at_work(JobKind.BRAINSTORM, plan)) is not None:
            return running
        return self._jobs.start(JobKind.BRAINSTORM, plan, title=f"Brainstorm {sum(plan.counts.values()):,} tasks with {plan.model}")

    def _at_work(self, kind: JobKind, plan: GenerationPlan | BrainstormPlan) -> Job | None:
        values = plan.model_dump(mode="json")
        return next((job for job in self._jobs.active(kind) if job.plan == values), None)

    def run_generation(self, context: JobContext) -> dict[str, Any]:
        """Do a generation job's work; resumes where it left off.

        Raises:
            EndpointError, BudgetReached: the rest cannot be sent; what was answered is kept.
            BroughtNothing: every request failed.
        """
        plan = GenerationPlan.model_validate(context.plan)
        many = sum(plan.counts.values()) >= CHECKED_ASIDE_FROM and plan.base_url != EMBEDDED_TEACHER
        with ExitStack() as ending:
            aside = ending.enter_context(self._side_checks()).start if many and self._side_checks else None
            reader = ExampleReader(self._triples, self._tasks, self._check, aside)
            return self.carry_out(context, plan, lambda: self._planner.generation(plan), reader)

    def run_brainstorm(self, context: JobContext) -> dict[str, Any]:
        """Do a brainstorm job's work; resumes where it left off. Raises what `run_generation` raises."""
        plan = BrainstormPlan.model_validate(context.plan)
        return self.carry_out(context, plan, lambda: self._planner.brainstorm(plan), TaskReader(self._tasks))

    def progress(self, job_id: str) -> GenerationProgress:
        """A job's requests as they stand now."""
        tally = self._ledger.tally(job_id)
        rate = _replies_a_minute(tally.received_times)
        left = tally.total - tally.ended
        return GenerationProgress(tally, rate, left / rate * 60 if rate else None)

    def failures(self, job_id: str, *, limit: int = 200) -> list[RequestRecord]:
        """Failed requests with reason and raw reply, newest first."""
        return self._ledger.failures(job_id, limit=limit)

    def request(self, key: str) -> RequestRecord:
        """One request of the ledger: what a triple's lineage points to.

        Raises:
            NotFound: no such request.
        """
        return self._ledger.get(key)

    def batches(self, job_id: str | None = None) -> list[BatchRecord]:
        """A job's batches, the oldest first; those of all jobs, the newest first."""
        if self._batches is None:
            return []
        return self._batches.of_job(job_id) if job_id else self._batches.list()

    def cancel_batches(self, job_id: str) -> int:
        """Ask the endpoint to stop working on a job's batches; returns how many. What was answered is kept.

        Raises:
            NotFound: no such job.
            NothingToDo: it has no batch at an endpoint.
            EndpointError: the endpoint cannot be asked.
        """
        job = self._jobs.get(job_id)
        if self._batches is None or not job.plan.get("batch"):
            raise NothingToDo(f"Job {job_id} sends no batches.", hint="Stop it: python -m core jobs stop " + job_id)
        kind = BrainstormPlan if job.kind is JobKind.BRAINSTORM else GenerationPlan
        return self._batches.cancel(job, kind.model_validate(job.plan))

    def carry_out(
        self, context: JobContext, plan: EndpointPlan, draw: Callable[[], Iterable[PlannedRequest]], reader: Reader
    ) -> dict[str, Any]:
        """Send a job's requests and have the replies read; what an earlier run of the job did is not done again."""
        started = time.monotonic()
        if not self._ledger.is_planned(context.job.id):
            self._plan(context, draw)
        sender = self._sender(context, plan, reader)
        try:
            sender.read_stored()
            if sender.has_to_send():
                asyncio.run(self._send(sender, plan))
        finally:
            context.result = self._summary(context, seconds=time.monotonic() - started)
            context.emit("summary", **context.result)
        if context.result["failed"] and not context.result["parsed"] and not context.stop_requested():
            raise nothing_came(context.result["failures"])
        return context.result

    def _plan(self, context: JobContext, draw: Callable[[], Iterable[PlannedRequest]]) -> None:
        planned = {request.key: request for request in draw()}
        busy = {job.id for job in self._jobs.active(JobKind.GENERATE, JobKind.BRAINSTORM, JobKind.REWRITE)} - {context.job.id}
        with self._ledger.together():  # or another job might begin with them between the two
            others = self._ledger.with_others(list(planned), busy)
            new = self._ledger.plan(list(planned.values()), context.job.id, busy=busy)
        away = self._batches.away(list(planned)) if self._batches else {}
        answered = len(planned) - new - sum(away.values()) - sum(others.values())
        context.emit("planned", requests=len(planned), new=new, answered=answered, away=away, others=others)
        if others and not new and not away:
            raise NothingToDo(
                f"{sum(others.values()):,} requests of this plan are being sent by {', '.join(others)}, and would be paid twice.",
                hint=f"Wait for that job, or stop it and start this one again: python -m core jobs stop {next(iter(others))}",
            )
        if away and not new:
            raise NothingToDo(
                f"{sum(away.values()):,} requests of this plan are away in a batch of {', '.join(away)}, and would be paid twice.",
                hint=f"Resume that job to collect the answers: python -m core jobs resume {next(iter(away))}",
            )

    def _sender(self, context: JobContext, plan: EndpointPlan, reader: Reader) -> Sender:
        if not plan.batch:
            return Sender(self._ledger, reader, plan, context)
        if self._batches is None:
            raise BadPlan("Batches are not available here.", hint="Run without --batch.")
        return self._batches.sender(self._ledger, reader, plan, context)

    async def _send(self, sender: Sender, plan: EndpointPlan) -> None:
        model = self._open_model(plan)
        try:
            await sender.send(model)
        finally:
            await close_model(model)

    def _summary(self, context: JobContext, *, seconds: float) -> dict[str, Any]:
        """Numbers of the whole job, earlier runs included; `seconds` is this run's."""
        tally = self._ledger.tally(context.job.id)
        events, _ = read_events(context.folder / "events.jsonl")
        made = [event for event in events if event["kind"] == "request"]
        planned = next((event for event in events if event["kind"] == "planned"), {"requests": tally.total, "answered": 0})
        return {
            "planned": planned["requests"],
            "answered_before": planned["answered"],
            "sent": tally.attempts,
            "received": tally.received,
            "parsed": tally.parsed,
            "failed": tally.failed,
            "failures": tally.reasons,
            "cut_off_repeated": tally.repeated,
            "cut_off_repeated_parsed": tally.repeated_parsed,
            "added": sum(event["added"] for event in made),
            "duplicates": sum(event["duplicates"] for event in made),
            "flagged": sum(bool(event["flags"]) for event in made),
            "flags": dict(Counter(code for event in made for code in set(event["flags"]))),
            "prompt_tokens": tally.prompt_tokens,
            "completion_tokens": tally.completion_tokens,
            "cost": tally.cost,
            "maybe_cost": None if tally.cost is None else tally.maybe.money,
            "maybe_tokens": tally.maybe.tokens,
            "seconds": round(seconds, 2),
        }


def _scaled(found: Estimate, factor: float) -> Estimate:
    return Estimate(
        requests=round(found.requests * factor),
        answered=round(found.answered * factor),
        prompt_tokens=round(found.prompt_tokens * factor),
        completion_tokens=round(found.completion_tokens * factor),
        cost=None if found.cost is None else found.cost * factor,
        seconds=found.seconds * factor,
        basis=f"{found.basis} Scaled up from {ESTIMATE_DRAWS:,} drawn requests.",
        by_group={group: round(count * factor) for group, count in found.by_group.items()},
    )


def _title_of(plan: GenerationPlan) -> str:
    title = f"Write {sum(plan.counts.values()):,} examples with {plan.model}"
    return f"{title}, to compare prompts" if plan.comparison else title


def _replies_a_minute(times: tuple[str, ...]) -> float | None:
    """Rate over the newest replies, up to the last one; None with fewer than two."""
    if len(times) < 2:
        return None
    span = (datetime.fromisoformat(times[-1]) - datetime.fromisoformat(times[0])).total_seconds()
    return (len(times) - 1) / span * 60 if span > 0 else None
