"""The other processes of a training: started by the job itself, or by torchrun on one or several hosts.

Run as a module, this is such a process: it waits for the first one, gets plan and triples from it, and works along until the end.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from pydantic import TypeAdapter

from core.domain.dataset import Example
from core.domain.plans import TrainingPlan
from core.encoder.language_model import pick_device
from core.errors import BadPlan, WorkbenchError
from core.settings import PROJECT_FOLDER, Settings
from core.training.team import ALONE, WAIT_SECONDS, ProcessTeam, Team, in_environment

EXIT_SECONDS = 60.0
NEAR_SECONDS = 600.0  # to wait for a process this one started itself
EXAMPLES: TypeAdapter[list[Example]] = TypeAdapter(list[Example])
HERE = "127.0.0.1"


@contextmanager
def enlist(plan: TrainingPlan, examples: Sequence[Example], settings: Settings) -> Iterator[tuple[Team, torch.device]]:
    """The team of the plan's processes, told what to train on, and this process's device; without helpers it is this one alone.

    Raises:
        BadPlan: torchrun started another number of processes than the plan has.
        JobError: a process did not come, or ended.
    """
    if plan.processes == 1 and not in_environment():
        yield ALONE, pick_device(settings.device)
        return
    started = [] if in_environment() else _start(plan.processes, settings)
    try:
        team, device = _join(settings, wait_seconds=NEAR_SECONDS if started else WAIT_SECONDS)
        try:
            if team.size != plan.processes:
                what = f"The plan has {plan.processes} processes, and {team.size} were started."
                raise BadPlan(what, hint="Give --processes the number that torchrun starts in all.")
            team.share({"plan": plan.model_dump(mode="json"), "examples": EXAMPLES.dump_python(list(examples), mode="json")})
            yield team, device
        finally:
            team.close()
        for process in started:
            process.wait(timeout=EXIT_SECONDS)
    finally:
        for process in started:
            process.kill()  # of one that ended already this is nothing
            process.wait()
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if started else ():
            os.environ.pop(name, None)


def _start(processes: int, settings: Settings) -> list[subprocess.Popen[bytes]]:
    """Start all but the first on this machine; their output goes where ours goes."""
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
    return [
        subprocess.Popen(
            [sys.executable, "-m", "core.training.helpers"],
            stdin=subprocess.DEVNULL,
            cwd=PROJECT_FOLDER,
            env={**os.environ, **told, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(1, processes)
    ]


def _join(settings: Settings, *, wait_seconds: float = WAIT_SECONDS) -> tuple[Team, torch.device]:
    """Meet the others. Each process of a host has a GPU or its share of the CPU's cores."""
    local, beside = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    device = pick_device(settings.device)
    if device.type == "cuda":
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    torch.set_num_threads(settings.threads or max(1, (os.cpu_count() or 1) // beside))
    return ProcessTeam(device=device, wait_seconds=wait_seconds), device


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
