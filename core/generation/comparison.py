"""A/B of two prompt versions: two ordinary generation jobs whose plans differ in the prompt version alone."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

from core.domain.comparison import PromptComparison
from core.domain.endpoint import Endpoint
from core.domain.groups import TaskGroup
from core.domain.identity import content_id
from core.domain.jobs import Job, JobKind
from core.domain.plans import GenerationPlan
from core.domain.prompt import PromptStep
from core.domain.request import Estimate
from core.domain.task import TaskState
from core.domain.yields import Yield, YieldAxis
from core.errors import BadPlan, NotFound
from core.generation.desk import GenerationDesk
from core.generation.prompts.prompt_library import PromptLibrary
from core.generation.prompts.slots import stream
from core.jobs.board import JobBoard
from core.storage.tasks import TaskStore
from core.storage.yields import YieldStore

MOST_TASKS = 500  # named in the plans of one comparison
Plans = tuple[GenerationPlan, GenerationPlan]


class PromptComparisons:
    """Plans of comparisons, their start, and what came of them."""

    def __init__(self, desk: GenerationDesk, jobs: JobBoard, prompts: PromptLibrary, tasks: TaskStore, yields: YieldStore) -> None:
        self._desk = desk
        self._jobs = jobs
        self._prompts = prompts
        self._tasks = tasks
        self._yields = yields
        self._next = uuid.uuid4().hex  # of the comparison to come: plans of it stay the same until one is started

    def plan(self, first: str, second: str, endpoint: Endpoint, *, count: int, languages: Mapping[str, float]) -> Plans:
        """Plans of `count` examples for each of two versions, given by id.

        Both name the same tasks, so that accepting one meanwhile moves neither; the seed is new, so that no earlier reply is counted.

        Raises:
            BadPlan: the versions are not two wordings of one prompt.
            NotFound: there is no such version.
        """
        versions = self._prompts.get(first), self._prompts.get(second)
        group = versions[0].group
        if any((one.group, one.step) != (group, PromptStep.EXAMPLE) for one in versions):
            raise BadPlan("Only two versions of one group's example prompt can be compared.", hint="Choose two of the list.")
        if versions[0].template == versions[1].template:
            raise BadPlan(f"{versions[0].name} and {versions[1].name} have the same wording.", hint="Choose another version.")
        asked = json.dumps([count, dict(languages), endpoint.model_dump(mode="json")], sort_keys=True)
        identifier = content_id("comparison", self._next, first, second, asked)
        random = stream(0, "comparison", identifier)
        seed = random.getrandbits(31)
        accepted = sorted(task.id for task in self._tasks.find(group, TaskState.ACCEPTED))
        values = endpoint.model_dump(exclude={"name"}) | {
            "counts": {group: count},
            "languages": dict(languages),
            "in_flight": max(1, endpoint.in_flight // 2),  # both run at once, and share the limits
            **{limit: value / 2 for limit in ("requests_per_minute", "tokens_per_minute") if (value := getattr(endpoint, limit))},
            "task_ids": sorted(random.sample(accepted, min(MOST_TASKS, len(accepted)))),
            "seed": seed,
            "comparison": identifier,
        }
        one, other = (GenerationPlan.model_validate(values | {"prompt_versions": {group: version.id}}) for version in versions)
        return one, other

    def estimate(self, plans: Plans) -> Estimate:
        """What both take together; the time is that of the slower one, because they run side by side.

        Raises:
            BadPlan, NotFound, NothingToDo: the plans cannot be carried out.
        """
        one, other = (self._desk.estimate(plan) for plan in plans)
        return Estimate(
            requests=one.requests + other.requests,
            answered=one.answered + other.answered,
            prompt_tokens=one.prompt_tokens + other.prompt_tokens,
            completion_tokens=one.completion_tokens + other.completion_tokens,
            cost=None if one.cost is None or other.cost is None else one.cost + other.cost,
            seconds=max(one.seconds, other.seconds),
            basis=one.basis,
            by_group={group: one.by_group[group] + other.by_group[group] for group in one.by_group},
        )

    def start(self, plans: Plans) -> tuple[Job, Job]:
        """Start both jobs. A comparison that was started before is not started twice: its jobs are returned.

        Raises:
            BadPlan, NotFound, NothingToDo: the plans cannot be carried out; nothing was started.
        """
        if (jobs := self._pairs().get(plans[0].comparison)) is not None:
            return jobs
        one, other = (self._desk.start_generation(plan) for plan in plans)
        self._next = uuid.uuid4().hex
        return one, other

    def of_group(self, group: TaskGroup) -> list[tuple[str, str]]:
        """Comparisons of a group: id and name, the newest first."""
        found = []
        for identifier, jobs in self._pairs().items():
            if group.value in jobs[0].plan["counts"]:
                names = " and ".join(f"v{self._prompts.get(_version_of(job, group)).number}" for job in jobs)
                count = jobs[0].plan["counts"][group.value]
                started = jobs[0].created_at[:16].replace("T", " ")
                found.append((identifier, f"{names} · {count} examples each · {jobs[0].plan['model']} · {started}"))
        return found

    def get(self, identifier: str) -> PromptComparison:
        """A comparison as it stands.

        Raises:
            NotFound: there is none with this id.
        """
        jobs = self._pairs().get(identifier)
        if jobs is None:
            raise NotFound(f"There is no comparison {identifier}.", hint="The Prompts page lists them.")
        group = next(TaskGroup(name) for name in jobs[0].plan["counts"])
        brought = {found.name: found for found in self._yields.by(YieldAxis.PROMPT, job_ids=[job.id for job in jobs])}
        first, second = ({one.draw: one for one in self._yields.requests_of(job.id)} for job in jobs)
        versions = self._prompts.get(_version_of(jobs[0], group)), self._prompts.get(_version_of(jobs[1], group))
        return PromptComparison(
            id=identifier,
            group=group,
            jobs=jobs,
            versions=versions,
            yields=(brought.get(versions[0].id, Yield(versions[0].id)), brought.get(versions[1].id, Yield(versions[1].id))),
            pairs=tuple((one, second[draw]) for draw, one in first.items() if draw in second),
        )

    def _pairs(self) -> dict[str, tuple[Job, Job]]:
        """The two jobs of each comparison in the order they were started in, the newest comparison first."""
        jobs: dict[str, list[Job]] = {}
        for job in self._jobs.find(JobKind.GENERATE):  # the newest first
            if identifier := job.plan.get("comparison"):
                jobs.setdefault(identifier, []).append(job)
        return {identifier: (found[1], found[0]) for identifier, found in jobs.items() if len(found) > 1}


def _version_of(job: Job, group: TaskGroup) -> str:
    return str(job.plan["prompt_versions"][group.value])
