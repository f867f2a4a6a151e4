"""Turn a plan into requests: everything is drawn and rendered here, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from core.domain.groups import GROUPS, TaskGroup
from core.domain.languages import check_weights
from core.domain.plans import EMBEDDED_TEACHER, BrainstormPlan, EndpointPlan, GenerationPlan
from core.domain.prompt import PromptStep, PromptVersion
from core.domain.request import PlannedRequest
from core.domain.rewriting import RewritePlan
from core.domain.task import EmbeddingTask, TaskState, task_id
from core.domain.triple import SlotValue
from core.errors import BadPlan, NothingToDo
from core.generation.prompts.prompt_library import PromptLibrary
from core.generation.prompts.rewrite_slots import rewrite_slots
from core.generation.prompts.slots import choose_task, draw_example, draw_topics, stream
from core.generation.prompts.templating import render
from core.generation.replies.reply_schemas import example_schema, field_schema, task_list_schema
from core.generation.sending.teachers import check_endpoint
from core.storage.tasks import TaskStore

TASKS_A_REQUEST = 20  # as in the paper
TASKS_A_REQUEST_EMBEDDED = 4  # a small model loses the thread in longer lists
LARGEST_PLAN = 1_000_000


class RequestPlanner:
    """The same plan over the same tasks and prompts always gives the same requests, and example i does not depend on how many follow."""

    def __init__(self, prompts: PromptLibrary, tasks: TaskStore) -> None:
        self._prompts = prompts
        self._tasks = tasks

    def check_generation(self, plan: GenerationPlan) -> None:
        """Refuse a plan that cannot be carried out.

        Raises:
            BadPlan, NotFound, NothingToDo: which part, and what to do.
        """
        self._check(plan, plan.counts)
        check_weights(plan.languages)
        for group, count in plan.counts.items():
            if count:
                self._task_ids(plan, group)
                self._version(plan.prompt_versions, group, PromptStep.EXAMPLE)

    def check_brainstorm(self, plan: BrainstormPlan) -> None:
        """Refuse a plan that cannot be carried out.

        Raises:
            BadPlan, NotFound, NothingToDo: which part, and what to do.
        """
        self._check(plan, plan.counts)
        for group in (g for g, count in plan.counts.items() if count):
            if GROUPS[group].fixed_task:
                raise BadPlan(f"The group {group.value} has one fixed task.", hint="Brainstorm for one of the other four groups.")
            self._version(plan.prompt_versions, group, PromptStep.BRAINSTORM)

    def generation(self, plan: GenerationPlan, *, limit: int | None = None) -> Iterator[PlannedRequest]:
        """Requests of a plan, group after group; with `limit`, so many drawn from all groups in turn."""
        self.check_generation(plan)
        wanted = {group: count for group, count in plan.counts.items() if count}
        make: dict[TaskGroup, Callable[[int], PlannedRequest]] = {group: self._example_maker(plan, group) for group in wanted}
        if limit is None:
            yield from (make[group](i) for group, count in wanted.items() for i in range(count))
            return
        turns = ((group, i) for i in range(max(wanted.values())) for group, count in wanted.items() if i < count)
        for (group, i), _ in zip(turns, range(limit), strict=False):
            yield make[group](i)

    def brainstorm(self, plan: BrainstormPlan) -> Iterator[PlannedRequest]:
        """Requests of a brainstorm: each asks for about twenty tasks, with topics of its own."""
        self.check_brainstorm(plan)
        embedded = plan.base_url == EMBEDDED_TEACHER
        most = TASKS_A_REQUEST_EMBEDDED if embedded else TASKS_A_REQUEST
        for group, wanted in ((g, count) for g, count in plan.counts.items() if count):
            version = self._version(plan.prompt_versions, group, PromptStep.BRAINSTORM)
            for i, start in enumerate(range(0, wanted, most)):
                random = stream(plan.seed, "brainstorm", group.value, i)
                slots: dict[str, SlotValue] = {"count": min(most, wanted - start), "topics": draw_topics(random, plan.topics)}
                yield PlannedRequest(
                    step=PromptStep.BRAINSTORM,
                    group=group,
                    base_url=plan.base_url,
                    model=plan.model,
                    messages=_messages(render(version.template, slots)),
                    parameters=_parameters(plan, random.getrandbits(31)),
                    schema=task_list_schema(min(most, wanted - start), bounded=embedded),
                    slots=slots,
                    prompt_version_id=version.id,
                )

    def rewrite(self, plan: RewritePlan) -> PlannedRequest:
        """The one request of a rewriting.

        Raises:
            BadPlan: the group has no such text, or a budget cannot be kept.
            NotFound: no such prompt version.
        """
        check_endpoint(plan)
        version = self._version({plan.group: plan.prompt_version_id}, plan.group, PromptStep.REWRITE)
        key = plan.field.key_in(plan.group)
        if key is None:
            raise BadPlan(f"Examples of the group {plan.group.value} have no {plan.field.value}.", hint="Mine one instead.")
        return PlannedRequest(
            step=PromptStep.REWRITE,
            group=plan.group,
            base_url=plan.base_url,
            model=plan.model,
            messages=_messages(render(version.template, rewrite_slots(plan, key))),
            parameters=_parameters(plan, plan.seed),
            schema=field_schema(key),
            slots={"field": plan.field.value, "length": plan.length},
            language=plan.language,
            task_id=task_id(plan.group, plan.task),
            prompt_version_id=version.id,
        )

    def _example_maker(self, plan: GenerationPlan, group: TaskGroup) -> Callable[[int], PlannedRequest]:
        version = self._version(plan.prompt_versions, group, PromptStep.EXAMPLE)
        tasks = self._task_ids(plan, group)
        ids = sorted(tasks)
        embedded = plan.base_url == EMBEDDED_TEACHER

        def make(i: int) -> PlannedRequest:
            random = stream(plan.seed, group.value, i)
            draw = draw_example(group, random, plan.languages)
            task_id = choose_task(ids, random)
            return PlannedRequest(
                step=PromptStep.EXAMPLE,
                group=group,
                base_url=plan.base_url,
                model=plan.model,
                messages=_messages(render(version.template, {**draw.slots, "task": tasks[task_id].text})),
                parameters=_parameters(plan, random.getrandbits(31)),
                schema=example_schema(group, draw.slots, bounded=embedded),
                slots=draw.slots,
                language=draw.language,
                target_language=draw.target_language,
                task_id=task_id,
                prompt_version_id=version.id,
            )

        return make

    def _task_ids(self, plan: GenerationPlan, group: TaskGroup) -> dict[str, EmbeddingTask]:
        fixed = GROUPS[group].fixed_task
        if fixed:
            task = EmbeddingTask(group, fixed)
            return {task.id: task}
        found = {task.id: task for task in self._tasks.find(group, TaskState.ACCEPTED) if not plan.task_ids or task.id in plan.task_ids}
        if not found:
            raise NothingToDo(
                f"The group {group.value} has no accepted task{' among the chosen ones' if plan.task_ids else ''}.",
                hint="Brainstorm or add tasks on the Tasks page, accept some, then generate.",
            )
        return found

    def _check(self, plan: EndpointPlan, counts: Mapping[TaskGroup, int]) -> None:
        if not any(counts.values()):
            raise BadPlan("The plan asks for nothing: every count is 0.", hint="Give at least one group a count.")
        if any(count < 0 for count in counts.values()) or sum(counts.values()) > LARGEST_PLAN:
            raise BadPlan(f"A count must lie between 0 and {LARGEST_PLAN:,}.", hint="Split larger plans by seed.")
        check_endpoint(plan)

    def _version(self, chosen: Mapping[TaskGroup, str], group: TaskGroup, step: PromptStep) -> PromptVersion:
        if group not in chosen:
            return self._prompts.newest(group, step)
        version = self._prompts.get(chosen[group])
        if (version.group, version.step) != (group, step):
            raise BadPlan(
                f"The prompt version {version.name} cannot be used for the {step.value} step of {group.value}.",
                hint="Choose a version of that group and step, or none for the newest.",
            )
        return version


def _messages(text: str) -> tuple[Mapping[str, str], ...]:
    return ({"role": "user", "content": text},)


def _parameters(plan: EndpointPlan, seed: int) -> dict[str, float | int]:
    return {"temperature": plan.temperature, "top_p": plan.top_p, "max_tokens": plan.max_tokens, "seed": seed}
