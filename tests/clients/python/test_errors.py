"""What goes wrong arrives as the SDK's own exceptions, which clients catch by class."""

import os

import openai
import pytest
from conftest import options

HI = [{"role": "user", "content": "hi"}]


def chat(client, model, text, **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def test_a_wrong_key_is_an_authentication_error(model):
    with openai.OpenAI(**options(api_key="sk-wrong")) as client, pytest.raises(openai.AuthenticationError) as raised:
        chat(client, model, "hi")

    assert raised.value.status_code == 401
    assert isinstance(raised.value.body, dict) and raised.value.body["message"]
    assert "sk-wrong" not in str(raised.value)
    assert os.environ["GATEWAY_KEY"] not in str(raised.value)


def test_an_unknown_model_is_not_found_and_a_near_one_is_named(client):
    with pytest.raises(openai.NotFoundError) as raised:
        chat(client, "claude-5", "hi")

    assert raised.value.code == "model_not_found"
    assert raised.value.type == "invalid_request_error"
    assert "claude-4" in raised.value.message


@pytest.mark.parametrize(
    "body",
    [
        {"messages": "hi"},
        {"messages": []},
        {"messages": [{"role": "nobody", "content": "hi"}]},
        {"messages": HI, "temperature": "hot"},
    ],
    ids=["messages of a wrong type", "no message", "an unknown role", "a parameter of a wrong type"],
)
def test_a_malformed_request_is_a_bad_request(client, body):
    with pytest.raises(openai.BadRequestError) as raised:
        client.post("/chat/completions", body={"model": "claude-4"} | body, cast_to=object)

    assert raised.value.type == "invalid_request_error"
    assert raised.value.message


def test_an_unknown_path_is_not_found(client):
    with pytest.raises(openai.NotFoundError):
        client.post("/no/such/thing", body={}, cast_to=object)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "status, expected",
    [
        (400, openai.BadRequestError),
        (403, openai.PermissionDeniedError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
def test_a_provider_s_error_keeps_its_class_and_its_words(client, model, status, expected, streaming):
    with pytest.raises(expected) as raised:
        chat(client, model, f"fail with {status}", stream=streaming)

    assert f"told to fail with {status}" in raised.value.message


def test_a_key_that_the_provider_refuses_is_told_without_the_key(client):
    with pytest.raises(openai.AuthenticationError) as raised:
        chat(client, "claude-with-a-wrong-key", "hi")

    assert "invalid x-api-key" in raised.value.message
    assert "sk-ant-outdated" not in str(raised.value)


def test_a_stream_that_breaks_off_raises_and_never_ends_as_if_whole(client, model):
    stream = chat(client, model, "break the stream, it is long enough", stream=True)

    with pytest.raises(openai.APIError):
        list(stream)


def test_a_client_s_own_timeout_is_a_timeout(model):
    with openai.OpenAI(**options(timeout=0.5)) as client, pytest.raises(openai.APITimeoutError):
        chat(client, model, "be slow")
