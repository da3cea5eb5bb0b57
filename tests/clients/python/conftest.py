"""Clients of the operator's gateway; tests/clients/run.py starts it and says where it is."""

import os

import openai
import pytest

GATEWAY = os.environ["GATEWAY"]
KEY = os.environ["GATEWAY_KEY"]

# One a provider, as the operator's file names them.
CHAT_MODELS = ["gpt-4o-mini", "claude-4", "gemini-2.0-flash"]
# Where the operator's clients find it, through Traefik and not, with OpenAI's /v1 and without.
PATHS = ["/ai-api/v1", "/ai-api", "/v1", ""]


def options(path="/ai-api/v1", **more):
    # Without a second try, so that a test sees the first answer.
    return {"api_key": KEY, "base_url": GATEWAY + path, "max_retries": 0, "timeout": 30} | more


@pytest.fixture
def client():
    with openai.OpenAI(**options()) as client:
        yield client


@pytest.fixture(params=CHAT_MODELS)
def model(request):
    return request.param
