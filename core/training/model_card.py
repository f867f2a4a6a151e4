"""The README of an exported model: what it was made of, how, how it is used, what it scored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.domain.dataset import DatasetVersion
from core.domain.encoder import EMBEDDED_BASE, EncoderSpec, Pooling
from core.domain.jobs import Job

POOLED = {Pooling.LAST_TOKEN: "the last token, which is the end token", Pooling.MEAN: "mean of all tokens"}
BASE_NAMES = {EMBEDDED_BASE: "HuggingFaceTB/SmolLM2-135M-Instruct"}


@dataclass(frozen=True, slots=True)
class ReportedScore:
    """What an evaluation found: mean nDCG@10 with its 95 % interval over so many queries."""

    test: str
    queries: int
    ndcg_at_10: float
    low: float
    high: float


def model_card(
    job: Job, spec: EncoderSpec, version: DatasetVersion, scores: Sequence[ReportedScore], *, merged_into: str, steps: Sequence[int]
) -> str:
    """Markdown.

    `merged_into` is the precision of the base's files for a merged model, and empty for an adapter; `steps` names the checkpoints that
    were averaged, and is empty for the run's own end.
    """
    merged = bool(merged_into)
    base = public_name(spec.base)
    library = "sentence-transformers" if merged else "peft"
    head = ["---", f"library_name: {library}", f"base_model: {json.dumps(base)}", "pipeline_tag: sentence-similarity", "---", ""]
    what = "A LoRA adapter for" if not merged else "An embedding model made of"
    kind = (
        f"average of the checkpoints of steps {', '.join(map(str, sorted(steps)))}" if steps else f"after {job.result.get('steps')} steps"
    )
    made = [
        f"# {job.title}",
        "",
        f"{what} `{base}`, trained with Tercet by contrast ({kind}).",
        "",
        "## How texts become vectors",
        "",
        f"- Pooling: {POOLED[spec.pooling]}; unit length.",
        f"- At most {spec.max_length} tokens, the end token included. It is put after truncation, on queries and documents.",
        "- Queries: `Instruct: {task}\\nQuery: {query}`. Documents carry nothing." if spec.instructed else "- Queries and documents alike.",
        "- Plain text, never a chat template.",
        *([f"- The first {spec.layers} layers of the base only."] if spec.layers else []),
        *(["- Attention goes both ways."] if spec.bidirectional else []),
        *(["", *_merged_from(job, spec, merged_into)] if merged else []),
        *(_usage(spec) if merged else _adapter_usage(job, spec)),
        "",
        "## Data",
        "",
        f"Version {version.name}: {version.train_count} training triples, {version.heldout_count} held out,",
        f"SHA-256 `{version.content_hash}`.",
        *(f"- by {key}: " + ", ".join(f"{name} {count}" for name, count in counts.items()) for key, counts in version.counts.items()),
        "",
        "## Scores",
        "",
        *(_scores(scores) if scores else ["Not evaluated yet."]),
        "",
        "## Plan",
        "",
        "```json",
        json.dumps(_public(job.plan), indent=1, ensure_ascii=False),
        "```",
        "",
        f"Loss {job.result.get('loss_first')} at the first step, {job.result.get('loss_last')} at the last (nats). Run {job.id}.",
        "",
    ]
    return "\n".join([*head, *made])


def public_name(base: str) -> str:
    """What others know a base by: a hub id, or of a local folder its name without the way to it."""
    local = base.startswith((".", "/", "~")) or base.count("/") > 1
    return BASE_NAMES.get(base, Path(base).name if local else base)


def _public(plan: Mapping[str, Any]) -> dict[str, Any]:
    known = plan.get("base_model", "")
    return {**plan, "base_model": known if known == EMBEDDED_BASE else public_name(known)}


def _merged_from(job: Job, spec: EncoderSpec, precision: str) -> list[str]:
    """What the weights were before the adapter went in."""
    base = public_name(spec.base)
    if spec.base == EMBEDDED_BASE:
        found = [
            f"The base is not the original `{base}` but what its Q4_1 conversion (GGUF, 4 bits a weight) gives back in {precision}:",
            "the adapter was trained on those weights and merged into them, and with the original ones the vectors differ.",
        ]
    else:
        found = [f"The adapter was merged into the weights of `{base}` as its files hold them ({precision})."]
    if job.plan.get("four_bit"):
        found.append("While it was trained the base was held in 4 bits (NF4), so its vectors were slightly others then.")
    return [*found, "The merge was computed, and the weights are written, in float32."]


def _adapter_usage(job: Job, spec: EncoderSpec) -> list[str]:
    base = public_name(spec.base)
    here = f"In Tercet the model is `run:{job.id}`"
    merged = f"For other programs write the merged model: `python -m core export-model {job.id} --to FOLDER`."
    if spec.bidirectional:
        return ["", f"{here}. Other programs would read it one way only, with other vectors and without a word: do not load it there."]
    if spec.layers:
        return ["", f"{here}. It does not fit the whole `{base}`, only its first {spec.layers} layers. {merged}"]
    if spec.base == EMBEDDED_BASE:
        converted = f"The base is not `{base}` itself but its Q4_1 conversion, which Tercet carries: on the original the vectors differ."
        return ["", f"{converted} {here}. {merged}"]
    return ["", f'Load it with `PeftModel.from_pretrained(AutoModel.from_pretrained("{base}"), folder)`. {here}.']


def _usage(spec: EncoderSpec) -> list[str]:
    prompt = ', prompt_name="query"' if spec.instructed else ""
    return [
        "",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        'model = SentenceTransformer("this folder")',
        f'queries = model.encode(["…"]{prompt})',
        'documents = model.encode(["…"])',
        "```",
    ]


def _scores(scores: Sequence[ReportedScore]) -> list[str]:
    rows = [f"| {s.test} | {s.queries} | {s.ndcg_at_10:.3f} | [{s.low:.3f}, {s.high:.3f}] |" for s in scores]
    return ["| test | queries | nDCG@10 | 95 % interval |", "|---|---|---|---|", *rows]
