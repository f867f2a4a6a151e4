"""What the README of an exported folder says: how its library loads it. And what to know of a single file, which has no README."""

from __future__ import annotations

from collections.abc import Mapping

from core.domain.dataset import ExportFormat

FILES = """
`train/` holds what to train on, `heldout/` whole tasks that were held out, each with one file a group. Rows without a hard negative lie
in `train-pairs/` and `heldout-pairs/`.
"""
NOTES: Mapping[ExportFormat, str] = {
    ExportFormat.HUGGING_FACE: """
Triples for an embedding model: query, positive, hard negative, and what is known of each. `slots` is JSON.

    from datasets import load_dataset
    triples = load_dataset("path/of/this/folder")
""",
    ExportFormat.SENTENCE_TRANSFORMERS: f"""
Triplets (anchor, positive, negative) for the trainer of sentence-transformers.
{FILES}
    from datasets import load_dataset
    train = {{g: load_dataset("json", data_files=f"train/{{g}}.jsonl", split="train") for g in ("short-long", "sts")}}
    SentenceTransformerTrainer(model=model, train_dataset=train, loss=MultipleNegativesRankingLoss(model))

An anchor reads `Instruct: <task>`, a new line, `Query: <query>` where the export was asked for instructions.
""",
    ExportFormat.FLAGEMBEDDING: f"""
Rows of query, pos, neg, prompt and type for the embedders of FlagEmbedding.
{FILES}
    torchrun -m FlagEmbedding.finetune.embedder.decoder_only.base --train_data train/*.jsonl --same_dataset_within_batch True \\
      --query_instruction_for_retrieval "" --query_instruction_format $'Instruct: {{}}\\nQuery: {{}}' --train_group_size 2 …

Use `--train_group_size 1` for the pairs. With `--same_dataset_within_batch True`, a file whose name ends in `no_in_batch_neg` is trained
without in-batch negatives; give the files for that, not their folder, whose own name would count instead.
""",
    ExportFormat.TEVATRON: f"""
Rows of query_id, query, positive_passages and negative_passages for Tevatron.
{FILES}
    python -m tevatron.retriever.driver.train --dataset_name json --dataset_path 'train/*.jsonl' --train_group_size 2 …

Use `--train_group_size 1` for the pairs. A query holds its instruction where the export was asked for it: give no `--query_prefix` then.
""",
    ExportFormat.BEIR: """
A test collection in BEIR layout: corpus.jsonl, queries.jsonl (instruction and language in `metadata`) and judgements in qrels/.
Answers are judged 1 and hard negatives 0.

    from beir.datasets.data_loader import GenericDataLoader
    corpus, queries, qrels = GenericDataLoader("path/of/this/folder").load(split="test")
""",
}
# No sign is put before such a cell: the file would no longer hold the text that was reviewed, and could not give it back.
CAUTIONS: Mapping[ExportFormat, str] = {
    ExportFormat.CSV: "Texts are written exactly as they are. A spreadsheet computes a cell that begins with =, +, - or @ when it opens "
    "the file: import the columns as text there (Excel: Data, From Text/CSV, do not detect data types). pandas and datasets take the texts "
    "NA, None and null for missing ones: give them keep_default_na=False.",
}
