"""Checkpoints of one run averaged into an adapter of its own (Wortsman et al. 2022, model soups, along one run). Loads no torch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from core.errors import BadInput, WorkspaceDamaged
from core.storage.artifacts import read_json, sha256_of
from core.storage.database import translated_errors

CHECKPOINT_WEIGHTS = "adapter.safetensors"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_PART = ".default."  # peft's name of the adapter inside a model; its files leave it out


def steps_kept(checkpoints: Path) -> list[int]:
    """Steps whose checkpoints lie in a run's folder, oldest first."""
    return sorted(int(folder.name.removeprefix("step-")) for folder in checkpoints.glob("step-*"))


def average(checkpoints: Path, steps: Sequence[int], *, adapter: Path, target: Path) -> str:
    """Write to `target` the run's adapter with its weights replaced by the mean of some checkpoints'; returns their SHA-256.

    A and B are averaged each for itself. That is not the mean of their products; between checkpoints of one run, which start from the
    same A, the difference is of second order, and between runs it would be nonsense, so it is not offered.

    Raises:
        BadInput: fewer than two steps, or one without a checkpoint.
        WorkspaceDamaged: a checkpoint cannot be read, or is not what was written.
    """
    wanted, kept = sorted(set(steps)), steps_kept(checkpoints)
    if len(wanted) < 2 or not set(wanted) <= set(kept):
        told = ", ".join(map(str, kept)) or "none"
        raise BadInput("An average needs two checkpoints or more that are kept.", hint=f"Steps with a checkpoint: {told}.")
    total: dict[str, np.ndarray] = {}
    for step in wanted:
        for name, values in _weights(checkpoints / f"step-{step:06d}").items():
            total[name] = total.get(name, 0) + values.astype(np.float64)
    mean = {name.replace(ADAPTER_PART, "."): (values / len(wanted)).astype(np.float32) for name, values in total.items()}
    with translated_errors():
        shutil.copytree(adapter, target, dirs_exist_ok=True)
        save_file(mean, target / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    return sha256_of(target / ADAPTER_WEIGHTS)


def _weights(folder: Path) -> dict[str, np.ndarray]:
    path = folder / CHECKPOINT_WEIGHTS
    state = read_json(folder / "state.json")
    try:
        if state and sha256_of(path) == state["sha256"][CHECKPOINT_WEIGHTS]:
            found: dict[str, np.ndarray] = load_file(path)
            return found
    except SafetensorError:
        pass
    raise WorkspaceDamaged(f"The checkpoint {folder.name} cannot be read.", hint="Choose others.")
