"""All tables. Alembic's first migration creates them; later changes are migrations of their own.

Times are ISO 8601 in UTC as text, so they sort. JSON columns hold plain values.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

prompt_versions = Table(
    "prompt_versions",
    metadata,
    Column("id", String, primary_key=True),  # content_id(group, step, number, template)
    Column("group", String, nullable=False),
    Column("step", String, nullable=False),  # brainstorm | example | rewrite
    Column("number", Integer, nullable=False),  # 1, 2, … within group and step
    Column("template", Text, nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("parent_id", String, ForeignKey("prompt_versions.id")),
    Column("created_at", String, nullable=False),
    UniqueConstraint("group", "step", "number"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", String, primary_key=True),
    Column("group", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("topic", String, nullable=False, default=""),
    Column("source", String, nullable=False),
    Column("prompt_version_id", String, ForeignKey("prompt_versions.id")),
    Column("request_key", String),
    Column("created_at", String, nullable=False),
    Index("tasks_by_state", "group", "state"),
)

requests = Table(
    "requests",
    metadata,
    Column("key", String, primary_key=True),  # hash of base_url, model, messages, parameters, schema, replicate
    Column("step", String, nullable=False),  # brainstorm | example | rewrite
    Column("group", String, nullable=False),
    Column("base_url", String, nullable=False),
    Column("model", String, nullable=False),
    Column("messages", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("reply_schema", JSON),
    Column("replicate", Integer, nullable=False),
    Column("slots", JSON, nullable=False),
    Column("language", String),
    Column("target_language", String),
    Column("task_id", String),
    Column("prompt_version_id", String, ForeignKey("prompt_versions.id")),
    Column("job_id", String),
    Column("state", String, nullable=False),  # planned | sent | received | parsed | failed
    Column("reason", String, nullable=False, default=""),  # of a failure
    Column("attempts", Integer, nullable=False, default=0),
    Column("raw", Text),  # reply body as received, committed before anything reads it
    Column("reply_text", Text),
    Column("finish_reason", String),
    Column("provider_request_id", String),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("cost", Float),  # US dollars, of both replies where the request was repeated; NULL = unknown price
    Column("seconds", Float),
    Column("repeated_cap", Integer),  # tokens a reply may have in the one repeat of a reply that was cut off; NULL = not repeated
    Column("first_reply", JSON(none_as_null=True)),  # {"raw", "finish_reason", …}: the cut-off reply, once the repeat has one of its own
    Column("error_body", Text),  # the last answer that was no reply of the protocol, as received
    Column("maybe_cost", Float, nullable=False, server_default="0"),  # worst case of attempts that were maybe billed without an answer
    Column("maybe_tokens", Integer, nullable=False, server_default="0"),
    Column("batch_id", String),  # of the batch it left in, the last one; while the request is sent, no other run may send it
    Column("planned_at", String, nullable=False),
    Column("sent_at", String),
    Column("received_at", String),
    Index("requests_by_job", "job_id", "state"),
    Index("requests_by_batch", "batch_id"),
    Index(  # all that core.storage.yields reads, so that it need not read rows, which are long
        "requests_by_yield",
        *("step", "job_id", "group", "language", "model", "prompt_version_id"),
        *("state", "attempts", "finish_reason", "prompt_tokens", "completion_tokens", "cost"),
    ),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String, primary_key=True),  # ours, stored before anything leaves; the provider keeps it as metadata
    Column("job_id", String, nullable=False),
    Column("base_url", String, nullable=False),
    Column("state", String, nullable=False),  # prepared | uploaded | submitted | collected | given_up
    Column("requests", Integer, nullable=False),
    Column("file_id", String),  # the provider's, of the requests
    Column("provider_id", String),  # the provider's, of the batch
    Column("status", String, nullable=False, server_default=""),  # the provider's last word
    Column("completed", Integer, nullable=False, server_default="0"),  # as the provider last counted
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("note", Text, nullable=False, server_default=""),  # why it was given up
    Column("created_at", String, nullable=False),
    Column("submitted_at", String),
    Column("ended_at", String),
    Index("batches_by_job", "job_id", "created_at"),
)

triples = Table(
    "triples",
    metadata,
    Column("id", String, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),  # order of arrival
    Column("group", String, nullable=False),
    Column("task_id", String, nullable=False),
    Column("task", Text, nullable=False),
    Column("topic", String, nullable=False, default=""),
    Column("language", String, nullable=False),
    Column("target_language", String),
    Column("slots", JSON, nullable=False),
    Column("query", Text, nullable=False),
    Column("positive", Text, nullable=False),
    Column("negative", Text),
    Column("source", String, nullable=False),
    Column("model", String),
    Column("prompt_version_id", String, ForeignKey("prompt_versions.id")),
    Column("request_key", String),
    Column("created_at", String, nullable=False),
    # Standing, derived from decisions by core.domain.review.replay and written in the same transaction.
    Column("verdict", String, nullable=False, default="pending"),
    Column("reason", String, nullable=False, default=""),
    Column("reviewer", String, nullable=False, default=""),
    Column("decided_at", String, nullable=False, default=""),
    Column("flagged", Boolean, nullable=False, default=False),
    Column("skipped_by", JSON, nullable=False, default=list),  # reviewers
    Column("edited_texts", JSON(none_as_null=True)),  # {"query", "positive", "negative"} after edits; NULL while the original holds
    Column("suspicion", Float, nullable=False, default=0.0),  # sum of flag weights
    # Both cosines with the query by the baseline encoder, of the texts as they stand; NULL while they were not measured.
    Column("nearness_positive", Float),
    Column("nearness_negative", Float),
    Column("fault_probability", Float, nullable=False, server_default="0"),  # core.domain.suspicion: what "most suspicious" sorts by
    Index("triples_by_verdict", "verdict", "number"),
    Index("triples_by_fault", "verdict", text("fault_probability DESC"), "number"),  # the review queue's default order
    Index(  # all that a queue's filters read but the texts and the flags, so that counting what waits reads no row
        "triples_by_queue",
        *("verdict", "task_id", "group", "language", "target_language", "topic", "source"),
        *("prompt_version_id", "flagged", "reviewer", "number", "id"),
    ),
    Index("triples_by_group", "group", "language"),
    Index("triples_by_task", "task_id"),
    Index("triples_by_request", "request_key"),
    Index("triples_by_prompt", "prompt_version_id"),
    Index("triples_by_yield", "source", "group", "language", "model", "prompt_version_id", "verdict", "suspicion"),
)

flags = Table(
    "flags",
    metadata,
    Column("triple_id", String, ForeignKey("triples.id"), primary_key=True),
    Column("code", String, primary_key=True),
    Column("field", String, primary_key=True, default=""),
    Column("message", Text, nullable=False),
    Column("weight", Float, nullable=False),
    Index("flags_by_code", "code"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("triple_id", String, ForeignKey("triples.id"), nullable=False),
    Column("reviewer", String, nullable=False),
    Column("action", String, nullable=False),
    Column("reason", String, nullable=False, default=""),
    Column("texts", JSON(none_as_null=True)),
    Column("undoes", Integer),
    Column("batch_id", String),
    Column("created_at", String, nullable=False),
    Column("readers", Integer, nullable=False, server_default="1"),  # of a verdict: 1 counts at once, n is one of n independent ones
    Column("adjudicates", Boolean, nullable=False, server_default="0"),  # ends a dispute
    Column("shown", JSON, nullable=False, server_default="[]"),  # what the checks said on screen
    Index("decisions_by_triple", "triple_id", "id"),
    Index("decisions_by_reviewer", "reviewer", "id"),
)

readings = Table(  # derived from decisions like the standing, and written with it: verdicts of independent readers
    "readings",
    metadata,
    Column("triple_id", String, ForeignKey("triples.id"), primary_key=True),
    Column("reviewer", String, primary_key=True),
    Column("position", Integer, nullable=False),  # order among the readers of a triple
    Column("verdict", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("decided_at", String, nullable=False),
    Index("readings_by_reviewer", "reviewer"),
)

leases = Table(  # whose desk a card lies on; rows run out and are deleted, they are no part of the log
    "leases",
    metadata,
    Column("triple_id", String, ForeignKey("triples.id"), primary_key=True),
    Column("reviewer", String, primary_key=True),
    Column("holder", String, nullable=False),  # the reviewer's window
    Column("expires_at", String, nullable=False),
    Index("leases_by_holder", "holder"),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("content_hash", String, nullable=False),
    Column("train_count", Integer, nullable=False),
    Column("heldout_count", Integer, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("settings", JSON, nullable=False),  # filter, held-out share, seed
    Column("parent_id", String, ForeignKey("dataset_versions.id")),
    Column("created_at", String, nullable=False),
)

dataset_examples = Table(
    "dataset_examples",
    metadata,
    Column("version_id", String, ForeignKey("dataset_versions.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("triple_id", String, ForeignKey("triples.id"), nullable=False),
    Column("split", String, nullable=False),
    Column("record", JSON, nullable=False),  # group, task, query, positive, negative, language, target_language, topic
    Index("dataset_examples_by_triple", "triple_id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("title", String, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("plan_hash", String, nullable=False),
    Column("dataset_version_id", String),
    Column("state", String, nullable=False),
    Column("pid", Integer),
    Column("process_start", Float),
    Column("boot_id", String),
    Column("heartbeat_at", Float),  # seconds since the epoch
    Column("failure", JSON),
    Column("created_at", String, nullable=False),
    Column("started_at", String),
    Column("ended_at", String),
    Index("jobs_by_kind", "kind", "created_at"),
)

corpora = Table(
    "corpora",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("source", String, nullable=False),
    Column("documents", Integer, nullable=False),
    Column("content_hash", String, nullable=False),
    Column("created_at", String, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("corpus_id", String, ForeignKey("corpora.id"), primary_key=True),
    Column("id", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("title", Text, nullable=False, default=""),
    Column("text", Text, nullable=False),
    Index("documents_by_position", "corpus_id", "position"),
)

preferences = Table(
    "preferences",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", JSON, nullable=False),  # endpoints without keys, prices, chosen models; never a secret
)
