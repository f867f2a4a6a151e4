"""Names of everything that can rank documents, and what is behind each name."""

from __future__ import annotations

from pathlib import Path

from core.domain.encoder import EncoderSpec
from core.domain.jobs import Job, JobKind, JobState
from core.errors import NotFound
from core.jobs.board import JobBoard
from core.settings import Settings

RAW = "raw"
BASELINE = "baseline"
BM25 = "bm25"
RUN_PREFIX = "run:"


class SystemCatalogue:
    """`raw` (the base model untrained), `baseline` (MiniLM), `run:<job id>` (tuned), `bm25` (lexical), a hub id or a model folder."""

    def __init__(self, jobs: JobBoard, settings: Settings) -> None:
        self._jobs = jobs
        self._settings = settings

    def names(self, *, lexical: bool = False) -> list[tuple[str, str]]:
        """(name, label) of every encoder at hand, tuned runs newest first; with BM25 only where `lexical`."""
        found = [(RAW, self.label(RAW))]
        found += [(f"{RUN_PREFIX}{job.id}", self._run_label(job)) for job in self._jobs.find(JobKind.TRAIN) if _has_encoder(job)]
        found.append((BASELINE, self.label(BASELINE)))
        return [*found, (BM25, self.label(BM25))] if lexical else found

    def label(self, name: str) -> str:
        """What people call a system; the name itself where there is nothing better."""
        if name.startswith(RUN_PREFIX):
            try:
                return self._run_label(self._jobs.get(name.removeprefix(RUN_PREFIX)))
            except NotFound:
                return name
        base = self._settings.base_model.removeprefix("embedded:")
        return {RAW: f"Raw {base}", BASELINE: "Baseline MiniLM", BM25: "BM25 (words)"}.get(name, name)

    def spec(self, name: str) -> EncoderSpec:
        """The encoder behind a name.

        Raises:
            NotFound: no such run, a run that has no adapter yet, `bm25` (it has no encoder) or a name that means nothing.
        """
        if name == RAW:
            return EncoderSpec(base=self._settings.base_model)
        if name == BASELINE:
            return EncoderSpec.baseline()
        if name.startswith(RUN_PREFIX):
            return EncoderSpec.from_dict(self.run(name).result["encoder"])
        if name == BM25:
            raise NotFound("BM25 compares words and has no vectors.", hint="Choose raw, baseline or a tuned run here.")
        if "/" in name or name.startswith("embedded:") or Path(name).is_dir():
            return EncoderSpec(base=name)
        raise NotFound(f"There is no system {name}.", hint="Use raw, baseline, bm25, run:<job id>, a hub id (owner/name) or a folder.")

    def run(self, name: str) -> Job:
        """The training job of a `run:…` system; it has an adapter.

        Raises:
            NotFound: no such run, or it has not written an adapter.
        """
        job_id = name.removeprefix(RUN_PREFIX)
        try:
            job = self._jobs.get(job_id)
        except NotFound as error:
            raise NotFound(f"There is no training run {job_id}.", hint="List runs: python -m core jobs list") from error
        if job.kind is not JobKind.TRAIN or not _has_encoder(job):
            raise NotFound(
                f"Run {job_id} has no tuned model: it is {job.state.value}.",
                hint="Wait until the training is done, or stop it: a stopped run keeps its adapter.",
            )
        return job

    @staticmethod
    def _run_label(job: Job) -> str:
        suffix = " (stopped early)" if _has_encoder(job) and job.state is not JobState.DONE else ""
        return f"Tuned: {job.title or 'run'} · {job.id[-4:]}{suffix}"  # two runs may share a title


def _has_encoder(job: Job) -> bool:
    return bool(job.result.get("encoder"))  # of a resumed run that waits in line: from before
