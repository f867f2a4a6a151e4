"""Tercet and its peers behind one face: start a run, kill it, start it again, count what came of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from bench.peers.servers import Server
from core.domain.chat import ChatRequest
from core.domain.groups import TaskGroup
from core.domain.jobs import Job, JobState
from core.domain.plans import GenerationPlan
from core.generation.desk import GenerationDesk
from core.llm.dialect import Dialect
from core.settings import PROJECT_FOLDER, Settings
from core.shipped.records import read_starter
from core.workbench import Workbench

MODEL = "starter"
PACKAGES = {"curator": "bespokelabs-curator", "distilabel": "distilabel"}
# The peers may neither go to the network nor find anything an earlier run or a person left in the home folder.
OFFLINE = {
    "TELEMETRY_ENABLED": "false",
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "DO_NOT_TRACK": "1",
    "OPENAI_API_KEY": "none",
    "NO_PROXY": "127.0.0.1",
}


@dataclass(frozen=True)
class Ending:
    """How a run ended. `kept` counts complete rows in hand, `ended_at` is in seconds since the epoch."""

    kept: int
    ended_at: float = 0.0
    trouble: str = ""  # why there are none


class Contender(Protocol):
    """Somebody who writes triples. One object is one memory: a second run finds what the first one left."""

    def start(self, count: int, server: Server, in_flight: int) -> None:
        """Begin to ask for so many rows, in a process of its own; after a kill, begin again in the way its documentation says."""
        ...

    def kill(self) -> None:
        """SIGKILL to all its processes."""
        ...

    def finish(self, limit_seconds: float) -> Ending:
        """Wait until the run is over."""
        ...


@dataclass
class Tercet:
    """Generation as a person starts it: a job of a workspace, with the ledger and all checks."""

    folder: Path
    seed: int = 0
    _job: Job | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Open a workspace with the starter set's tasks of one group."""
        self._workbench = Workbench(Settings(workspace=self.folder, database_url=None))
        records, _ = read_starter(PROJECT_FOLDER / "data" / "starter")
        tasks = dict.fromkeys(record.triple.task for record in records if record.triple.group is TaskGroup.SHORT_LONG)
        self._workbench.tasks.add(TaskGroup.SHORT_LONG, tasks)

    def prompts(self, count: int) -> list[str]:
        """The first prompts it will send; few of them are equal, and those differ in the seed that is sent with them."""
        plan = self._plan(count, "http://127.0.0.1/v1", 1)
        return [request.messages[0]["content"] for request, _ in self._generation.preview(plan, count)]

    def bodies(self, count: int) -> list[dict[str, object]]:
        """What it will send, whole."""
        plan, bodies = self._plan(count, "http://127.0.0.1/v1", 1), []
        for request, _ in self._generation.preview(plan, count):
            seed = int(request.parameters["seed"])
            asked = ChatRequest(request.messages, request.schema, plan.temperature, plan.top_p, plan.max_tokens, seed)
            bodies.append(Dialect().body(MODEL, asked))
        return bodies

    def start(self, count: int, server: Server, in_flight: int) -> None:
        """Start the job, or resume the one that was killed."""
        if self._job is not None and self._workbench.jobs.wait(self._job.id, timeout_seconds=20).state is JobState.LOST:
            self._job = self._workbench.jobs.resume(self._job.id)
        else:
            self._job = self._generation.start_generation(self._plan(count, server.base_url, in_flight))

    def kill(self) -> None:
        """End the job's process group."""
        assert self._job is not None
        pid = self._workbench.jobs.get(self._job.id).pid
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)

    def finish(self, limit_seconds: float) -> Ending:
        """Triples in the workspace, and when the job wrote its result."""
        assert self._job is not None
        job = self._workbench.jobs.wait(self._job.id, timeout_seconds=limit_seconds, poll_seconds=0.1)
        if job.state.active:
            self.kill()
        kept = sum((self._workbench.overview().triples or {}).values())
        while job.pid is not None and psutil.pid_exists(job.pid):  # its processor time is counted when it is gone
            time.sleep(0.02)
        if job.state is not JobState.DONE:
            return Ending(kept, trouble=f"{job.state.value}: {job.failure.message if job.failure else f'after {limit_seconds:.0f} s'}")
        return Ending(kept, (job.folder / "result.json").stat().st_mtime)

    @property
    def _generation(self) -> GenerationDesk:
        return self._workbench.generation

    def _plan(self, count: int, base_url: str, in_flight: int) -> GenerationPlan:
        counts = {TaskGroup.SHORT_LONG: count}
        return GenerationPlan(counts=counts, base_url=base_url, model=MODEL, in_flight=in_flight, seed=self.seed)


@dataclass
class Peer:
    """A script beside this file, run by a python that has the peer installed."""

    name: str  # curator | distilabel
    python: Path
    folder: Path
    prompts: Sequence[str]
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self, count: int, server: Server, in_flight: int) -> None:
        """Run the script over the first `count` prompts; its cache is the same each time."""
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        (self.folder / "prompts.json").write_text(json.dumps(self.prompts[:count]), encoding="utf-8")
        self._report.unlink(missing_ok=True)
        options: dict[str, object] = {
            "prompts": self.folder / "prompts.json",
            "base-url": server.base_url,
            "model": MODEL,
            "in-flight": in_flight,
            "cache": self.folder / "cache",
            "report": self._report,
        }
        script = Path(__file__).parent / f"with_{self.name}.py"
        command = [str(self.python), str(script), *(f"--{name}={value}" for name, value in options.items())]
        with self._log.open("ab") as log:
            environment = {**os.environ, **OFFLINE, "HOME": str(home)}
            self._process = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """End the script and its children."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def finish(self, limit_seconds: float) -> Ending:
        """What the script reported. A run that is not over in time is killed."""
        assert self._process is not None
        try:
            status = self._process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            return Ending(0, trouble=f"hangs: not over after {limit_seconds:.0f} s")
        finally:
            self.kill()  # a script that ended may have left children
        if not self._report.exists():
            last = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return Ending(0, trouble=f"ended with status {status}: {last[-1][:200] if last else ''}")
        return Ending(**json.loads(self._report.read_text(encoding="utf-8")))

    @property
    def _report(self) -> Path:
        return self.folder / "report.json"

    @property
    def _log(self) -> Path:
        return self.folder / "log.txt"


def peer_versions(python: Path) -> dict[str, str] | None:
    """Versions of both peers and of what decides their speed; None where that python lacks them."""
    names = [*PACKAGES.values(), "openai", "requests", "datasets"]
    code = f"import json; from importlib.metadata import version; print(json.dumps({{n: version(n) for n in {names}}}))"
    try:
        told = subprocess.run([python, "-c", code], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    versions: dict[str, str] = json.loads(told)
    return versions
