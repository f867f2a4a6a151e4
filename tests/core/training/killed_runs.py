"""Trains in forks of this process and kills them: `killed_runs.py BASE FOLDER KILLS` prints one JSON object.

A process of its own, so that no thread of torch is there when it forks.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import peft  # noqa: F401 - imported once, before the forks
import torch
import transformers  # noqa: F401

from core.training.adapters import trainable
from tests.core.training.runs import make_trainer

STEPS = 40


def train(base: Path, folder: Path) -> None:
    """To the end, from the newest checkpoint; then the hash of all adapter weights."""
    torch.set_num_threads(1)
    trainer = make_trainer(base, folder / "checkpoints", steps=STEPS, checkpoint_every=2, lora_dropout=0.1)
    for _ in trainer.train(stop_requested=lambda: False):
        pass
    digest = hashlib.sha256()
    for parameter in trainable(trainer.encoder.model).values():
        digest.update(parameter.detach().numpy().tobytes())
    (folder / "digest").write_text(digest.hexdigest())


def forked(base: Path, folder: Path) -> int:
    """Process that trains."""
    folder.mkdir(exist_ok=True)
    if pid := os.fork():
        return pid
    try:
        train(base, folder)
    finally:
        os._exit(0 if (folder / "digest").exists() else 1)


def finished(base: Path, folder: Path) -> str:
    """Hash of a run that nobody kills."""
    os.waitpid(forked(base, folder), 0)
    return (folder / "digest").read_text()


def killed(base: Path, folder: Path, delay_seconds: float) -> str:
    """The last step of which the killed run left a checkpoint; a run that was over before its moment is tried again, earlier."""
    while True:
        pid = forked(base, folder)
        time.sleep(delay_seconds)
        os.kill(pid, signal.SIGKILL)
        if os.WIFSIGNALED(os.waitpid(pid, 0)[1]) and not (folder / "digest").exists():
            break
        folder = folder.rename(folder.with_name(f"{folder.name}-whole-{delay_seconds:.4f}")).with_name(folder.name)
        delay_seconds *= 0.7
    kept = sorted(path.name for path in (folder / "checkpoints").glob("step-*"))
    return kept[-1] if kept else "none"


def main() -> None:
    """Kill, resume, compare."""
    base, folder, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    finished(base, folder / "warming")  # files are in the page cache
    started = time.monotonic()
    whole = finished(base, folder / "whole")
    took = time.monotonic() - started
    draw = random.Random(5)
    found = []
    for number in range(kills):
        left = killed(base, folder / f"run-{number}", draw.uniform(0.05, 0.95) * took)
        found.append({"checkpoint": left, "same": finished(base, folder / f"run-{number}") == whole})
    print(json.dumps(found))  # noqa: T201 - for the test that started it


if __name__ == "__main__":
    main()
