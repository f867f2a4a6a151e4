from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.domain.endpoint import Endpoint


def test_an_address_must_be_http_without_credentials():
    assert Endpoint(name="a", base_url=" http://127.0.0.1:8000/v1/ ").base_url == "http://127.0.0.1:8000/v1"
    for bad in ("ftp://host/v1", "https://user:pass@host/v1", "host/v1", ""):
        with pytest.raises(ValidationError):
            Endpoint(name="a", base_url=bad)


def test_only_variables_that_name_a_key_may_be_sent():
    assert Endpoint(name="a", api_key_env="OPENAI_API_KEY").api_key_env == "OPENAI_API_KEY"
    for bad in ("HOME", "AWS_SECRET", "lower_key"):
        with pytest.raises(ValidationError):
            Endpoint(name="a", api_key_env=bad)
