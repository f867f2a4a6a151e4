"""Merged models written by jobs: no page waits for it, or loads a model. The adapter alone is copied at once (core.training.export)."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.domain.jobs import Job, JobKind, JobState
from core.domain.plans import ExportPlan
from core.errors import DiskFull
from core.jobs.board import JobBoard
from core.jobs.context import JobContext
from core.storage.database import from_os_error, translated_errors
from core.training.export import STAGES, ExportForm, check_target

WEIGHT_BYTES = 4  # float32
BESIDE_BYTES = 8e6  # tokenizer, card and settings (4 MB for the embedded decoder), and room
PROCESS_BYTES = 0.7e9  # what the process takes with torch and peft before it holds a weight


class ExportStopped(Exception):
    """Somebody asked the job to end."""


@dataclass(frozen=True, slots=True)
class ExportCost:
    """What writing the merged model takes; None where the run does not tell how many weights its base has."""

    disk_bytes: float | None
    memory_bytes: float | None
    free_disk_bytes: int
    free_memory_bytes: int

    @property
    def fits(self) -> bool:
        """Whether the disk has room for it, as far as is known."""
        return self.disk_bytes is None or self.disk_bytes < self.free_disk_bytes


class ExportJobs:
    """Starts, finds and does them."""

    def __init__(self, jobs: JobBoard, exports: Path) -> None:
        """`exports` is the folder that gets a folder a model."""
        self._jobs, self._exports = jobs, exports.resolve()

    def target(self, run: Job, *, form: ExportForm, steps: Sequence[int] = ()) -> Path:
        """Where a run's model goes: another folder for each state of the run, each choice of checkpoints and each form."""
        which = f"average-{'-'.join(map(str, sorted(steps)))}" if steps else f"step-{run.result.get('steps', 0)}"
        return self._exports / f"{run.id}-{which}{'-merged' if form is ExportForm.MODEL else ''}"

    def cost(self, run: Job) -> ExportCost:
        """Disk and memory that the merged model of a run takes, from what its run counted."""
        free_disk, free_memory = self._free_bytes(), psutil.virtual_memory().available
        counted = next((e for e in self._jobs.events(run.id)[0] if e["kind"] == "parity"), None)
        if counted is None or run.plan.get("four_bit"):  # packed weights are counted otherwise
            return ExportCost(None, None, free_disk, free_memory)
        weights = (counted["all_parameters"] - counted["trainable_parameters"]) * WEIGHT_BYTES
        return ExportCost(weights + BESIDE_BYTES, weights + PROCESS_BYTES, free_disk, free_memory)

    def latest(self, run: Job, *, steps: Sequence[int] = ()) -> Job | None:
        """The newest job for this model, whatever its state; None also where its folder is gone."""
        wanted = str(self.target(run, form=ExportForm.MODEL, steps=steps))
        job = next((job for job in self._jobs.find(JobKind.EXPORT) if job.plan["folder"] == wanted), None)
        return None if job is not None and job.state is JobState.DONE and not Path(wanted).is_dir() else job

    def start(self, run: Job, *, steps: Sequence[int] = ()) -> Job:
        """Start the job, or find the one at work on the same model.

        Raises:
            BadInput: see `check_target`.
            DiskFull: there is no room for it.
        """
        if (running := self.latest(run, steps=steps)) is not None and running.state.active:
            return running
        folder = check_target(run, self.target(run, form=ExportForm.MODEL, steps=steps), ExportForm.MODEL)
        cost = self.cost(run)
        if cost.disk_bytes is not None and not cost.fits:
            what = f"The merged model takes {cost.disk_bytes / 1e9:.2f} GB, and {cost.free_disk_bytes / 1e9:.2f} GB are free."
            raise DiskFull(what, hint="Free space where the workspace lies, then repeat.")
        plan = ExportPlan(run_id=run.id, folder=str(folder), steps=tuple(sorted(steps)))
        return self._jobs.start(JobKind.EXPORT, plan, title=f"Merge {run.title}", dataset_version_id=run.dataset_version_id)

    def run(self, context: JobContext, export: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        """A job's work. `export` writes the folder: (run id, folder, form=, steps=, tell=) -> what was written."""
        plan = ExportPlan.model_validate(context.plan)

        def tell(stage: str) -> None:
            if context.stop_requested():
                raise ExportStopped
            context.progress(STAGES.index(stage), len(STAGES), "stages", stage)

        try:
            found = export(plan.run_id, Path(plan.folder), form=ExportForm.MODEL, steps=plan.steps, tell=tell)
        except ExportStopped:
            return {}
        context.progress(len(STAGES), len(STAGES), "stages", "done")
        return found

    def _free_bytes(self) -> int:
        try:
            return shutil.disk_usage(self._exports.parent).free
        except OSError as error:
            raise from_os_error(error) from error


def packed(folder: Path) -> io.BufferedReader:
    """A written folder as one zip, read from its beginning; weights hardly shrink, so they are stored as they are."""
    with translated_errors():
        data = io.BufferedRandom(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - the reader closes it
        with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, Path(folder.name) / path.relative_to(folder))
        data.seek(0)
        return io.BufferedReader(data.detach())
