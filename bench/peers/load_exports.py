"""One library, asked to load the export that is written for it; it says what it read. Knows nothing of Tercet.

The errand: `library` (a key of READERS), `folder` (an export, or for datasets one export a format) and `scratch` (for caches).
The answer: `version` (null where it is not installed), `read`, the rows as it holds them, and what else it did with them.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rounds import Turn

INSTRUCTED = "Instruct: {}\nQuery: {}"  # as the README of the exports says
LONGEST = 1_000_000  # tokens of a byte each: nothing is cut off
STEPS = 3

Read = list[list[str | None]]  # query, positive, negative
Answer = dict[str, Any]


def main() -> None:
    """Run the errand."""
    turn = Turn()
    library, folder, scratch = turn.errand["library"], Path(turn.errand["folder"]), Path(turn.errand["scratch"])
    try:
        found = version(library)
    except PackageNotFoundError:
        turn.answer(version=None)
        return
    turn.answer(version=found, **READERS[library](folder, scratch))


def by_datasets(folder: Path, scratch: Path) -> Answer:
    """Every format whose files `load_dataset` reads by itself, both sides of the split together."""
    from datasets import load_dataset

    read: dict[str, Read] = {}
    for kind, builder in (("jsonl", "json"), ("csv", "csv"), ("parquet", "parquet")):
        data = load_dataset(builder, data_files=str(folder / kind / f"triples.{kind}"), split="train", cache_dir=str(scratch))
        read[kind] = [[row["query"], row["positive"], row["negative"]] for row in data]
    sides = load_dataset(str(folder / "hugging-face"), cache_dir=str(scratch))
    read["hugging-face"] = [[row["query"], row["positive"], row["negative"]] for side in sides.values() for row in side]
    return {"read": read, "splits": {name: len(side) for name, side in sides.items()}}


def by_sentence_transformers(folder: Path, scratch: Path) -> Answer:
    """A dataset for each file; the trainer takes steps on the triplets and on the pairs."""
    from datasets import load_dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    files = sorted(folder.rglob("*.jsonl"))
    loaded = {path: load_dataset("json", data_files=str(path), split="train", cache_dir=str(scratch)) for path in files}
    read = [[row["anchor"], row["positive"], row.get("negative")] for data in loaded.values() for row in data]
    model = SentenceTransformer(str(tiny_model(scratch / "model")), device="cpu")
    losses: dict[str, float] = {}
    for side in ("train", "train-pairs"):
        arguments = SentenceTransformerTrainingArguments(
            str(scratch / side), per_device_train_batch_size=4, max_steps=STEPS, logging_steps=STEPS, use_cpu=True,
            save_strategy="no", report_to=[], disable_tqdm=True,
        )  # fmt: skip
        train = {path.stem: data for path, data in loaded.items() if path.parent.name == side}
        trainer = SentenceTransformerTrainer(model=model, args=arguments, train_dataset=train, loss=MultipleNegativesRankingLoss(model))
        trainer.train()
        losses[side] = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
    return {"read": read, "steps": STEPS, "losses": losses}


def by_flagembedding(folder: Path, scratch: Path) -> Answer:
    """Its dataset for single rows, and the one that makes batches of one file each, with its collator."""
    from FlagEmbedding.abc.finetune.embedder import (
        AbsEmbedderDataArguments,
        AbsEmbedderSameDatasetCollator,
        AbsEmbedderSameDatasetTrainDataset,
        AbsEmbedderTrainDataset,
    )

    tokenizer = tiny_tokenizer()
    read: Read = []
    batches: dict[str, int] = {}
    for side in sorted(path for path in folder.iterdir() if path.is_dir()):
        size = 1 if side.name.endswith("-pairs") else 2
        given = {"train_group_size": size, "query_instruction_for_retrieval": "", "query_instruction_format": INSTRUCTED}
        given |= {"cache_path": str(scratch), "query_max_len": LONGEST, "passage_max_len": LONGEST}
        rows = AbsEmbedderTrainDataset(AbsEmbedderDataArguments(train_data=[str(side)], **given), tokenizer)
        read += [[query, *passages, *([None] * (2 - size))] for query, passages, _ in (rows[i] for i in range(len(rows)))]
        files = [str(path) for path in sorted(side.glob("*.jsonl"))]
        together = AbsEmbedderSameDatasetTrainDataset(AbsEmbedderDataArguments(train_data=files, **given), 4, 0, tokenizer)
        collate = AbsEmbedderSameDatasetCollator(tokenizer=tokenizer, query_max_len=LONGEST, passage_max_len=LONGEST, return_tensors="pt")
        for i in range(len(together)):
            batch = collate([together[i]])
            queries, passages = (len(batch[name]["input_ids"]) for name in ("queries", "passages"))
            if passages != size * queries:
                raise ValueError(f"{side.name}: {passages} passages for {queries} queries")
            kind = "without in-batch negatives" if batch["no_in_batch_neg_flag"] else "with in-batch negatives"
            batches[kind] = batches.get(kind, 0) + 1
    return {"read": read, "batches": batches}


def by_tevatron(folder: Path, scratch: Path) -> Answer:
    """Its dataset with its preprocessor: texts become tokens of one byte each, which are read back."""
    from tevatron.arguments import DataArguments
    from tevatron.datasets import HFTrainDataset

    tokenizer = tiny_tokenizer()
    read: Read = []
    for side in sorted(path for path in folder.iterdir() if path.is_dir()):
        asked = DataArguments(train_dir=str(side), dataset_proc_num=1, q_max_len=LONGEST, p_max_len=LONGEST)
        asked.dataset_name = str(side)  # after its check, which takes a path of three parts for a hub's
        for row in HFTrainDataset(tokenizer, asked, str(scratch)).process():
            texts = [tokenizer.decode(ids) for ids in (row["query"], *row["positives"], *row["negatives"])]
            read.append([*texts, *([None] * (3 - len(texts)))])
    return {"read": read}


def by_beir(folder: Path, scratch: Path) -> Answer:
    """Its loader for each split, and its evaluation of a ranking that follows the judgements: nDCG@10 is 1 where all is in order."""
    from beir.datasets.data_loader import GenericDataLoader
    from beir.retrieval.evaluation import EvaluateRetrieval

    read: list[list[Any]] = []
    ndcg: dict[str, float] = {}
    for path in sorted((folder / "qrels").glob("*.tsv")):
        corpus, queries, qrels = GenericDataLoader(str(folder)).load(split=path.stem)
        read += [[queries[q], corpus[d]["text"], grade] for q, judged in qrels.items() for d, grade in judged.items()]
        ranking = {q: {d: float(grade) for d, grade in judged.items()} for q, judged in qrels.items()}
        ndcg[path.stem] = EvaluateRetrieval.evaluate(qrels, ranking, [10])[0]["NDCG@10"]
    return {"read": read, "ndcg_at_10_of_the_judgements": ndcg}


READERS: dict[str, Callable[[Path, Path], Answer]] = {
    "datasets": by_datasets,
    "sentence-transformers": by_sentence_transformers,
    "FlagEmbedding": by_flagembedding,
    "tevatron": by_tevatron,
    "beir": by_beir,
}


def tiny_tokenizer() -> Any:
    """One token a byte, so that nothing of a text is lost."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<end>"])
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<end>", clean_up_tokenization_spaces=False)


def tiny_model(folder: Path) -> Path:
    """A random encoder of one layer: enough for a loss and a step."""
    from transformers import BertConfig, BertModel

    tokenizer = tiny_tokenizer()
    tokenizer.model_max_length = 64
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
