"""Models of the Hugging Face hub: fetched once, used offline afterwards."""

from __future__ import annotations

from core.errors import ModelNotFound

WANTED = ("*.json", "*.safetensors", "*.model", "*.jinja", "vocab.txt", "merges.txt")  # no pickles, no code
ANSWER_SECONDS = 10.0


def hub_folder(model_id: str) -> str:
    """Local folder of a hub model; downloads it where the network allows.

    Raises:
        ModelNotFound: no such model, no access, or no network and no earlier download.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        HfApi().model_info(model_id, timeout=ANSWER_SECONDS)  # asks once, where the download itself would retry for a minute
        return str(snapshot_download(model_id, allow_patterns=list(WANTED)))
    except GatedRepoError as error:
        raise ModelNotFound(f"{model_id} asks for permission.", hint="Accept its terms on its page and set HF_TOKEN.") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelNotFound(f"The hub has no model {model_id}.", hint="Check the spelling: owner/name.") from error
    except Exception as error:  # noqa: BLE001 - whatever the network did, an earlier download may be there
        return _downloaded_before(model_id, error)


def _downloaded_before(model_id: str, trouble: Exception) -> str:
    from huggingface_hub import snapshot_download

    try:
        return str(snapshot_download(model_id, allow_patterns=list(WANTED), local_files_only=True))
    except Exception as error:
        raise ModelNotFound(
            f"{model_id} is not on this machine and the hub cannot be reached ({type(trouble).__name__}).",
            hint="Check the spelling (owner/name or a folder) and the network; embedded:smollm2-135m works offline.",
        ) from error
