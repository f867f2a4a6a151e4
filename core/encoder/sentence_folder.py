"""A language-model encoder as a folder that sentence-transformers and plain transformers load: merged weights, pooling, prompts, end token.

What goes wrong in such folders is silent, so it is settled in the files: the tokenizer appends the end token itself (and keeps it when it
truncates), reads markers inside a text as text, and has no chat template, which sentence-transformers would wrap around every text.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.domain.encoder import EncoderSpec, Pooling, Role
from core.encoder.files import translated_errors, write_json
from core.encoder.tokens import TextTokenizer
from core.errors import ModelUnusable

MODULES = (  # names that every version of sentence-transformers since 2.0 knows
    ("", "sentence_transformers.models.Transformer"),
    ("1_Pooling", "sentence_transformers.models.Pooling"),
    ("2_Normalize", "sentence_transformers.models.Normalize"),
)
PROBE_TEXTS = ("a short text", "a marker <|im_end|> and </s> in a text", "two\nlines", "词 and слово " * 400)


def write_sentence_folder(model: Any, tokenizer: Any, spec: EncoderSpec, folder: Path, *, prompts: Mapping[str, str]) -> None:
    """Write a merged model (no adapter of its own) and everything around it into `folder`, which exists.

    Args:
        model: Transformers model without head; written in the precision it is in.
        tokenizer: Its tokenizer; left as it is.
        spec: How texts become vectors; the folder does the same.
        folder: Empty folder.
        prompts: Name of a prompt -> what stands before a text.

    Raises:
        ModelUnusable: the written tokenizer would read other tokens than `spec` says.
        DiskFull, StorageError: it cannot be written.
    """
    with translated_errors():
        model.save_pretrained(folder, safe_serialization=True)
        _ending_tokenizer(tokenizer, spec).save_pretrained(folder)
        for name, _ in MODULES[1:]:
            (folder / name).mkdir(exist_ok=True)
    modules = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(MODULES)]
    with translated_errors():
        (folder / "modules.json").write_text(json.dumps(modules, indent=1), encoding="utf-8")
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": spec.max_length, "do_lower_case": False})
    pooling = {
        "word_embedding_dimension": int(model.config.hidden_size),
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": spec.pooling is Pooling.MEAN,
        "pooling_mode_max_tokens": False,
        "pooling_mode_lasttoken": spec.pooling is Pooling.LAST_TOKEN,
        "include_prompt": True,
    }
    write_json(folder / "1_Pooling" / "config.json", pooling)
    settings = {"prompts": dict(prompts), "default_prompt_name": None, "similarity_fn_name": "cosine"}
    write_json(folder / "config_sentence_transformers.json", settings)
    _check_tokens(folder, tokenizer, spec)


def _ending_tokenizer(tokenizer: Any, spec: EncoderSpec) -> Any:
    """A copy that does by itself what TextTokenizer does around the original."""
    from tokenizers.processors import TemplateProcessing

    ending = copy.deepcopy(tokenizer)
    ending.chat_template = None
    ending.split_special_tokens = True
    ending.init_kwargs["split_special_tokens"] = True
    ending.padding_side = ending.truncation_side = "right"
    if ending.pad_token_id is None:
        ending.pad_token = ending.eos_token or ending.convert_ids_to_tokens(0)
    ending.model_max_length = spec.max_length
    if spec.append_eos:
        begins = tokenizer("x", add_special_tokens=True)["input_ids"][:1] == [tokenizer.bos_token_id] != [None]
        marks = [token for token in (tokenizer.bos_token if begins else None, tokenizer.eos_token) if token]
        single = " ".join([*marks[:-1], "$A", marks[-1]])
        ids = [(token, tokenizer.convert_tokens_to_ids(token)) for token in dict.fromkeys(marks)]
        ending.backend_tokenizer.post_processor = TemplateProcessing(single=single, pair=f"{single} $B {marks[-1]}", special_tokens=ids)
    return ending


def _check_tokens(folder: Path, tokenizer: Any, spec: EncoderSpec) -> None:
    from transformers import AutoTokenizer

    read = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    wanted = TextTokenizer(tokenizer, spec).ids(PROBE_TEXTS, role=Role.DOCUMENT)
    found = read(list(PROBE_TEXTS), add_special_tokens=True, truncation=True, max_length=spec.max_length, verbose=False)["input_ids"]
    if read.chat_template is not None or [list(ids) for ids in found] != wanted:
        raise ModelUnusable(
            f"The tokenizer of {spec.base} cannot be written so that other programs read the same tokens.",
            hint="Use the adapter folder, and append the end token in your own program.",
        )
