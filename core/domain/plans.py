"""Plans: frozen objects that decide a piece of work. The page's form, the CLI's file and the job's folder hold the same one."""

from __future__ import annotations

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.domain.contrast import BatchScope, Direction, Hardness
from core.domain.encoder import EMBEDDED_BASE, Pooling
from core.domain.groups import TaskGroup

EMBEDDED_TEACHER = "embedded"


class Plan(BaseModel):
    """Base of all plans: a misspelt key fails at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Budget(Plan):
    """Checked before each request is sent; None means no limit."""

    requests: int | None = Field(None, ge=1, description="attempts that leave, repeats included")
    money: float | None = Field(None, ge=0, description="US dollars")
    tokens: int | None = Field(None, ge=1, description="of prompts and replies together")


class Price(Plan):
    """What a model costs, where the price table does not know it or is wrong: US dollars a million tokens."""

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)


KEY_NAME = re.compile(r"^[A-Z][A-Z0-9_]*(KEY|TOKEN)$")  # so that no other variable can be sent to an endpoint by mistake


class EndpointAddress(Plan):
    """Where a model answers. The key itself is never here: only the name of the environment variable that holds it."""

    base_url: str = Field(EMBEDDED_TEACHER, description="`embedded`, or the URL of an OpenAI-compatible API (…/v1)")
    api_key_env: str = "TERCET_API_KEY"

    @field_validator("base_url")
    @classmethod
    def _reachable_kind(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        if value != EMBEDDED_TEACHER and not re.match(r"^https?://[^\s/@]+(/\S*)?$", value):
            raise ValueError("base_url must be `embedded` or an http(s) address without a name or key in it, for example https://host/v1")
        return value

    @field_validator("api_key_env")
    @classmethod
    def _names_a_key(cls, value: str) -> str:
        if not KEY_NAME.match(value):
            raise ValueError("the key's name must be an environment variable that ends in KEY or TOKEN, for example OPENAI_API_KEY")
        return value


class EndpointPlan(EndpointAddress):
    """Who writes, how, and for how much."""

    model: str = "smollm2-135m"
    in_flight: int = Field(8, ge=1, le=1000)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(2048, ge=16)
    timeout_seconds: float = Field(120, gt=0)
    requests_per_minute: float | None = Field(None, gt=0, description="never passed; what the endpoint's headers say holds as well")
    tokens_per_minute: float | None = Field(None, gt=0, description="prompts and replies together")
    price: Price | None = Field(None, description="own price; the price table's where absent")
    budget: Budget = Budget()
    batch: bool = Field(False, description="by the endpoint's batches: half the price, up to 24 hours")
    seed: int = 0


class BrainstormPlan(EndpointPlan):
    """Ask for `count` new tasks of each group; one request brings about 20."""

    counts: dict[TaskGroup, int] = Field(description="tasks wanted by group; only brainstormed groups")
    topics: tuple[str, ...] = ()
    prompt_versions: dict[TaskGroup, str] = Field(default_factory=dict, description="group -> prompt version id; newest where absent")


class GenerationPlan(EndpointPlan):
    """Write examples: `counts` by group, languages drawn by weight."""

    counts: dict[TaskGroup, int]
    languages: dict[str, float] = Field(default_factory=lambda: {"English": 1.0})
    prompt_versions: dict[TaskGroup, str] = Field(default_factory=dict)
    task_ids: tuple[str, ...] = Field((), description="only these tasks; all accepted ones where empty")
    comparison: str = Field("", description="id that the two plans of a comparison of prompts share; empty for all others")

    @model_validator(mode="after")
    def _something_to_write(self) -> Self:
        if not self.languages or min(self.languages.values()) < 0 or sum(self.languages.values()) <= 0:
            raise ValueError("languages needs at least one language with a weight above 0")
        if any(n < 0 for n in self.counts.values()):
            raise ValueError("counts must not be negative")
        return self


TEMPERATURES = (0.005, 0.5)  # bounds of a temperature that is learnt


class TrainingPlan(Plan):
    """Everything that decides a training run, saved beside its result."""

    dataset_version_id: str
    base_model: str = Field(EMBEDDED_BASE, description="embedded:smollm2-135m, a hub id or a local folder")
    groups: tuple[TaskGroup, ...] = Field(tuple(TaskGroup), description="train on these groups only")
    pooling: Pooling = Pooling.LAST_TOKEN
    instruction: bool = Field(True, description="`Instruct: {task}\\nQuery: {query}` on the query side")
    temperature: float = Field(0.02, gt=0, description="divides cosines; the paper's value is 0.02")
    learn_temperature: bool = Field(False, description="temperature is where it starts; it is learnt between 0.005 and 0.5")
    use_hard_negatives: bool = True
    use_in_batch_negatives: bool = True
    directions: tuple[Direction, ...] = Field((Direction.QUERY_DOCUMENT,), description="similarities in the denominator; q-d is a must")
    no_in_batch_groups: tuple[TaskGroup, ...] = Field((), description="queries of these groups see their own documents only")
    margin_mask: float | None = Field(None, ge=0, le=2, description="leave out what scores above the positive by more than this cosine")
    spare_confirmed: bool = Field(True, description="never mask a query's own hard negative: a person accepted it with its triple")
    hardness_weight: float = Field(0.0, ge=0, le=50, description="adds this times its cosine to a negative's logit; 0 = off")
    hardness_on: Hardness = Hardness.HARD
    negatives_per_query: int = Field(1, ge=1, le=32, description="above 1, triples that differ in the negative only are trained on as one")
    matryoshka: tuple[int, ...] = Field((), description="lengths of vector beginnings that are trained as well; the loss is the mean")
    batch_scope: BatchScope = Field(BatchScope.MIXED, description="where the triples of one batch come from")
    source_weights: dict[str, float] = Field(default_factory=dict, description="source -> share of its triples drawn an epoch; 1 if absent")
    bidirectional: bool = Field(False, description="tokens see later ones as well; the tuned model is then used the same way")
    base_layers: int | None = Field(None, ge=1, description="keep the base's first layers only; all where absent")
    four_bit: bool = Field(False, description="hold the base in 4 bits while training (QLoRA); needs a package, bitsandbytes")
    processes: int = Field(1, ge=1, le=1024, description="that share the work of each batch; the result is the same")
    micro_batch_tokens: int | None = Field(None, ge=64, description="tokens that go through the model together; found where absent")
    lora_rank: int = Field(16, ge=1)
    lora_alpha: int = Field(32, ge=1)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    batch_size: int = Field(32, ge=2, description="triples whose documents are negatives of one another")
    max_length: int = Field(128, ge=8, description="tokens a text while training, EOS included")
    encode_length: int = Field(256, ge=8, description="tokens a text when the tuned model is used; at least max_length")
    steps: int = Field(60, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    warmup_steps: int = Field(8, ge=0)
    weight_decay: float = Field(0.1, ge=0)
    max_gradient_norm: float = Field(1.0, gt=0)
    checkpoint_every: int = Field(10, ge=1, description="steps")
    seed: int = 0

    @model_validator(mode="after")
    def _consistent_loss(self) -> Self:
        if Direction.QUERY_DOCUMENT not in self.directions:
            raise ValueError("directions must hold q-d, where the positive is")
        if any(size < 1 for size in self.matryoshka):
            raise ValueError("matryoshka holds lengths of vectors, each at least 1")
        if any(not 0 <= weight <= 100 for weight in self.source_weights.values()):
            raise ValueError("source_weights must be between 0 and 100")
        low, high = TEMPERATURES
        if self.learn_temperature and not low <= self.temperature <= high:
            raise ValueError(f"a temperature that is learnt must start between {low} and {high}")
        return self


class ExportPlan(Plan):
    """Write the merged model of a run to a folder."""

    run_id: str = Field(description="training run: its job id")
    folder: str = Field(description="absolute; new or empty")
    steps: tuple[int, ...] = Field((), description="checkpoints to average; none: the model as the run left it")


class IndexPlan(Plan):
    """Encode a corpus with one encoder."""

    corpus_id: str
    model: str = Field(description="raw | baseline | run:<job id> | a hub id or folder")
    batch_size: int = Field(32, ge=1)


class MapPlan(Plan):
    """Project texts of a version, a corpus or all triples to two dimensions, for one or two models with aligned layouts."""

    models: tuple[str, ...] = Field(("raw",), min_length=1, max_length=2)
    dataset_version_id: str | None = None
    corpus_id: str | None = None
    triples: bool = Field(False, description="all triples of the workspace as they stand, whatever their verdict")
    neighbours: int = Field(15, ge=2)
    min_distance: float = Field(0.1, ge=0)
    seed: int = 0
    source_hash: str = Field("", description="of the texts and the encoders, set by the desk: an equal plan is an equal map")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.dataset_version_id is not None) + (self.corpus_id is not None) + self.triples != 1:
            raise ValueError("give exactly one of dataset_version_id, corpus_id and triples")
        return self


class EvaluationPlan(Plan):
    """Compare systems on the held-out part of a version, or on a test collection."""

    dataset_version_id: str | None = None
    collection: str | None = Field(None, description="heldout (shipped), the name of one brought, or a folder in BEIR layout")
    systems: tuple[str, ...] = Field(("raw", "baseline", "bm25"), min_length=1, description="raw | baseline | bm25 | run:<job id> | hub id")
    bootstrap_samples: int = Field(2000, ge=100)
    seed: int = 0

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if (self.dataset_version_id is not None) + (self.collection is not None) != 1:
            raise ValueError("give exactly one of dataset_version_id and collection")
        return self
