"""Why train an embedding model at all? Five experiments on your own text."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.domain.triple import Texts
from core.workbench import Workbench
from pages.ui import lesson_charts
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench
from pages.ui.widgets import plain

STEPS = ("Tokens and pooling", "The narrow cone", "A raw ranking", "The loss", "After training")
SHORT = ("Tokens", "Cone", "Ranking", "Loss", "Trained")
FIELDS = {"query": "Your question", "positive": "A passage that answers it", "negative": "A near miss: same subject, no answer"}


def show_own_text(workbench: Workbench) -> Texts:
    """The student's own three texts, kept while they move through the steps."""
    sample = workbench.lesson.own
    with st.expander("Your text: everything below runs on it", icon=":material/edit:", expanded=True, key="learn-own"):
        given = [
            column.text_area(name, value=getattr(sample, field), key=f"learn-{field}", height=96, max_chars=2000, persist_state="session")
            for column, (field, name) in zip(st.columns(3), FIELDS.items(), strict=True)
        ]
    query, positive, negative = (text.strip() for text in given)
    return Texts(query or sample.query, positive or sample.positive, negative or sample.negative)


def choose_step() -> int:
    """Where the student is, with next and back."""
    if "learn-step" not in st.session_state:
        st.session_state["learn-step"] = 0
    now = int(st.session_state["learn-step"])
    back, steps, forth = st.columns([2, 9, 2], vertical_alignment="bottom")
    back.button("Back", key="learn-back", icon=":material/arrow_back:", disabled=now == 0, on_click=_go, args=(now - 1,), width="stretch")
    forth.button(
        "Next",
        key="learn-next",
        type="primary",
        icon=":material/arrow_forward:",
        disabled=now == len(STEPS) - 1,
        on_click=_go,
        args=(now + 1,),
        width="stretch",
    )
    with steps:
        st.segmented_control(
            "Step",
            range(len(STEPS)),
            format_func=lambda i: f"{i + 1} · {SHORT[i]}",
            key="learn-step",
            required=True,
            label_visibility="collapsed",
            width="stretch",
            persist_state="session",
        )
    return int(st.session_state["learn-step"])


def _go(step: int) -> None:
    st.session_state["learn-step"] = step


def show_tokens(workbench: Workbench, own: Texts) -> None:
    """Step 1."""
    st.write(
        "A language model reads numbers, not words: your text is cut into tokens, pieces that occur often, and an end token is put "
        "behind them. At each token the model keeps a hidden state, a list of numbers about everything read so far. Only the last one "
        "has seen the whole text, so an embedding made from a decoder is the state at the end token (the flag). Taking the average of "
        "all states instead is called mean pooling."
    )
    left, right = st.columns(2)
    reading = workbench.lesson.read(own.query)
    with left:
        st.markdown("**Words**")
        st.text(own.query)
        st.metric("Words, split at spaces", f"{len(own.query.split())}")
    with right:
        st.markdown("**Tokens**")
        lesson_charts.show_tokens(reading.tokens)
        st.metric("Tokens, with the end token", f"{len(reading.tokens)}")
    count = len(reading.vector)
    shown = min(lesson_charts.NUMBERS_SHOWN, count)
    st.markdown(f"**The vector at the end token**: the first {shown} of {count} numbers, scaled to length 1.")
    chart = lesson_charts.vector_chart(reading.vector.tolist())
    st.altair_chart(chart, key="learn-vector", width="stretch", alt="The first numbers of the vector of your question")
    _question("The first token's state has read one word only. Why can the last one know the whole text, and the first one not?")


def show_cone(workbench: Workbench, own: Texts) -> None:
    """Step 2."""
    st.write(
        "Take texts that have nothing to do with one another, in five languages, and compare each with each. A good space would call "
        "them unrelated: cosines around 0. The raw model gives nearly all of them a high cosine, because its states all point into one "
        "narrow cone: it was trained to guess the next word, and nobody ever asked it to keep different texts apart."
    )
    models = workbench.lesson.models()
    own_texts = (own.query, own.positive, own.negative or "")
    cosines = {name: workbench.lesson.cone(name, [t for t in own_texts if t]) for name in models}
    for column, (name, values) in zip(st.columns(len(models)), cosines.items(), strict=True):
        column.metric(plain(models[name]), f"{values.mean():.2f}", help="mean cosine of unrelated pairs; 0 means unrelated")
    histograms = {models[name]: workbench.lesson.histogram(values) for name, values in cosines.items()}
    st.altair_chart(lesson_charts.cone_chart(histograms), key="learn-cone", alt="Cosines of unrelated texts by model")
    pairs = len(next(iter(cosines.values())))
    st.caption(f"{pairs:,} pairs of texts, your own three among them.")
    _question("If every pair has a cosine near 0.9, is the ranking lost, or only squeezed? What would you look at to find out?")


def show_raw_ranking(workbench: Workbench, own: Texts) -> None:
    """Step 3."""
    st.write(
        "Now search: your question against twelve texts, two of them yours. The raw model was never trained to bring a question near "
        "its answer, so the order often follows length, style or a shared word. Change your question above and watch how little, or how "
        "oddly, the order moves."
    )
    _show_ranking(workbench, "raw", own, "learn-raw")
    _question("Which texts rank high here, and what do they have in common with your question: meaning, words, or only their shape?")


def show_loss(workbench: Workbench, own: Texts) -> None:
    """Step 4."""
    st.write(
        "Training shows the model a batch: four questions, and for each a passage that answers it (+) and a near miss (−). Every "
        "question should find its own answer among all eight documents. The loss InfoNCE divides the cosines by a temperature, turns "
        "each row into probabilities, and asks for the probability of the answer: loss = −log p. The lower the temperature, the more "
        "the hardest negatives count."
    )
    models = workbench.lesson.models()
    left, middle, right = st.columns([3, 3, 4])
    model = left.selectbox("Model", list(models), format_func=models.__getitem__, key="learn-loss-model", persist_state="session")
    temperature = middle.slider("Temperature", 0.01, 1.0, 0.02, 0.01, key="learn-temperature", persist_state="session")
    wrong = right.toggle(
        "Near miss 1 answers too",
        key="learn-false-negative",
        help="Puts a second right answer to question 1 where its near miss was: a false negative",
    )
    masked = right.toggle("Mask that cell (1, −1)", key="learn-mask", disabled=not wrong)
    queries, documents = workbench.lesson.batch(own, false_negative=wrong)
    cosines = workbench.lesson.cosines(str(model), queries, documents)
    found = workbench.lesson.loss(cosines, temperature, mask_false_negative=masked and wrong)
    charts = ((cosines, "cosine", float(cosines.min()), float(cosines.max())), (found.probabilities, "probability", 0.0, 1.0))
    for column, (values, title, low, high) in zip(st.columns(2), charts, strict=True):
        chart = lesson_charts.batch_chart(values, documents, title=title, low=low, high=high)
        column.altair_chart(chart, key=f"learn-{title}", width="stretch", alt=f"{title} of each question with each document")
    with st.expander("What the rows and columns stand for", icon=":material/list:", key="learn-batch-texts"):
        rows = [
            {"": f"{i + 1}", "Question": q, "Document +i": documents[i], "Document −i": documents[i + 4]} for i, q in enumerate(queries)
        ]
        st.dataframe(rows, key="learn-batch-table", hide_index=True, width="stretch")
    for number, column in enumerate(st.columns(5)):
        if number < 4:
            column.metric(f"Loss of question {number + 1}", f"{found.losses[number]:.3f}")
        else:
            column.metric("Mean loss", f"{found.mean_loss:.3f}", f"chance {found.chance_loss:.3f}", delta_color="off", delta_arrow="off")
    _say_false_negative(wrong, masked, float(found.pull[0, 4]), float(found.losses[0]))
    _question(
        "Move the temperature to 1: the loss comes near the chance value, whatever the cosines are. Why, and what would training then "
        "learn?"
    )


def _say_false_negative(wrong: bool, masked: bool, pull: float, loss: float) -> None:
    if not wrong:
        st.caption(f"Question 1 finds its own answer; its near miss is pushed away with strength {-pull:.2f} (the probability it takes).")
    elif masked:
        st.success(
            f"Masked: the cell left the denominator. The loss of question 1 is {loss:.3f}, and the second right answer is neither drawn "
            "nor pushed.",
            icon=":material/visibility_off:",
        )
    else:
        st.warning(
            f"A false negative: document −1 answers question 1 too, yet the loss ({loss:.3f}) pushes it away with strength {-pull:.2f}. "
            "The model is taught that a right answer is wrong. That is why a person reviews triples, and why suspicious cells are masked.",
            icon=":material/warning:",
        )


def show_after(workbench: Workbench, own: Texts) -> None:
    """Step 5."""
    st.write(
        "A few dozen steps of that loss change a small part of the weights, the LoRA adapter. The words of the texts are the same, the "
        "model is the same size; only the direction in which it writes its last state has moved. Compare the same question before and "
        "after."
    )
    tuned = workbench.lesson.tuned()
    if tuned is None:
        with st.container(border=True, key="learn-no-run"):
            st.markdown(
                ":material/model_training: No model was trained in this workspace yet. A two-minute run on the starter set is enough to "
                "see it."
            )
            if (page := Path(__file__).parent / "train.py").exists():
                st.page_link(str(page), label="Train one", icon=":material/arrow_forward:")
        _show_ranking(workbench, "raw", own, "learn-before")
        return
    before, after = st.columns(2)
    with before:
        first = _show_ranking(workbench, "raw", own, "learn-before")
    with after:
        second = _show_ranking(workbench, tuned, own, "learn-after")
    moved = "higher" if second < first else "lower" if second > first else "at the same place"
    st.markdown(f"Your answer stood at rank **{first}** before and stands at rank **{second}** now: {moved}.")
    _question(
        "The model never saw your question. What did it learn from other questions that helps it with yours, and where would it still fail?"
    )


def _show_ranking(workbench: Workbench, system: str, own: Texts, key: str) -> int:
    """Draw a ranking of twelve texts; the rank of the student's answer."""
    ranking = workbench.lesson.ranking(system, own)
    place = next(r.rank for r in ranking if r.kind == "your answer")
    label = dict(workbench.systems.names()).get(system, system)
    st.markdown(f"**{plain(label)}**: your answer is at rank **{place} of {len(ranking)}**")
    low, high = ranking[-1].similarity, ranking[0].similarity
    columns = {
        "Rank": st.column_config.NumberColumn(width=50),
        "Cosine": st.column_config.NumberColumn(format="%.3f", width=70),
        "Whose": st.column_config.TextColumn(width=125),
    }
    st.dataframe(lesson_charts.ranking_table(ranking), key=key, hide_index=True, width="stretch", height=458, column_config=columns)
    st.caption(f"Cosines from {low:.3f} to {high:.3f}: a range of {high - low:.3f}.")
    return place


def _question(text: str) -> None:
    st.info(f"**Think about it.** {text}", icon=":material/psychology:")


@st.fragment(run_every=1)
def wait_for_service(workbench: Workbench) -> None:
    """The models live in a process of their own; the page goes on when it answers."""
    if workbench.service.ready():
        st.rerun()
    with st.status("Starting the model service …"):
        st.caption("It loads the models once for everyone on this machine; the first start takes a few seconds.")


st.title("Learn")
st.caption("A language model represents text already. Why train an embedding model?")
with problems_shown():
    opened = open_workbench()
    if not opened.service.ready():
        opened.service.ensure_started(wait_seconds=0)
        wait_for_service(opened)
    else:
        texts = show_own_text(opened)
        step = choose_step()
        st.subheader(f"{step + 1}. {STEPS[step]}")
        with st.spinner("Asking the model …"):
            (show_tokens, show_cone, show_raw_ranking, show_loss, show_after)[step](opened, texts)
