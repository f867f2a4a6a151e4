"""The other processes of a training: started by the job itself, or by torchrun on one or several hosts.

Run as a module, this is such a process: it waits for the first one, gets plan and triples from it, and works along until the end.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import torch
from pydantic import TypeAdapter

from core.domain.dataset import Example
from core.domain.plans import TrainingPlan
from core.encoder.language_model import pick_device
from core.errors import BadPlan, JobError, WorkbenchError
from core.settings import PROJECT_FOLDER, Settings
from core.training.team import ALONE, WAIT_SECONDS, ProcessTeam, Team, in_environment

EXIT_SECONDS = 60.0
NEAR_SECONDS = 600.0  # to wait for a process this one started itself
EXAMPLES: TypeAdapter[list[Example]] = TypeAdapter(list[Example])
HERE = "127.0.0.1"
HELPER = "core.training.helpers"
PLACE = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
LOOK_SECONDS = 0.2  # between looks at helpers that have not come yet


@contextmanager
def enlist(plan: TrainingPlan, examples: Sequence[Example], settings: Settings) -> Iterator[tuple[Team, torch.device]]:
    """The team of the plan's processes, told what to train on, and this process's device; without helpers it is this one alone.

    Raises:
        BadPlan: torchrun started another number of processes than the plan has, or there are fewer GPUs.
        JobError: a process did not come, or ended.
    """
    if plan.processes == 1 and not in_environment():
        yield ALONE, pick_device(settings.device)
        return
    started: list[subprocess.Popen[bytes]] = []
    before = {name: os.environ.get(name) for name in PLACE}
    try:
        if in_environment():
            team, device = _join(settings)
        else:
            _check_devices(plan.processes, settings)
            for helper in _start(plan.processes, settings):
                started.append(helper)
            team, device = _join_watching(started, settings)
        try:
            if team.size != plan.processes:
                what = f"The plan has {plan.processes} processes, and {team.size} were started."
                hint = f"For a new run leave --processes out; for this one let torchrun start {plan.processes} in all, or go without it."
                raise BadPlan(what, hint=hint)
            team.share({"plan": plan.model_dump(mode="json"), "examples": EXAMPLES.dump_python(list(examples), mode="json")})
            yield team, device
        finally:
            team.close()
        for process in started:
            with suppress(subprocess.TimeoutExpired):  # the adapter is written: one that hangs is killed, and no failure
                process.wait(timeout=EXIT_SECONDS)
    finally:
        for process in started:
            process.kill()  # of one that ended already this is nothing
            process.wait()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _check_devices(processes: int, settings: Settings) -> None:
    if pick_device(settings.device).type == "cuda" and processes > (there := torch.cuda.device_count()):
        what = f"The plan has {processes} processes, and this machine has GPUs for {there}."
        raise BadPlan(what, hint=f"Give --processes {there} or less.")


def _join_watching(started: Sequence[subprocess.Popen[bytes]], settings: Settings) -> tuple[Team, torch.device]:
    """`_join`, but at the end of a helper that did not come, which no wait in torch would notice.

    Raises:
        JobError: one ended, or they did not come in time.
    """
    met: list[Team] = []
    failed: list[BaseException] = []
    device = _place(settings)

    def meet() -> None:
        try:
            met.append(ProcessTeam(device=device, wait_seconds=NEAR_SECONDS))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            failed.append(error)

    waiting = threading.Thread(target=meet, daemon=True)
    waiting.start()
    while waiting.is_alive():
        waiting.join(LOOK_SECONDS)
        for rank, process in enumerate(started, start=1):
            if waiting.is_alive() and (status := process.poll()) is not None:
                raise JobError(
                    f"Helper {rank} of {len(started)} ended with status {status} before the training began.",
                    hint="The end of this run's log has its reason.",
                )
    if failed:
        raise failed[0]
    return met[0], device


def _start(processes: int, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Start all but the first on this machine, one a turn; their output goes where ours goes."""
    with socket.socket() as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": HERE, "MASTER_PORT": str(port)}
    told = {
        "TERCET_WORKSPACE": str(settings.workspace),
        "TERCET_MODELS_FOLDER": str(settings.models_folder),
        "TERCET_DEVICE": settings.device,
    }
    os.environ.update({**shared, "RANK": "0", "LOCAL_RANK": "0"})
    for rank in range(1, processes):
        environment = {**os.environ, **told, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        command = [sys.executable, "-m", HELPER]
        yield subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=PROJECT_FOLDER, env=environment)  # noqa: S603 - nothing from outside


def _join(settings: Settings) -> tuple[Team, torch.device]:
    """Meet the others, however long they take to come."""
    device = _place(settings)
    return ProcessTeam(device=device, wait_seconds=WAIT_SECONDS), device


def _place(settings: Settings) -> torch.device:
    """Each process of a host has a GPU or its share of the CPU's cores."""
    local, beside = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    device = pick_device(settings.device)
    if device.type == "cuda":
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    torch.set_num_threads(settings.threads or max(1, (os.cpu_count() or 1) // beside))
    return device


def help_train(settings: Settings) -> None:
    """Do this process's part of the training that the first process leads.

    Raises:
        WorkbenchError: as the first process does.
    """
    from core.training.run import follow  # which imports this module

    team, device = _join(settings)
    try:
        told = team.share(None)
        plan = TrainingPlan.model_validate(told["plan"])
        follow(plan, EXAMPLES.validate_python(told["examples"], strict=False), settings, team=team, device=device)
    finally:
        team.close()


def main() -> None:
    """A helper's whole life; the exit status says whether it ended well."""
    try:
        help_train(Settings())
    except WorkbenchError as error:
        sys.exit(f"Helper {os.environ.get('RANK')}: {error.message}")


if __name__ == "__main__":
    main()
