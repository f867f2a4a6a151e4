"""sentence-transformers, in turns: encode passages, or train step by step with its own trainer and its cached loss.

The errand: `work` ("encode" | "train"), `model` (a folder), `threads`, and what that work needs. Knows nothing of Tercet.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rounds import Turn
from sentence_transformers import SentenceTransformer


def main() -> None:
    """Run the errand."""
    turn = Turn()
    torch.set_num_threads(turn.errand["threads"])
    (encode if turn.errand["work"] == "encode" else train)(turn)


def encode(turn: Turn) -> None:
    """Errand: texts, model, precision. A turn: {"texts": how many, "batch_size", "save": path of an .npy or null}."""
    errand = turn.errand
    model = SentenceTransformer(errand["model"], device=errand["device"], model_kwargs={"dtype": getattr(torch, errand["precision"])})
    turn.answer(ready=True)
    while (wanted := turn.wait()) is not None:
        texts = errand["texts"][: wanted["texts"]]
        started = time.perf_counter()
        vectors = model.encode(texts, batch_size=wanted["batch_size"], convert_to_tensor=True, normalize_embeddings=True)
        found = vectors.float().cpu().numpy()
        seconds = time.perf_counter() - started
        if wanted.get("save"):
            np.save(wanted["save"], found / np.linalg.norm(found, axis=1, keepdims=True))  # it normalises in the model's precision
        turn.answer(seconds=seconds)


def train(turn: Turn) -> None:
    """Errand: rows (query, positive, negative), prompts (one a row), and the plan's numbers. A turn is one step."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss
    from torch.utils.data import SequentialSampler
    from transformers import TrainerCallback

    errand = turn.errand

    class InTurns(TrainerCallback):
        """Waits before each step, tells after it. Its clock starts when the batch is there already."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if turn.wait() is None:
                raise SystemExit
            self.started = time.perf_counter()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            if logs and "loss" in logs:
                turn.answer(seconds=self.seconds, loss=logs["loss"], gradient_norm=logs.get("grad_norm"))

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if errand["device"].startswith("cuda"):
                torch.cuda.synchronize()
            self.seconds = time.perf_counter() - self.started

    def in_order(dataset: Any, batch_size: int, drop_last: bool, **_: Any) -> DefaultBatchSampler:
        return DefaultBatchSampler(SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last)

    model = adapted(errand)
    rows = errand["rows"]
    data = Dataset.from_dict({name: [row[i] for row in rows] for i, name in enumerate(("anchor", "positive", "negative"))})
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=errand["rates"][0], betas=tuple(errand["betas"]), weight_decay=errand["weight_decay"])
    rates = [rate / errand["rates"][0] for rate in errand["rates"]]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rates[min(step, len(rates) - 1)])
    loss = CachedMultipleNegativesRankingLoss(model, scale=1 / errand["temperature"], mini_batch_size=errand["mini_batch_size"])
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            folder,
            per_device_train_batch_size=errand["batch_size"],
            max_steps=len(errand["rates"]),
            max_grad_norm=errand["max_gradient_norm"],
            bf16=errand["autocast"],
            use_cpu=errand["device"] == "cpu",
            batch_sampler=in_order,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_drop_last=True,
        )
        trainer = SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=data, loss=loss, optimizers=(optimizer, schedule), callbacks=[InTurns()]
        )
        turn.answer(ready=True, tunable=sum(p.numel() for p in parameters))
        trainer.train()


def adapted(errand: dict[str, Any]) -> SentenceTransformer:
    """The model with the same fresh adapter as the other side's: LoRA matrices from its file."""
    from peft import LoraConfig
    from safetensors.torch import load_file

    settings = {"dtype": getattr(torch, errand["precision"]), "attn_implementation": errand["attention"]}
    model = SentenceTransformer(errand["model"], device=errand["device"], model_kwargs=settings)
    given = load_file(Path(errand["adapter"]) / "adapter_model.safetensors")
    config = LoraConfig(
        r=errand["lora_rank"],
        lora_alpha=errand["lora_alpha"],
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="FEATURE_EXTRACTION",
    )
    model.add_adapter(config)
    with torch.no_grad():
        for name, parameter in model[0].auto_model.named_parameters():
            if parameter.requires_grad:
                parameter.data = given["base_model.model." + name.replace(".default", "")].to(parameter.device).float()
    return model


if __name__ == "__main__":
    main()
