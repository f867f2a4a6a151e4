"""Everything a run needs to go on as if it had never stopped: adapter, optimizer, random state, step.

Tensors lie in safetensors, the rest in JSON; nothing is pickled.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from core.errors import WorkspaceDamaged
from core.storage.artifacts import read_json, sha256_of, write_json
from core.storage.database import translated_errors
from core.training.adapters import trainable
from core.training.gradients import random_states, set_random_states

Parameter = torch.nn.Parameter
KEPT = 2
MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was restored."""

    step: int  # steps done
    facts: dict[str, Any]  # small JSON values of the loop: first loss, seconds so far, …


class CheckpointFolder:
    """The newest checkpoints of one run. A folder appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(
        self,
        model: Any,
        optimizer: torch.optim.Optimizer,
        *,
        step: int,
        facts: dict[str, Any],
        others: Mapping[str, Parameter] | None = None,
    ) -> Path:
        """Write the state after `step` steps, then drop all but the newest two. `others`: what is trained beside the adapter, by name.

        Raises:
            DiskFull, StorageError: the checkpoints that were there still are.
        """
        target = self._folder / f"step-{step:06d}"
        temporary = self._folder / f".step-{step:06d}.tmp"
        parameters = trainable(model)
        more = dict(others or {})
        moments = {
            f"{name}|{moment}": optimizer.state[parameter][moment].contiguous()
            for name, parameter in {**parameters, **more}.items()
            for moment in MOMENTS
            if parameter in optimizer.state
        }
        moments |= {f"{name}|value": parameter.detach().cpu().clone() for name, parameter in more.items()}
        moments |= {f"random|{device}": state for device, state in random_states().items()}
        with translated_errors():
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            weights = {name: parameter.detach().cpu().contiguous() for name, parameter in parameters.items()}
            save_file(weights, temporary / "adapter.safetensors")
            save_file(moments, temporary / "optimizer.safetensors")
            sums = {name: sha256_of(temporary / name) for name in ("adapter.safetensors", "optimizer.safetensors")}
            write_json(temporary / "state.json", {"step": step, "facts": facts, "sha256": sums})
            shutil.rmtree(target, ignore_errors=True)
            temporary.rename(target)
            for old in self._all()[:-KEPT]:
                shutil.rmtree(old, ignore_errors=True)
        return target

    def restore(self, model: Any, optimizer: torch.optim.Optimizer, *, others: Mapping[str, Parameter] | None = None) -> Checkpoint | None:
        """Put the newest whole checkpoint into model, optimizer and random state; None where there is none.

        Raises:
            WorkspaceDamaged: there are checkpoints and none can be read.
        """
        folders = self._all()
        for folder in reversed(folders):
            state = read_json(folder / "state.json")
            if state and all((folder / n).is_file() and sha256_of(folder / n) == digest for n, digest in state["sha256"].items()):
                self._load(folder, model, optimizer, others or {})
                return Checkpoint(int(state["step"]), state["facts"])
        if folders:
            raise WorkspaceDamaged(f"No checkpoint in {self._folder} can be read.", hint="Start the run again with `clone`.")
        return None

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("step-*")) if self._folder.is_dir() else []

    @staticmethod
    def _load(folder: Path, model: Any, optimizer: torch.optim.Optimizer, others: Mapping[str, Parameter]) -> None:
        try:
            weights, moments = load_file(folder / "adapter.safetensors"), load_file(folder / "optimizer.safetensors")
        except SafetensorError as error:
            raise WorkspaceDamaged(f"The checkpoint {folder.name} cannot be read.", hint="Start the run again with `clone`.") from error
        values = weights | {name: moments[f"{name}|value"] for name in others}
        for name, parameter in {**trainable(model), **others}.items():
            with torch.no_grad():
                parameter.copy_(values[name])
            optimizer.state[parameter] = {
                moment: moments[f"{name}|{moment}"].to(parameter.device if moment != "step" else "cpu")
                for moment in MOMENTS
                if f"{name}|{moment}" in moments
            }
        set_random_states({name.removeprefix("random|"): state for name, state in moments.items() if name.startswith("random|")})
