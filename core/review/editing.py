"""Texts after an edit or a swap, refused where they could not be trained on."""

from __future__ import annotations

from core.domain.identity import normalise
from core.domain.review import TripleRecord
from core.domain.triple import Texts
from core.errors import BadInput


def checked_texts(texts: Texts | None, record: TripleRecord) -> Texts:
    """The edited texts without outer space.

    Raises:
        BadInput: a field is blank, two of them are the same, or nothing was changed.
    """
    if texts is None:
        raise BadInput("An edit needs the new texts.", hint="Open the edit form.")
    given = Texts(texts.query.strip(), texts.positive.strip(), texts.negative.strip() if texts.negative is not None else None)
    if given.negative == "" and record.texts.negative is None:
        given = Texts(given.query, given.positive, None)
    for name in ("query", "positive", "negative"):
        if getattr(given, name) == "" or (name == "negative" and given.negative is None and record.texts.negative is not None):
            raise BadInput(f"The {name} is blank.", hint="Write a text, or reject the triple.")
    if given.negative is not None and normalise(given.negative) == normalise(given.positive):
        raise BadInput("Positive and negative are the same text.", hint="Change one of them, or reject the triple.")
    if given == record.texts:
        raise BadInput("Nothing was changed.", hint="Change a text, or close the form.")
    return given


def promoted(texts: Texts) -> Texts:
    """The negative answers after all: it becomes the positive, and no negative is left.

    Raises:
        BadInput: there is no negative.
    """
    if texts.negative is None:
        raise BadInput("This triple has no negative to promote.", hint="Edit the positive instead.")
    return Texts(texts.query, texts.negative, None)


def swapped(texts: Texts) -> Texts:
    """Positive and negative change places.

    Raises:
        BadInput: there is no negative.
    """
    if texts.negative is None:
        raise BadInput("This triple has no negative to swap with.", hint="Edit the positive instead.")
    return Texts(texts.query, texts.negative, texts.positive)
