"""How fast a training step is, and how much memory it takes: Tercet beside sentence-transformers, on the same triples.

Claim (issue 5): at least 1.8 times the triples a second on two CPU cores, with equal loss curves. Both train the same fresh LoRA adapter on
the same base with the same batches, rates and clipping, and take their steps in turns in one run, each first every other step. The
triples have the paper's mix of groups and lengths (bench/peers/texts.py). sentence-transformers uses its trainer, its cached loss and the
setting that is best for it of a few (precision, mini-batch), found on one step each before; `--setting` skips that.

`share_of_matmul_rate` is what the linear layers' products need (forward 2, backward 2 operations a weight and token: frozen weights have no
gradient of their own) over what this machine multiplies a second at its best, measured beside. Gradient caching does the forward products
twice and is given no credit for it. Counting 6 operations, as for training of all weights, is `share_of_matmul_rate_as_if_all_trained`.

Losses differ by rounding: in bfloat16 a cosine is known to about 0.003, and the temperature of 0.02 multiplies that by 50.

sentence-transformers is not part of the project's environment: `make bench-peers` gives it one of its own, or name a python that has it
with `--peers`. Without one its figures are null.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import torch

from bench.peers.rounds import Contestant
from bench.peers.texts import triples
from bench.peers.versions import OFFLINE, versions_of
from core.domain.dataset import Example
from core.domain.encoder import EMBEDDED_BASE, EncoderSpec, instructed_query
from core.domain.plans import TrainingPlan
from core.encoder.language_model import load_base, pick_device, pick_dtype
from core.encoder.open_encoder import resolve_base
from core.encoder.sentence_folder import write_sentence_folder
from core.settings import PROJECT_FOLDER, Settings
from core.training.adapters import attach, save_adapter
from core.training.batches import order_of, training_rows
from core.training.loop import BETAS, learning_rate

OURS, THEIRS = "tercet", "sentence_transformers"
WARMING = 1  # steps whose time is not counted
# What is tried for the peer: (precision of the base, bfloat16 autocast, attention, mini-batch). float32 alone takes twice as long where
# the CPU multiplies bfloat16.
SETTINGS: dict[str, tuple[str, bool, str, int]] = {
    "bf16-8": ("bfloat16", True, "sdpa", 8),
    "bf16-16": ("bfloat16", True, "sdpa", 16),
    "bf16-32": ("bfloat16", True, "sdpa", 32),
    "bf16-16-eager": ("bfloat16", True, "eager", 16),
    "autocast-16": ("float32", True, "sdpa", 16),
}
MATMUL_SIZES = ((2048, 2048, 2048), (4096, 1536, 1536), (4096, 4096, 4096))  # the best of them counts


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="the last line is JSON either way")
    parser.add_argument("--peers", type=Path, default=PROJECT_FOLDER / ".bench-encoders" / "bin" / "python", help="a python that has it")
    parser.add_argument("--batch", type=int, default=64, help="triples a batch")
    parser.add_argument("--steps", type=int, default=3, help="counted ones; one more warms up")
    parser.add_argument("--max-length", type=int, default=128, help="tokens a text; the paper's is 512")
    parser.add_argument("--base", default=EMBEDDED_BASE)
    parser.add_argument("--setting", choices=sorted(SETTINGS), help="the peer's setting, instead of trying all on one step")
    asked = parser.parse_args()
    versions = versions_of(asked.peers)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        plan = plan_of(asked, folder / "model")
        examples = triples(asked.batch * plan.steps)
        errand = prepared(plan, examples, asked.base, folder)
        field = {OURS: stack.enter_context(closing(_start(OURS, [sys.executable, "-m", "bench.peers.with_tercet"], errand, folder)))}
        setting = None
        if versions:
            command = [asked.peers.absolute(), PROJECT_FOLDER / "bench" / "peers" / "with_sentence_transformers.py"]
            theirs = {**errand, "rows": reordered(plan, examples)}
            setting = asked.setting or best_setting(command, theirs, folder)
            field[THEIRS] = stack.enter_context(closing(_start(THEIRS, command, with_setting(theirs, setting), folder)))
        took = race(field, plan.steps)
        torch.set_num_threads(errand["threads"])  # as many as the contestants have
        rate = matmul_rate(getattr(torch, errand["precision"]), torch.device(errand["device"]))
        print(json.dumps({**figures_of(took, asked.batch, rate, errand), "setting": setting, "versions": versions}))


def plan_of(asked: argparse.Namespace, model: Path) -> TrainingPlan:
    """The paper's recipe, shortened: rank 16 on all layers, temperature 0.02, no dropout (it would draw other numbers on each side)."""
    steps = asked.steps + WARMING
    return TrainingPlan(
        dataset_version_id="bench",
        base_model=str(model),
        batch_size=asked.batch,
        max_length=asked.max_length,
        encode_length=asked.max_length,
        steps=steps,
        learning_rate=1e-3,
        warmup_steps=1,
        checkpoint_every=10_000,
    )


def prepared(plan: TrainingPlan, examples: Sequence[Example], base: str, folder: Path) -> dict[str, Any]:
    """Write the base and the fresh adapter, and say what is to be done."""
    settings = Settings()
    device = pick_device(settings.device)
    dtype = pick_dtype(device)
    model, tokenizer = load_base(resolve_base(base, settings), dtype=dtype)
    Path(plan.base_model).mkdir()
    write_sentence_folder(model, tokenizer, EncoderSpec(base=base, max_length=plan.max_length), Path(plan.base_model), prompts={})
    weights = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear))
    tuned = attach(model, rank=plan.lora_rank, alpha=plan.lora_alpha, dropout=0.0, base_name=plan.base_model, seed=plan.seed)
    save_adapter(tuned, folder / "adapter")
    return {
        "work": "train",
        "model": plan.base_model,
        "adapter": str(folder / "adapter"),
        "plan": plan.model_dump(mode="json"),
        "rows": [(e.texts.query, e.texts.positive, e.texts.negative) for e in examples],
        "tasks": [e.task for e in examples],
        "rates": [learning_rate(step, plan) for step in range(plan.steps)],
        "betas": BETAS,
        **plan.model_dump(include={"batch_size", "temperature", "weight_decay", "max_gradient_norm", "lora_rank", "lora_alpha"}),
        "threads": settings.threads or torch.get_num_threads(),
        "device": str(device),
        "precision": str(dtype).removeprefix("torch."),
        "linear_weights": weights,
    }


def reordered(plan: TrainingPlan, examples: Sequence[Example]) -> list[tuple[str, str, str | None]]:
    """Rows in the order Tercet draws them, with the instruction before the query: the peer takes them as they come."""
    order = order_of(training_rows(examples), plan)
    chosen = [examples[i] for step in range(plan.steps) for i in order.indices(step)]
    return [(instructed_query(e.task, e.texts.query), e.texts.positive, e.texts.negative) for e in chosen]


def with_setting(errand: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The errand in one of the peer's settings."""
    precision, autocast, attention, mini_batch = SETTINGS[name]
    if errand["precision"] == "float32":  # a machine without bfloat16
        precision, autocast = "float32", False
    return {**errand, "precision": precision, "autocast": autocast, "attention": attention, "mini_batch_size": mini_batch}


def best_setting(command: Sequence[str | Path], errand: Mapping[str, Any], folder: Path) -> str:
    """The setting whose second step is shortest, half a batch a step."""
    half = {**errand, "batch_size": errand["batch_size"] // 2}
    seconds: dict[str, float] = {}
    for name in SETTINGS:
        with closing(_start(f"try-{name}", command, with_setting(half, name), folder)) as runner:
            runner.ask()
            seconds[name] = runner.ask()["seconds"]
    print("sentence-transformers, seconds for half a batch by setting:", {name: round(s, 2) for name, s in seconds.items()})
    return min(seconds, key=lambda name: seconds[name])


def race(field: Mapping[str, Contestant], steps: int) -> dict[str, list[dict[str, Any]]]:
    """All steps of both, in turns."""
    took: dict[str, list[dict[str, Any]]] = {name: [] for name in field}
    for step in range(steps):
        for name in list(field)[:: 1 if step % 2 == 0 else -1]:
            found = field[name].ask()
            took[name].append(found)
            told = f"loss {found['loss']:.4f} {found['seconds']:7.2f} s, peak {found['peak_bytes'] / 1e9:.2f} GB"
            print(f"step {step + 1}: {name:22} {told}{' (warming)' if step < WARMING else ''}", flush=True)
    return took


def figures_of(took: Mapping[str, Sequence[Mapping[str, Any]]], batch: int, rate: float, errand: Mapping[str, Any]) -> dict[str, Any]:
    """Medians over the counted steps."""
    ours = took[OURS]
    seconds = {name: statistics.median(step["seconds"] for step in steps[WARMING:]) for name, steps in took.items()}
    tokens = statistics.median(step["tokens_per_second"] for step in ours[WARMING:])
    share = tokens * errand["linear_weights"] / rate
    figures: dict[str, Any] = {
        "triples_per_second": round(batch / seconds[OURS], 3),
        "tokens_per_second": round(tokens, 1),
        "peak_memory_gigabytes": round(ours[-1]["peak_bytes"] / 1e9, 2),
        "matmul_teraflops_measured": round(rate / 1e12, 3),
        "share_of_matmul_rate": round(4 * share, 3),
        "share_of_matmul_rate_as_if_all_trained": round(6 * share, 3),
        "batch": batch,
        "max_length": errand["plan"]["max_length"],
        "steps": len(ours) - WARMING,
        "ratio_vs_sentence_transformers": None,
        "peak_memory_ratio": None,
    }
    if theirs := took.get(THEIRS):
        gaps = [abs(a["loss"] - b["loss"]) for a, b in zip(ours, theirs, strict=True)]
        busy = {name: sum(step["processor_seconds"] for step in steps[WARMING:]) for name, steps in took.items()}
        figures |= {
            "ratio_vs_sentence_transformers": round(seconds[THEIRS] / seconds[OURS], 2),
            "ratio_by_step": [round(b["seconds"] / a["seconds"], 2) for a, b in zip(ours, theirs, strict=True)][WARMING:],
            "ratio_of_processor_time": round(busy[THEIRS] / busy[OURS], 2),
            "peak_memory_ratio": round(ours[-1]["peak_bytes"] / theirs[-1]["peak_bytes"], 2),  # below 1: Tercet needs less
            "sentence_transformers_triples_per_second": round(batch / seconds[THEIRS], 3),
            "loss_last": round(ours[-1]["loss"], 4),
            "sentence_transformers_loss_last": round(theirs[-1]["loss"], 4),
            "largest_loss_difference": round(max(gaps), 4),
        }
    return figures


def matmul_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of the best matrix product of a few sizes, median of five."""
    best = 0.0
    for rows, inner, columns in MATMUL_SIZES:
        a, b = torch.randn(rows, inner, device=device).to(dtype), torch.randn(inner, columns, device=device).to(dtype)
        seconds = []
        for _ in range(6):
            started = time.perf_counter()
            float((a @ b)[0, 0])  # reading one number waits for a GPU
            seconds.append(time.perf_counter() - started)
        best = max(best, 2 * rows * inner * columns / statistics.median(seconds[1:]))
    return best


def _start(name: str, command: Sequence[str | Path], errand: Mapping[str, Any], folder: Path) -> Contestant:
    runner = Contestant(command, errand, folder=folder / name, environment=OFFLINE)
    runner.hear()  # loaded
    return runner


if __name__ == "__main__":
    main()
