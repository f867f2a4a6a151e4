"""Training as pages and the shell see it: presets, what a plan would train, runs. Loads no torch; the work happens in a job's process."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError

from core.domain.contrast import BatchScope, Hardness
from core.domain.dataset import Example, Split
from core.domain.encoder import EMBEDDED_BASE
from core.domain.jobs import Job, JobKind
from core.domain.plans import TrainingPlan
from core.encoder.base_shape import require_bitsandbytes
from core.errors import BadInput, BadPlan, NothingToDo
from core.jobs.board import JobBoard
from core.jobs.context import JobContext
from core.settings import Settings
from core.storage.versions import VersionStore
from core.training.averaging import steps_kept
from core.training.batches import SMALLEST, BatchOrder, order_of, training_rows
from core.training.export import ExportForm, export_model
from core.training.export_jobs import ExportJobs
from core.training.graph_size import GRAPH_TOKENS, weight_of
from core.training.model_card import ReportedScore
from core.training.presets import DEFAULT, EXPLAINED, PRESETS, preset_plan

CHARACTERS_A_TOKEN = {"latin": 4.2, "other": 0.75}  # of the embedded tokenizer: English prose, Chinese prose (measured on the starter set)
INSTRUCTION_TOKENS = 26  # of a task sentence with its frame
TOKENS_A_SECOND = 280.0  # a CPU core with AMX, forward and backward, embedded decoder, `make demo` on two idle cores (docs/lab-notes.md)
BASE_BYTES, TOKEN_BYTES = 1.0e9, 1.2e6  # peaks: 3.3 GB with 2,585 tokens of short texts, 10.5 GB with 7,100 of at most 128

EMBEDDED_LAYERS = 30


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

    def __init__(
        self, jobs: JobBoard, versions: VersionStore, settings: Settings, *, weights: Callable[[], dict[str, float]] = dict
    ) -> None:
        """`weights` gives the sampling weights by source that imports were given; presets start with them."""
        self._jobs = jobs
        self._versions = versions
        self._settings = settings
        self._weights = weights
        self.exports = ExportJobs(jobs, settings.workspace / "exports")

    def presets(self) -> dict[str, str]:
        """Names of the presets, each with what it is for."""
        return dict(EXPLAINED)

    def preset(self, name: str = DEFAULT, dataset_version_id: str = "") -> TrainingPlan:
        """A preset's plan for a version, with the base model of the settings where the preset names none.

        Raises:
            NotFound: no such preset.
        """
        plan = preset_plan(name, dataset_version_id).model_copy(update={"source_weights": self._weights()})
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
        if len(training) < SMALLEST:
            raise NothingToDo(
                f"Version {version.name} has {len(training)} training triples in the chosen groups; a batch needs two.",
                hint="Accept more triples and freeze a new version, or choose more groups.",
            )
        if not plan.use_in_batch_negatives and not any(e.texts.negative for e in training):
            raise NothingToDo(
                "None of the chosen triples has a hard negative, and in-batch negatives are off: there is nothing to push away.",
                hint="Put the batch's other documents into the denominator, or choose groups with hard negatives.",
            )
        if order_of(training_rows(training, most_negatives=plan.negatives_per_query), plan).examples_an_epoch < SMALLEST:
            raise NothingToDo("The source weights leave nothing to train on.", hint="Give a source that the version has a weight above 0.")
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

    def export(
        self,
        job_id: str,
        folder: Path,
        *,
        form: ExportForm,
        steps: Sequence[int] = (),
        scores: Sequence[ReportedScore] = (),
        tell: Callable[[str], None] = lambda _: None,
    ) -> dict[str, Any]:
        """Write a run's model to a folder (see core.training.export); a merged one loads torch into this process.

        Raises:
            NotFound: no such run.
            BadInput: it has no model yet, or see `export_model`.
        """
        job = self._jobs.get(job_id.removeprefix("run:"))
        if job.kind is not JobKind.TRAIN or "encoder" not in job.result:
            raise BadInput(
                f"{job.id} has no tuned model: it is {job.state.value}.", hint="Stop it or wait: a stopped run keeps its adapter."
            )
        version = self._versions.get(job.dataset_version_id or "")
        return export_model(job, version, self._settings, folder, form=form, steps=steps, scores=scores, tell=tell)

    def checkpoints(self, job: Job) -> list[int]:
        """Steps of a run whose checkpoints are kept; two or more can be averaged."""
        return steps_kept(job.folder / "checkpoints")

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
        ModelUnusable: a base in 4 bits, without the package it needs.
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
    if len(set(plan.directions)) > 1 and not plan.use_in_batch_negatives:
        what = "q-q, d-q and d-d compare with the rest of the batch, and in-batch negatives are off."
        raise BadPlan(what, hint="Use in-batch negatives, or q-d alone.")
    if plan.four_bit:
        require_bitsandbytes()


def estimate_tokens(text: str) -> int:
    """Rough tokens of a text for the embedded tokenizer, without loading it."""
    latin = sum(ord(c) < 0x250 for c in text)
    return 1 + round(latin / CHARACTERS_A_TOKEN["latin"] + (len(text) - latin) / CHARACTERS_A_TOKEN["other"])


def _inspection(plan: TrainingPlan, training: Sequence[Example], heldout: int) -> Inspection:
    order = order_of(training_rows(training, most_negatives=plan.negatives_per_query), plan)
    batch = order.batch_size
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
        epochs=plan.steps / order.batches_an_epoch,
        batch_size=order.batch_size,
        tokens_a_step=tokens_a_step,
        cut_share=sum(length > plan.max_length for length in lengths) / len(lengths),
        seconds=seconds,
        memory_bytes=memory,
        basis=basis,
        warnings=_warnings(plan, order, memory) + _choice_warnings(plan, training, order),
    )


def _cost(plan: TrainingPlan, tokens_a_step: int) -> tuple[float | None, float | None, str]:
    if plan.base_model != EMBEDDED_BASE:
        return None, None, "No estimate: only the embedded decoder was measured. The first steps of the run give the time left."
    cores = min(os.cpu_count() or 1, 8)
    weight = weight_of(tokens_a_step, longest=plan.max_length) / plan.processes  # of one process's share of the batch
    budget = plan.micro_batch_tokens or GRAPH_TOKENS
    cached = 1.3 if weight > budget else 1.0  # gradient caching does the forward pass twice
    kept = min(1.0, (plan.base_layers or EMBEDDED_LAYERS) / EMBEDDED_LAYERS)
    seconds = plan.steps * tokens_a_step * cached * kept / (TOKENS_A_SECOND * cores)
    memory = plan.processes * (BASE_BYTES + TOKEN_BYTES * kept * min(weight, budget))
    basis = f"{TOKENS_A_SECOND:.0f} tokens a second on each of {cores} otherwise idle cores with AMX; slower CPUs take longer."
    return seconds, memory, basis


def _warnings(plan: TrainingPlan, order: BatchOrder, memory: float | None) -> list[str]:
    found = []
    batch, examples = order.batch_size, order.examples_an_epoch
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


def _choice_warnings(plan: TrainingPlan, training: Sequence[Example], order: BatchOrder) -> list[str]:
    """What the choices of loss and batches come to on these triples."""
    found = []
    if plan.batch_scope is not BatchScope.MIXED:
        sizes = [len(order.indices(step)) for step in range(order.batches_an_epoch)]
        left = order.examples_an_epoch - sum(sizes)
        found.append(
            f"{order.batches_an_epoch} batches an epoch, each of one {plan.batch_scope.value}, of {min(sizes)} to {max(sizes)} triples"
            + (f"; {left} triples an epoch stand alone in theirs and are left out." if left else ".")
        )
    alone = [e for e in training if e.group in plan.no_in_batch_groups or not plan.use_in_batch_negatives]
    empty = sum(not (plan.use_hard_negatives and e.texts.negative) for e in alone)
    if empty:
        found.append(f"{empty} triples see neither in-batch nor hard negatives: they teach nothing.")
    unknown = set(plan.source_weights) - {e.source for e in training}
    if unknown:
        found.append(f"No training triple has the source {', '.join(sorted(unknown))}: that weight changes nothing.")
    if plan.hardness_weight and plan.hardness_on is Hardness.HARD and not plan.use_hard_negatives:
        found.append("The hardness weight is on hard negatives, and these are off.")
    if plan.bidirectional:
        found.append("Attention both ways is not packed: steps take longer, and the base must learn to use what comes later.")
    return found
