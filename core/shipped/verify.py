"""Recount what the data cards claim, and look for what must not be there. Every finding names its record."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.domain.dataset import Example, Split
from core.domain.encoder import Role
from core.domain.groups import GROUPS, TaskGroup
from core.domain.identity import normalise
from core.domain.languages import LANGUAGES
from core.encoder.text_encoder import TextEncoder
from core.errors import BadRows
from core.evaluation.beir import folder_reader, read_beir
from core.evaluation.collection import JudgedCollection, overlap_with
from core.generation.checks.near_duplicates import near_pairs
from core.generation.checks.triple_checks import check_triple
from core.generation.checks.words import gram_similarity
from core.generation.prompts.slots import VALUES
from core.shipped.records import Fault, Finding, Record, read_faults, read_starter

FEWEST_OF_GROUP = {
    TaskGroup.SHORT_LONG: 400, TaskGroup.LONG_SHORT: 150, TaskGroup.SHORT_SHORT: 80, TaskGroup.LONG_LONG: 40,
    TaskGroup.STS: 130, TaskGroup.BITEXT: 100,
}  # fmt: skip
SCRIPTS = ("Arab", "Deva", "Cyrl", "Kore", "Jpan", "Thai", "Grek", "Hebr")
LOW_RESOURCE = ("Nepali", "Swahili", "Welsh")  # classes 1 and 2 of Joshi et al. 2020: little text, almost no labelled data
DOMAIN_EXAMPLES = 5  # examples that make a topic a domain of the set
NEAR_TEXTS = 0.35  # Jaccard of character 12-grams: whole sentences are shared
SAME_TASK = 0.45  # the same inside the training part, where tasks may share their form
SIMILAR_TASKS = 0.66  # cosine of two instructions by the baseline encoder above which they say the same
LIKE_TASKS = 0.6  # the same where they share words too
LIKE_WORDS = 0.28  # Jaccard of character 5-grams that counts as sharing words


@dataclass(frozen=True, slots=True)
class Count:
    """One number the set must reach."""

    name: str
    value: float
    least: float
    most: float | None = None

    @property
    def met(self) -> bool:
        """Whether the number is within its bounds."""
        return self.least <= self.value and (self.most is None or self.value <= self.most)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was counted and what was found wrong."""

    counts: tuple[Count, ...]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether every count is met and nothing was found."""
        return not self.findings and all(count.met for count in self.counts)


def verify(data: Path, encoder: TextEncoder, *, tell: Callable[[str], None] = lambda _: None) -> Verdict:
    """Check `data/starter`, `data/heldout` and `data/faults`. `encoder` compares the meaning of instructions.

    Raises:
        NotFound: a file is not there.
    """
    tell("starter set")
    starter, findings = read_starter(data / "starter")
    counts = list(count_starter(starter))
    findings += slots_as_drawn(starter)
    findings += flagged(starter)
    findings += duplicates(starter)
    findings += like_tasks(starter)
    tasks = {(r.triple.group, r.triple.task) for r in starter}
    claim = f"{len(starter)} examples of {len(tasks)} tasks in {len({r.triple.language for r in starter})} languages"
    findings += card_is_true(data / "starter" / "README.md", claim)
    tell("held-out collection")
    try:
        collection = read_beir(folder_reader(data / "heldout"))
    except BadRows as error:
        findings.append(Finding("heldout", "", error.message))
    else:
        counts += count_heldout(collection)
        findings += judgements(collection, data / "heldout" / "hard_negatives.json")
        findings += overlaps(starter, collection, encoder)
        claim = f"{len(collection.queries)} queries of {len(collection.tasks)} tasks, {len(collection.documents)} documents"
        findings += card_is_true(data / "heldout" / "README.md", claim)
    tell("gold faults")
    faults, broken = read_faults(data / "faults")
    counts += count_faults(faults)
    findings += [*broken, *fault_labels(faults, {record.id for record in starter})]
    faulty = sum(record.row["fault"] is not None for record in faults)
    claim = f"{faulty} faulty and {len(faults) - faulty} clean triples"
    findings += card_is_true(data / "faults" / "README.md", claim)
    return Verdict(tuple(counts), tuple(findings))


def count_starter(records: Sequence[Record]) -> Iterator[Count]:
    """Sizes of the starter set by group, task, language, script, slot value and domain."""
    triples = [record.triple for record in records]
    yield Count("examples", len(triples), 900)
    yield Count("tasks", len({(t.group, t.task) for t in triples}), 90)
    groups = Counter(t.group for t in triples)
    yield from (Count(f"examples of {group.value}", groups[group], least) for group, least in FEWEST_OF_GROUP.items())
    languages = Counter(t.language for t in triples)
    share = {name: languages[name] / max(1, len(triples)) for name in ("English", "Chinese (Simplified)")}
    yield Count("share of English", round(share["English"], 3), 0.35, 0.45)
    yield Count("share of Chinese", round(share["Chinese (Simplified)"], 3), 0.12)
    further = [name for name, n in languages.items() if n >= 10 and name not in share and name in LANGUAGES]
    yield Count("further languages with at least 10 examples", len(further), 20)
    scripts = {LANGUAGES[name].script for name in further}
    yield Count(f"scripts among them of {', '.join(SCRIPTS)}", sum(script in scripts for script in SCRIPTS), len(SCRIPTS))
    yield Count(f"low-resource languages among them ({', '.join(LOW_RESOURCE)})", sum(name in further for name in LOW_RESOURCE), 3)
    wanted = {(group, slot, value) for group, slots in VALUES.items() for slot, values in slots.items() for value in values}
    drawn = {(t.group, slot, value) for t in triples for slot, value in t.slots.items()}
    yield Count("slot values that occur", len(wanted & drawn), len(wanted))
    topics = Counter(t.topic.casefold() for t in triples)
    yield Count(f"topics with at least {DOMAIN_EXAMPLES} examples", sum(n >= DOMAIN_EXAMPLES for n in topics.values()), 25)


def slots_as_drawn(records: Iterable[Record]) -> Iterator[Finding]:
    """Slots are those of the group's prompt, each with a value a draw can give."""
    for record in records:
        triple = record.triple
        languages = {"src_lang": triple.language, "tgt_lang": triple.target_language}
        if triple.group is not TaskGroup.BITEXT:
            languages = {"language": triple.language}
        allowed: dict[str, tuple[object, ...]] = {**VALUES[triple.group], **{name: (value,) for name, value in languages.items()}}
        if missing := sorted(set(allowed) ^ set(triple.slots)):
            yield Finding("slots", record.id, f"has other slots than its group: {', '.join(missing)}")
        for name in sorted(set(allowed) & set(triple.slots)):
            if triple.slots[name] not in allowed[name]:
                yield Finding("slots", record.id, f"{name} is {triple.slots[name]!r}, which is none of {list(allowed[name])}")
        if triple.language not in LANGUAGES or (triple.target_language or triple.language) not in LANGUAGES:
            yield Finding("slots", record.id, f"{triple.language} or {triple.target_language} is not in the list of languages")
        fixed = GROUPS[triple.group].fixed_task
        if fixed and triple.task != fixed:
            yield Finding("slots", record.id, "does not carry its group's fixed task")
        if (triple.texts.negative is None) == (GROUPS[triple.group].negative_field is not None):
            yield Finding("schema", record.id, "has a negative where its group has none, or none where it has one")


def flagged(records: Iterable[Record]) -> Iterator[Finding]:
    """The project's own checks: language by detector, length against slot, copied query, near-identical pair, refusal, label leak."""
    for record in records:
        yield from (Finding(flag.code, record.id, flag.message) for flag in check_triple(record.triple))


def duplicates(records: Sequence[Record]) -> Iterator[Finding]:
    """Examples and texts that stand twice, exactly or nearly. Labels and other short answers may repeat within a group."""
    exact: dict[str, str] = {}
    for record in records:
        if (other := exact.setdefault(record.triple.id, record.id)) != record.id:
            yield Finding("exact_duplicate", record.id, f"is the same example as {other}")
    texts = [(record, name, text) for record in records for name, text in _texts(record) if len(text) >= 40]
    for first, second, similarity in near_pairs([text for _, _, text in texts], threshold=NEAR_TEXTS, size=12):
        one, two = texts[first], texts[second]
        if one[0].id != two[0].id:
            message = f"{two[1]} shares {similarity:.0%} of its 12-grams with the {one[1]} of {one[0].id}"
            yield Finding("near_duplicate", two[0].id, message)
    queries: dict[tuple[str, str], str] = {}
    for record in records:
        key = (record.triple.task, normalise(record.triple.texts.query).casefold())
        if (other := queries.setdefault(key, record.id)) != record.id:
            yield Finding("exact_duplicate", record.id, f"asks the query of {other} again")


def like_tasks(records: Iterable[Record]) -> Iterator[Finding]:
    """No two tasks say the same thing."""
    tasks = _first_of_task(records)
    names = list(tasks)
    for first, second, similarity in near_pairs(names, threshold=SAME_TASK, size=5):
        yield Finding("like_tasks", tasks[names[second]], f"its task is {similarity:.0%} the task of {tasks[names[first]]}")


def card_is_true(card: Path, claim: str) -> Iterator[Finding]:
    """The data card states the size that was counted."""
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    if claim not in " ".join(text.split()):
        yield Finding("card", f"{card.parent.name}/{card.name}", f"does not say “{claim}”")


def count_heldout(collection: JudgedCollection) -> Iterator[Count]:
    """Sizes of the held-out collection."""
    yield Count("held-out queries", len(collection.queries), 150)
    yield Count("held-out tasks", len(collection.tasks), 15)
    yield Count("held-out documents", len(collection.documents), 600)


def judgements(collection: JudgedCollection, hard_negatives: Path) -> Iterator[Finding]:
    """Every query has a document of grade 2; grades are 1 or 2; hard negatives are in the corpus and not judged to help."""
    documents = {document.id: document for document in collection.documents}
    for query in collection.queries:
        if max(query.grades.values()) != 2 or min(query.grades.values()) < 1:
            yield Finding("judgements", query.id, f"has the grades {sorted(query.grades.values())}; 1 and 2 are used, and one is 2")
        for document in query.relevant:
            text = documents[document].content
            if query.group != TaskGroup.LONG_SHORT.value and _folded(query.text) in _folded(text) and len(query.text) > 20:
                yield Finding("copied_query", query.id, f"stands in its document {document}")
    named: dict[str, list[str]] = json.loads(hard_negatives.read_text(encoding="utf-8")) if hard_negatives.is_file() else {}
    queries = {query.id: query for query in collection.queries}
    for query_id, negatives in named.items():
        for document in negatives:
            if query_id not in queries or document not in documents or document in queries[query_id].grades:
                yield Finding("judgements", query_id, f"{document} is no hard negative of it: unknown, or judged to help")


def overlaps(records: Sequence[Record], collection: JudgedCollection, encoder: TextEncoder) -> Iterator[Finding]:
    """Nothing of the test stands in the training part: no text, no task, and no task that says nearly the same."""
    found = overlap_with(collection, [_example(record) for record in records])
    yield from (Finding("overlap", "", f"held-out query also in the starter set: {text[:80]}") for text in found.queries)
    yield from (Finding("overlap", "", f"held-out task also in the starter set: {text[:80]}") for text in found.tasks)
    long = [text for text in found.documents if len(text) >= 40]  # short answers, such as labels, are common words
    yield from (Finding("overlap", "", f"held-out document also in the starter set: {text[:80]}") for text in long)
    ours = [(record.id, text) for record in records for _, text in _texts(record) if len(text) >= 40]
    theirs = [(d.id, d.text) for d in collection.documents if len(d.text) >= 40] + [(q.id, q.text) for q in collection.queries]
    both = ours + theirs
    for first, second, similarity in near_pairs([text for _, text in both], threshold=NEAR_TEXTS, size=12):
        if first < len(ours) <= second:
            message = f"shares {similarity:.0%} of its 12-grams with held-out {both[second][0]}"
            yield Finding("overlap", both[first][0], message)
    trained, tested = _first_of_task(records), list(collection.tasks)
    left = encoder.encode(list(trained), role=Role.DOCUMENT)
    right = encoder.encode(tested, role=Role.DOCUMENT)
    cosines = right @ left.T
    for row, task in enumerate(tested):
        for column, (other, record) in enumerate(trained.items()):
            words, meaning = gram_similarity(task, other), float(np.round(cosines[row, column], 3))
            if meaning >= SIMILAR_TASKS or (meaning >= LIKE_TASKS and words >= LIKE_WORDS):
                message = f"its task is like a held-out one (words {words:.2f}, meaning {meaning:.2f}): {task[:80]}"
                yield Finding("task_overlap", record, message)


def count_faults(records: Sequence[Record]) -> Iterator[Count]:
    """Sizes of the gold set of faults."""
    kinds = Counter(record.row["fault"] for record in records)
    yield Count("faulty triples", sum(n for kind, n in kinds.items() if kind is not None), 260)
    yield Count("clean look-alikes", kinds[None], 200)
    yield from (Count(f"faults of kind {kind.value}", kinds[kind.value], 20) for kind in Fault)


def fault_labels(records: Iterable[Record], starter: set[str]) -> Iterator[Finding]:
    """Labels are known kinds, twins exist, and no clean triple is an unchanged starter triple's double under another id."""
    seen: dict[str, str] = {}
    for record in records:
        fault, twin = record.row["fault"], record.row["twin"]
        if fault is not None and fault not in set(Fault):
            yield Finding("faults", record.id, f"{fault} is no kind of fault")
        if twin is not None and twin not in starter:
            yield Finding("faults", record.id, f"its twin {twin} is not in the starter set")
        if not str(record.row["note"]).strip():
            yield Finding("faults", record.id, "has no note on where the fault is")
        if (other := seen.setdefault(record.triple.id, record.id)) != record.id:
            yield Finding("faults", record.id, f"is the same triple as {other}")


def _texts(record: Record) -> list[tuple[str, str]]:
    texts = record.triple.texts
    named = [("query", texts.query), ("positive", texts.positive), ("negative", texts.negative or "")]
    return [(name, text) for name, text in named if text]


def _first_of_task(records: Iterable[Record]) -> Mapping[str, str]:
    """Task -> id of its first record; fixed tasks are left out, since they are everybody's."""
    found: dict[str, str] = {}
    for record in records:
        if GROUPS[record.triple.group].brainstormed:
            found.setdefault(record.triple.task, record.id)
    return found


def _example(record: Record) -> Example:
    t = record.triple
    return Example(record.id, t.group, t.task, t.texts, t.language, t.target_language, Split.TRAIN)


def _folded(text: str) -> str:
    return re.sub(r"\W+", " ", normalise(text).casefold())
