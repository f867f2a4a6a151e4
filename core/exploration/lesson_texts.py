"""Texts of the lesson, written for it. A student's own text takes the first place."""

from __future__ import annotations

from core.domain.triple import Texts

TASK = "Given an everyday question, retrieve a passage that answers it."

TRIPLES = (
    Texts(
        "why does my bread turn hard after two days",
        "In a baked loaf the starch slowly forms crystals again and gives up its water. Wrapped in a cloth at room temperature "
        "it stays soft for longer; the cold of a refrigerator speeds the hardening up.",
        "For a plain loaf you need flour, water, salt and patience. Knead the dough for ten minutes, let it double in size, "
        "then bake it in a very hot oven until the crust is brown.",
    ),
    Texts(
        "can I look at an eclipse through sunglasses",
        "Ordinary dark lenses let through far too much light and heat. Only filters made for watching the sun protect the eye; "
        "without them the retina can be burnt within seconds, and it does not hurt while it happens.",
        "A solar eclipse happens when the moon passes between the earth and the sun. Its shadow crosses the ground faster than "
        "a jet plane, and the total phase lasts a few minutes at most.",
    ),
    Texts(
        "how does a boat climb a hill in a canal",
        "The boat enters a chamber, the gates close behind it, and water runs in from the higher side until both levels are "
        "equal. Then the upper gates open and the journey goes on.",
        "Canals carried coal and grain before there were railways. One horse on the bank could pull a boat with thirty tons of cargo.",
    ),
    Texts(
        "what can I do when my phone is hot",
        "Take it out of the sun and out of its cover, end the navigation and the games, and stop charging until it has cooled. "
        "Never put it in the freezer: water would form inside.",
        "This year's phones have brighter screens and better cameras than the ones before. Most people keep theirs for about three years.",
    ),
)

SECOND_ANSWER = (  # answers the first query as well: what a careless hard negative looks like
    "Bread stales because its starch crystallises as days pass and the crumb loses moisture. Keep it in a bread box rather "
    "than in the refrigerator, or freeze slices and toast them."
)

OTHERS = (
    "The night train to the coast leaves at ten and arrives with the sun. A bunk costs less than a hotel room.",
    "Bees tell one another where flowers are by a dance on the comb; its angle gives the direction, its length the distance.",
    "To prune an apple tree, cut away the branches that cross and the shoots that grow straight up, best on a dry day in winter.",
    "The council will vote next week on the new bicycle lane along the river; shop owners fear for their parking places.",
)

SCATTERED = (  # as different as texts can be: what random pairs are drawn from
    *OTHERS,
    *(t for triple in TRIPLES for t in (triple.query, triple.positive) if t),
    "Add the onions and stir until they are golden.",
    "x squared plus two x plus one equals zero",
    "The goalkeeper saved the penalty in the last minute of extra time.",
    "今天的火车晚点了二十分钟，请大家在站台上稍候。",
    "La bibliothèque ferme à dix-huit heures le samedi.",
    "Install the package, then restart the server and read the log.",
    "她每天早上沿着河边跑步五公里。",
    "Der Vertrag kann mit einer Frist von drei Monaten gekündigt werden.",
    "A violin has four strings tuned in fifths.",
    "Rain is expected in the north, with strong winds on the hills.",
    "Los glaciares de la cordillera retroceden cada verano.",
    "Please sign the form and send it back before Friday.",
)
