"""Training as pages and the shell see it: presets, what a plan would train, runs. Loads no torch; the work happens in a job's process."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError

from core.domain.dataset import Example, Split
from core.domain.encoder import EMBEDDED_BASE
from core.domain.jobs import Job, JobKind
from core.domain.plans import TrainingPlan
from core.errors import BadPlan, NothingToDo
from core.jobs.board import JobBoard
from core.jobs.context import JobContext
from core.settings import Settings
from core.storage.versions import VersionStore
from core.training.graph_size import GRAPH_TOKENS, weight_of
from core.training.presets import DEFAULT, EXPLAINED, PRESETS, preset_plan

CHARACTERS_A_TOKEN = {"latin": 4.2, "other": 0.75}  # of the embedded tokenizer: English prose, Chinese prose (measured on the starter set)
INSTRUCTION_TOKENS = 26  # of a task sentence with its frame
TOKENS_A_SECOND = 280.0  # a CPU core with AMX, forward and backward, embedded decoder, `make demo` on two idle cores (docs/lab-notes.md)
BASE_BYTES, TOKEN_BYTES = 1.0e9, 1.2e6  # peaks: 3.3 GB with 2,585 tokens of short texts, 10.5 GB with 7,100 of at most 128


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a plan would train, estimated without loading a model."""

    by_group: dict[str, int]
    examples: int
    heldout: int
    without_negative: int
    steps: int
    epochs: float
    batch_size: int  # as it will be: never above the number of examples
    tokens_a_step: int
    cut_share: float  # of texts longer than max_length
    seconds: float | None  # None: unknown for this base or device
    memory_bytes: float | None
    basis: str
    warnings: list[str] = field(default_factory=list)


class TrainingDesk:
    """Plans, starts and lists training runs."""

    def __init__(self, jobs: JobBoard, versions: VersionStore, settings: Settings) -> None:
        self._jobs = jobs
        self._versions = versions
        self._settings = settings

    def presets(self) -> dict[str, str]:
        """Names of the presets, each with what it is for."""
        return dict(EXPLAINED)

    def preset(self, name: str = DEFAULT, dataset_version_id: str = "") -> TrainingPlan:
        """A preset's plan for a version, with the base model of the settings where the preset names none.

        Raises:
            NotFound: no such preset.
        """
        plan = preset_plan(name, dataset_version_id)
        return plan if "base_model" in PRESETS[name] else plan.model_copy(update={"base_model": self._settings.base_model})

    def plan(self, values: dict[str, Any]) -> TrainingPlan:
        """A plan from plain values, as a form or a file gives them.

        Raises:
            BadPlan: with the first field that is wrong.
        """
        return read_plan(values)

    def inspect(self, plan: TrainingPlan) -> Inspection:
        """What would be trained.

        Raises:
            NotFound: no such version.
            NothingToDo: it has nothing to train on in the plan's groups.
        """
        version = self._versions.get(plan.dataset_version_id)
        examples = self._versions.examples(version.id)
        training = [e for e in examples if e.split is Split.TRAIN and e.group in plan.groups]
        if len(training) < 2:
            raise NothingToDo(
                f"Version {version.name} has {len(training)} training triples in the chosen groups; a batch needs two.",
                hint="Accept more triples and freeze a new version, or choose more groups.",
            )
        if not plan.use_in_batch_negatives and not any(e.texts.negative for e in training):
            raise NothingToDo(
                "None of the chosen triples has a hard negative, and in-batch negatives are off: there is nothing to push away.",
                hint="Put the batch's other documents into the denominator, or choose groups with hard negatives.",
            )
        return _inspection(plan, training, len(examples) - sum(e.split is Split.TRAIN for e in examples))

    def start(self, plan: TrainingPlan) -> Job:
        """Start a run.

        Raises:
            NotFound, NothingToDo: see `inspect`.
            BadPlan: the base model is a folder that does not exist, or the warm-up is longer than the run.
        """
        self.inspect(plan)
        check_plan(plan)
        version = self._versions.get(plan.dataset_version_id)
        plan = plan.model_copy(update={"dataset_version_id": version.id})
        base = "SmolLM2-135M" if plan.base_model == EMBEDDED_BASE else plan.base_model
        title = f"Train {base} on {version.name}, {plan.steps} steps"
        return self._jobs.start(JobKind.TRAIN, plan, title=title, dataset_version_id=version.id)

    def runs(self) -> list[Job]:
        """All runs, newest first."""
        return self._jobs.find(JobKind.TRAIN)

    def clone_of(self, job: Job) -> TrainingPlan:
        """The plan of a run, to change and start again.

        Raises:
            BadPlan: it was written by another version of Tercet.
        """
        return read_plan(job.plan)

    def run(self, context: JobContext) -> dict[str, Any]:
        """The work of a training job (see core.training.run)."""
        from core.training.run import run_training  # torch lives in the job's process

        plan = read_plan(context.plan)
        return run_training(context, plan, self._versions.examples(plan.dataset_version_id), self._settings)


def read_plan(values: dict[str, Any]) -> TrainingPlan:
    """A plan from its JSON values.

    Raises:
        BadPlan: with the first field that is wrong.
    """
    try:
        return TrainingPlan.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadPlan(f"The training plan is not valid: {where}: {first['msg']}.", hint="Correct that field.") from error


def check_plan(plan: TrainingPlan) -> None:
    """Refuse what would fail only after minutes.

    Raises:
        BadPlan: with what to change.
    """
    base = plan.base_model
    looks_local = base.startswith((".", "/", "~")) or base.count("/") > 1
    if looks_local and not Path(base).expanduser().is_dir():
        raise BadPlan(f"There is no folder {base}.", hint="Give a folder with config.json and safetensors, a hub id, or " + EMBEDDED_BASE)
    if base.startswith("embedded:") and base != EMBEDDED_BASE:
        raise BadPlan(f"{base} cannot be trained here.", hint=f"The embedded decoder is {EMBEDDED_BASE}.")
    if plan.warmup_steps >= plan.steps:
        what = f"The warm-up ({plan.warmup_steps} steps) is as long as the run ({plan.steps} steps)."
        raise BadPlan(what, hint="Lower one or raise the other.")
    if not plan.groups:
        raise BadPlan("No group is chosen.", hint="Choose at least one of the six groups.")
    if not (plan.use_in_batch_negatives or plan.use_hard_negatives):
        raise BadPlan("Without any negatives there is nothing to learn.", hint="Use in-batch negatives, hard negatives or both.")


def estimate_tokens(text: str) -> int:
    """Rough tokens of a text for the embedded tokenizer, without loading it."""
    latin = sum(ord(c) < 0x250 for c in text)
    return 1 + round(latin / CHARACTERS_A_TOKEN["latin"] + (len(text) - latin) / CHARACTERS_A_TOKEN["other"])


def _inspection(plan: TrainingPlan, training: Sequence[Example], heldout: int) -> Inspection:
    batch = min(plan.batch_size, len(training))
    task_tokens = INSTRUCTION_TOKENS if plan.instruction else 0
    lengths = []
    for example in training:
        texts = example.texts
        lengths.append(estimate_tokens(texts.query) + task_tokens)
        lengths.append(estimate_tokens(texts.positive))
        if texts.negative and plan.use_hard_negatives:
            lengths.append(estimate_tokens(texts.negative))
    kept = sum(min(length, plan.max_length) for length in lengths)
    tokens_a_step = round(kept / len(training) * batch)
    seconds, memory, basis = _cost(plan, tokens_a_step)
    return Inspection(
        by_group=dict(Counter(e.group.value for e in training)),
        examples=len(training),
        heldout=heldout,
        without_negative=sum(e.texts.negative is None for e in training),
        steps=plan.steps,
        epochs=plan.steps / (len(training) // batch),
        batch_size=batch,
        tokens_a_step=tokens_a_step,
        cut_share=sum(length > plan.max_length for length in lengths) / len(lengths),
        seconds=seconds,
        memory_bytes=memory,
        basis=basis,
        warnings=_warnings(plan, batch, len(training), memory),
    )


def _cost(plan: TrainingPlan, tokens_a_step: int) -> tuple[float | None, float | None, str]:
    if plan.base_model != EMBEDDED_BASE:
        return None, None, "No estimate: only the embedded decoder was measured. The first steps of the run give the time left."
    cores = min(os.cpu_count() or 1, 8)
    weight = weight_of(tokens_a_step, longest=plan.max_length)
    cached = 1.3 if weight > GRAPH_TOKENS else 1.0  # gradient caching does the forward pass twice
    seconds = plan.steps * tokens_a_step * cached / (TOKENS_A_SECOND * cores)
    memory = BASE_BYTES + TOKEN_BYTES * min(weight, GRAPH_TOKENS)
    basis = f"{TOKENS_A_SECOND:.0f} tokens a second on each of {cores} otherwise idle cores with AMX; slower CPUs take longer."
    return seconds, memory, basis


def _warnings(plan: TrainingPlan, batch: int, examples: int, memory: float | None) -> list[str]:
    found = []
    if batch < plan.batch_size:
        found.append(f"The batch is cut to {batch}, the number of training triples.")
    if plan.steps * batch > 20 * examples:
        found.append(f"{math.ceil(plan.steps * batch / examples)} passes over the same triples: it may learn them by heart.")
    if plan.pooling.value == "mean":
        found.append("Mean pooling differs from the paper, which reads the last token.")
    free = psutil.virtual_memory().available
    if memory and memory > free:
        found.append(f"It needs about {memory / 1e9:.1f} GB and {free / 1e9:.1f} GB are free.")
    return found
