"""How fast an index's passages become vectors: Tercet beside sentence-transformers, with the same decoder and the same vectors.

Claim (issue 5): at least 1.3 times the passages a second on a CPU, 20,000 passages. Both read the folder Tercet exports, in
the same precision, and work in turns in one run, each first in every other round. sentence-transformers gets the batch size that is best
for it of a few, found on some of the passages first; Tercet goes the way of an index job, with its cache of vectors on disk.

sentence-transformers is not part of the project's environment: `make bench-peers` gives it one of its own, or name a python that has it
with `--peers`. Without one its figures are null.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.peers.rounds import Contestant
from bench.peers.texts import passages
from bench.peers.versions import OFFLINE, versions_of
from core.domain.encoder import EMBEDDED_BASE, EncoderSpec
from core.encoder.language_model import load_base, pick_device, pick_dtype
from core.encoder.open_encoder import resolve_base
from core.encoder.sentence_folder import write_sentence_folder
from core.settings import PROJECT_FOLDER, Settings

BATCH_SIZES = (4, 8, 16, 32, 64)
TRIED_PASSAGES = 256  # on which the peer's batch size is chosen
OURS, THEIRS = "tercet", "sentence_transformers"


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="the last line is JSON either way")
    parser.add_argument("--peers", type=Path, default=PROJECT_FOLDER / ".bench-encoders" / "bin" / "python", help="a python that has it")
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-length", type=int, default=256, help="tokens a passage")
    parser.add_argument("--base", default=EMBEDDED_BASE)
    asked = parser.parse_args()
    versions = versions_of(asked.peers)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        errand = prepared(folder / "model", asked.base, asked.max_length, passages(asked.passages))
        field = {OURS: [sys.executable, "-m", "bench.peers.with_tercet"]}
        if versions:
            field[THEIRS] = [asked.peers.absolute(), PROJECT_FOLDER / "bench" / "peers" / "with_sentence_transformers.py"]
        runners = {
            name: stack.enter_context(closing(Contestant(command, errand, folder=folder / name, environment=OFFLINE)))
            for name, command in field.items()
        }
        for runner in runners.values():
            runner.hear()  # loaded
        print(json.dumps({**race(runners, asked.passages, asked.rounds, folder), "versions": versions}))


def prepared(folder: Path, base: str, max_length: int, texts: list[str]) -> dict[str, Any]:
    """The base as a folder both sides read, and the work."""
    settings = Settings()
    device = pick_device(settings.device)
    dtype = pick_dtype(device)
    model, tokenizer = load_base(resolve_base(base, settings), dtype=dtype)
    folder.mkdir()
    write_sentence_folder(model, tokenizer, EncoderSpec(base=base, max_length=max_length), folder, prompts={})
    return {
        "work": "encode",
        "model": str(folder),
        "texts": texts,
        "max_length": max_length,
        "threads": settings.threads or torch.get_num_threads(),
        "device": str(device),
        "precision": str(dtype).removeprefix("torch."),
    }


def race(runners: dict[str, Contestant], count: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Rounds in alternating order; medians, and how far the vectors are apart."""
    orders = {OURS: 0}
    if THEIRS in runners:
        tried = min(TRIED_PASSAGES, count)
        seconds = {size: runners[THEIRS].ask(texts=tried, batch_size=size)["seconds"] for size in BATCH_SIZES}
        orders[THEIRS] = min(seconds, key=lambda size: seconds[size])
        print("sentence-transformers, seconds by batch size:", {size: round(s, 2) for size, s in seconds.items()})
    runners[OURS].ask(texts=min(TRIED_PASSAGES, count))  # warm, as the peer is
    took: dict[str, list[float]] = {name: [] for name in runners}
    busy: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(rounds):
        for name in list(runners)[:: 1 if number % 2 == 0 else -1]:
            found = runners[name].ask(texts=count, batch_size=orders[name], save=str(folder / f"{name}.npy"))
            took[name].append(found["seconds"])
            busy[name].append(found["processor_seconds"])
            print(f"round {number + 1}: {name} {found['seconds']:.1f} s, peak {found['peak_bytes'] / 1e9:.2f} GB")
    ours = statistics.median(took[OURS])
    figures: dict[str, Any] = {
        "passages": count,
        "rounds": rounds,
        "passages_per_second": round(count / ours, 2),
        "seconds_median": round(ours, 2),
        "ratio_vs_sentence_transformers": None,
    }
    if THEIRS in runners:
        theirs = statistics.median(took[THEIRS])
        cosines = (np.load(folder / f"{OURS}.npy") * np.load(folder / f"{THEIRS}.npy")).sum(axis=1)
        figures |= {
            "ratio_vs_sentence_transformers": round(theirs / ours, 2),
            "ratio_by_round": [round(b / a, 2) for a, b in zip(took[OURS], took[THEIRS], strict=True)],
            "ratio_of_processor_time": round(statistics.median(busy[THEIRS]) / statistics.median(busy[OURS]), 2),
            "sentence_transformers_passages_per_second": round(count / theirs, 2),
            "sentence_transformers_batch_size": orders[THEIRS],
            "largest_cosine_difference": float(np.abs(1 - cosines).max()),
            "mean_cosine_difference": float(np.abs(1 - cosines).mean()),
        }
    return figures


if __name__ == "__main__":
    main()
