"""What travels between the model service and its clients: rankings, errors and chat replies as JSON objects."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from core import errors
from core.domain.ranking import Document, Histogram, Hit, Ranking
from core.errors import ServiceUnavailable, WorkbenchError

STATUS_OF = {  # the first class that fits, so subclasses stand before their parents
    errors.NotFound: 404,
    errors.ModelNotFound: 404,
    errors.BadInput: 400,
    errors.IndexMismatch: 409,
    errors.RateLimited: 429,
    errors.ServiceUnavailable: 503,
    errors.EndpointError: 502,
    errors.ModelUnusable: 422,
    errors.OutOfMemory: 507,
    errors.DiskFull: 507,
}
_CLASSES = {kind("").code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, WorkbenchError)}


def error_body(error: WorkbenchError) -> dict[str, Any]:
    """The body of an error reply; `message` is where OpenAI's clients look for it too."""
    return {"error": {"code": error.code, "type": error.code, "message": error.message, "hint": error.hint}}


def status_of(error: WorkbenchError) -> int:
    """HTTP status of an error."""
    return next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), 500)


def error_of(body: Any, status: int) -> WorkbenchError:
    """The error a reply stands for, in its own class where we know the code."""
    facts = body.get("error") if isinstance(body, dict) else None
    if not isinstance(facts, dict):
        return ServiceUnavailable(f"The model service answered {status}.", hint="See service.log in the workspace.")
    kind = _CLASSES.get(str(facts.get("code")), ServiceUnavailable)
    return kind(str(facts.get("message", "")), hint=str(facts.get("hint", "")))


def ranking_body(ranking: Ranking) -> dict[str, Any]:
    """A ranking as plain values."""
    return asdict(ranking)


def ranking_of(body: dict[str, Any]) -> Ranking:
    """Inverse of `ranking_body`."""
    hits = tuple(Hit(Document(**hit["document"]), hit["rank"], hit["similarity"]) for hit in body["hits"])
    histogram = body.get("histogram")
    shape = Histogram(tuple(histogram["edges"]), tuple(histogram["counts"])) if histogram else None
    return Ranking(**{**body, "hits": hits, "histogram": shape})
