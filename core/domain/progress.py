"""Where a project stands: seven stages, each with a count, a state and one next step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """How much of everything a workspace holds."""

    prompt_versions: int = 0
    tasks: Mapping[str, int] | None = None  # by state
    triples: Mapping[str, int] | None = None  # by verdict
    flagged_pending: int = 0
    versions: int = 0
    runs: Mapping[str, int] | None = None  # by state
    indexes: int = 0
    evaluations: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the work as the strip shows it."""

    name: str
    page: str
    count: int
    unit: str
    state: str
    next_step: str


def stages(counts: Counts) -> list[Stage]:
    """The strip, in the order of the work."""
    tasks, triples, runs = dict(counts.tasks or {}), dict(counts.triples or {}), dict(counts.runs or {})
    pending, accepted, rejected = triples.get("pending", 0), triples.get("accepted", 0), triples.get("rejected", 0)
    disputed = triples.get("disputed", 0)
    finished = runs.get("done", 0)
    usable = tasks.get("accepted", 0)
    proposed = tasks.get("proposed", 0)
    return [
        Stage("Prompts", "prompts", counts.prompt_versions, "versions", "ready", "Edit a prompt"),
        Stage(
            "Tasks",
            "tasks",
            usable,
            "accepted",
            f"{proposed} proposed",
            "Judge the proposed tasks" if proposed else "Brainstorm tasks" if not usable else "Add more topics",
        ),
        Stage(
            "Triples",
            "generate",
            pending + accepted + rejected + disputed,
            "written",
            f"{pending} to review",
            "Write triples" if usable else "First accept some tasks",
        ),
        Stage(
            "Reviewed",
            "review",
            accepted + rejected,
            "decided",
            f"{accepted} accepted, {rejected} rejected" + (f", {disputed} disputed" if disputed else ""),
            f"Review {pending} triples" if pending else f"Settle {disputed} disputes" if disputed else "Nothing waits",
        ),
        Stage(
            "Versions",
            "dataset",
            counts.versions,
            "frozen",
            f"{accepted} ready",
            "Freeze a version" if accepted else "First accept some triples",
        ),
        Stage(
            "Runs",
            "train",
            finished,
            "trained",
            f"{runs.get('running', 0)} running, {runs.get('failed', 0) + runs.get('lost', 0)} failed",
            "Train a model" if counts.versions else "First freeze a version",
        ),
        Stage(
            "Indexes",
            "search",
            counts.indexes,
            "built",
            f"{counts.evaluations} evaluations",
            "Compare raw and tuned" if finished else "Index and search",
        ),
    ]
