"""Stand-ins for what surrounds a desk: jobs that are not launched, systems that are known, a version store in memory."""

from __future__ import annotations

from pathlib import Path

from core.domain.dataset import DatasetVersion, Example, Split
from core.domain.encoder import EncoderSpec
from core.domain.identity import plan_hash
from core.domain.jobs import Job, JobKind, JobState
from core.errors import NotFound


class StillBoard:
    """Keeps jobs without starting a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: dict[str, Job] = {}

    def start(self, kind, plan, *, title, dataset_version_id=None) -> Job:
        values = plan.model_dump(mode="json")
        identifier = f"{kind.value}-{len(self.jobs)}"
        folder = self.folder / identifier
        folder.mkdir(parents=True)
        job = Job(identifier, kind, title, JobState.RUNNING, values, plan_hash(values), folder, dataset_version_id)
        self.jobs[identifier] = job
        return job

    def put(self, job: Job) -> Job:
        self.jobs[job.id] = job
        return job

    def get(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise NotFound(f"There is no job {job_id}.", hint="")
        return self.jobs[job_id]

    def find(self, kind: JobKind | None = None, *, limit: int = 200) -> list[Job]:
        return [job for job in reversed(self.jobs.values()) if kind in (None, job.kind)]


class StillContext:
    """A job's context that remembers what was reported."""

    def __init__(self, job: Job) -> None:
        self.job, self.plan, self.folder = job, job.plan, job.folder
        self.told: list[tuple[int, int, str]] = []
        self.stop_after: int | None = None
        self._asked = 0

    def emit(self, kind, **fields) -> None:
        pass

    def progress(self, done, total, unit, note="") -> None:
        self.told.append((done, total, note))

    def stop_requested(self) -> bool:
        self._asked += 1
        return self.stop_after is not None and self._asked > self.stop_after


class KnownSystems:
    """Systems by name, each with an encoder spec of its own."""

    def __init__(self, *names: str) -> None:
        self._specs = {name: EncoderSpec(base=f"embedded:{name}") for name in names}

    def spec(self, name: str) -> EncoderSpec:
        if name not in self._specs:
            raise NotFound(f"There is no system {name}.", hint="")
        return self._specs[name]

    def label(self, name: str) -> str:
        return name.upper()

    def names(self, *, lexical: bool = False) -> list[tuple[str, str]]:
        return [(name, name.upper()) for name in self._specs]


class KnownVersions:
    """One version, `v1`."""

    def __init__(self, *examples: Example) -> None:
        self._examples = list(examples)
        sides = [e.split for e in examples]
        self.version = DatasetVersion(
            "v1", "first", "hash-of-v1", sides.count(Split.TRAIN), sides.count(Split.HELDOUT), {}, None, "2026-01-01"
        )

    def get(self, version: str) -> DatasetVersion:
        if version not in ("v1", "first"):
            raise NotFound(f"There is no version {version}.", hint="")
        return self.version

    def list(self) -> list[DatasetVersion]:
        return [self.version]

    def examples(self, version_id: str, split: Split | None = None) -> list[Example]:
        return [e for e in self._examples if split in (None, e.split)]
