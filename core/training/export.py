"""A tuned model as a folder others can use.

The adapter is copied without torch; merging loads the model, about 10 s for the embedded one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.domain.dataset import DatasetVersion
from core.domain.encoder import EMBEDDED_BASE, GENERAL_TASK, EncoderSpec, instructed_query
from core.domain.jobs import Job
from core.encoder.files import ADAPTER_SETTINGS
from core.errors import BadInput
from core.settings import Settings
from core.storage.artifacts import read_json, sha256_of, write_json, write_text
from core.storage.database import translated_errors
from core.training.averaging import ADAPTER_WEIGHTS, average
from core.training.model_card import ReportedScore, model_card, public_name

STAGES = ("load the base", "merge the adapter", "write the weights", "write the card")


class ExportForm(StrEnum):
    """What is written."""

    ADAPTER = "adapter"  # peft's layout
    MODEL = "model"  # merged safetensors, for transformers and sentence-transformers


def export_model(  # noqa: PLR0913 - what, where to, in which form, and whom to tell
    job: Job,
    version: DatasetVersion,
    settings: Settings,
    folder: Path,
    *,
    form: ExportForm = ExportForm.MODEL,
    steps: Sequence[int] = (),
    scores: Sequence[ReportedScore] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write a run's model to `folder`, which must be new or empty; it appears whole or not at all.

    Args:
        job: A training run with a result.
        version: What it was trained on.
        settings: Where base models are.
        folder: Where to.
        form: Adapter, or merged model.
        steps: Checkpoints to average in place of the run's own end.
        scores: For the model card.
        tell: Called with each of `STAGES` when it begins (an adapter has the last one only).

    Raises:
        BadInput: see `check_target`, or the adapter was changed since its run ended.
        ModelNotFound, ModelUnusable, WorkspaceDamaged: see core.encoder and core.training.averaging.
    """
    folder = check_target(job, folder, form)
    spec = EncoderSpec.from_dict(job.result["encoder"])
    temporary = folder.with_name(f".{folder.name}.tmp")
    with translated_errors():
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    try:
        spec = _adapter(job, spec, temporary / "adapter", steps)
        merged = form is ExportForm.MODEL
        content, dtype = _merged(spec, settings, temporary / "model", tell) if merged else (_published(spec, temporary / "adapter"), "")
        tell(STAGES[-1])
        write_text(content / "README.md", model_card(job, spec, version, scores, merged_into=dtype, steps=steps))
        with translated_errors():
            if folder.exists():
                folder.rmdir()
            content.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"folder": str(folder), "form": form.value, "averaged_steps": sorted(steps), "bytes": size, "adapter_sha256": spec.adapter_hash}


def check_target(job: Job, folder: Path, form: ExportForm) -> Path:
    """The folder with its whole path, where a run's model may be written.

    Raises:
        BadInput: something lies in `folder`, it is a file, or the model is bidirectional and no other program would use it that way.
    """
    folder = folder.expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file.", hint="Give a new folder.")
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"There is something in {folder} already.", hint="Give a new folder.")
    if form is ExportForm.MODEL and EncoderSpec.from_dict(job.result["encoder"]).bidirectional:
        what = "A model whose attention goes both ways would be read one way by other programs, without a word."
        raise BadInput(what, hint=f"Use it in Tercet, as run:{job.id}.")
    return folder


def _adapter(job: Job, spec: EncoderSpec, target: Path, steps: Sequence[int]) -> EncoderSpec:
    source = Path(spec.adapter or "")
    if steps:
        digest = average(job.folder / "checkpoints", steps, adapter=source, target=target)
    else:
        with translated_errors():
            shutil.copytree(source, target)
        digest = sha256_of(target / ADAPTER_WEIGHTS)
        if digest != spec.adapter_hash:
            raise BadInput(f"The adapter of {job.id} was changed since its run ended.", hint="Resume or repeat the run.")
    return replace(spec, adapter=str(target), adapter_hash=digest)


def _published(spec: EncoderSpec, folder: Path) -> Path:
    """The adapter with the base named as others know it, and without folders of this machine."""
    base = public_name(spec.base)
    ours = {"base": spec.base if spec.base == EMBEDDED_BASE else base, "adapter": None}
    for name, changes in (("adapter_config.json", {"base_model_name_or_path": base}), (ADAPTER_SETTINGS, ours)):
        if (known := read_json(folder / name)) is not None:
            write_json(folder / name, {**known, **changes})
    return folder


def _merged(spec: EncoderSpec, settings: Settings, target: Path, tell: Callable[[str], None]) -> tuple[Path, str]:
    """The folder written, and the precision the base's own files are in ("float32" where they do not say, as torch takes it)."""
    import torch

    from core.encoder.base_shape import BaseShape
    from core.encoder.language_model import load_base, with_adapter
    from core.encoder.open_encoder import resolve_base
    from core.encoder.sentence_folder import write_sentence_folder

    loading, merging, writing, _ = STAGES
    tell(loading)
    source = resolve_base(spec.base, settings)
    known = read_json(Path(source) / "config.json") or {}
    model, tokenizer = load_base(source, dtype=torch.float32, shape=BaseShape(layers=spec.layers))
    prompts = {"query": instructed_query(GENERAL_TASK, "") if spec.instructed else "", "document": ""}
    tell(merging)
    tuned = with_adapter(model, spec)
    tell(writing)
    target.mkdir()
    write_sentence_folder(tuned, tokenizer, spec, target, prompts=prompts)
    return target, str(known.get("dtype") or known.get("torch_dtype") or "float32")
