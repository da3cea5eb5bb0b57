"""Chat through OpenAI's SDK for Python: the same code, whichever provider is behind the model."""

import json
from typing import Literal

import openai
import pytest
from conftest import CHAT_MODELS, PATHS, options
from pydantic import BaseModel

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Forecast(BaseModel):
    class Day(BaseModel):
        name: str
        degrees: int

    city: str
    sky: Literal["clear", "cloudy"]
    days: list[Day]


def user(text):
    return [{"role": "user", "content": text}]


def test_a_chat_is_answered(client, model):
    completion = client.chat.completions.create(model=model, messages=user("Explain containerization"))

    choice = completion.choices[0]
    assert choice.message.role == "assistant"
    assert choice.message.content == "You said: Explain containerization"
    assert choice.finish_reason == "stop"
    assert completion.object == "chat.completion"
    assert completion.usage.prompt_tokens == 7
    assert completion.usage.completion_tokens == 5
    assert completion.usage.total_tokens == 12


def test_a_conversation_with_a_system_message_is_answered(client, model):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "You said: one"},
        {"role": "user", "content": "two"},
        {"role": "user", "content": "three — ŝøß 🦀"},
    ]
    completion = client.chat.completions.create(model=model, messages=messages, max_tokens=100, temperature=0.5)

    assert completion.choices[0].message.content.endswith("three — ŝøß 🦀")


def test_an_image_in_a_message_reaches_the_provider(client, model):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    completion = client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])

    assert completion.choices[0].message.content == "You said: What is this? (1 image)"


def test_a_stream_comes_in_pieces_and_ends(client, model):
    chunks = list(client.chat.completions.create(model=model, messages=user("Tell me a long story"), stream=True))

    deltas = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert "".join(deltas) == "You said: Tell me a long story"
    assert len(deltas) > 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks)


def test_a_stream_has_no_usage_unless_asked_for(client, model):
    chunks = list(client.chat.completions.create(model=model, messages=user("hi"), stream=True))

    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_a_stream_ends_with_its_usage_when_asked_for(client, model):
    chunks = list(
        client.chat.completions.create(
            model=model, messages=user("hi"), stream=True, stream_options={"include_usage": True}
        )
    )

    *before, last = chunks
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (7, 5, 12)
    assert all(chunk.usage is None for chunk in before)


def test_the_sdk_s_stream_helper_accumulates_the_answer(client, model):
    with client.chat.completions.stream(model=model, messages=user("hi")) as stream:
        kinds = {event.type for event in stream}
        completion = stream.get_final_completion()

    assert completion.choices[0].message.content == "You said: hi"
    assert {"chunk", "content.delta", "content.done"} <= kinds


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("question, calls", [("Is it warm in Paris?", 1), ("Is it warm in both?", 2)])
def test_tools_go_round(client, model, streaming, question, calls):
    messages = user(question)
    request = {"model": model, "tools": [WEATHER], "tool_choice": "auto"}
    if streaming:
        with client.chat.completions.stream(messages=messages, **request) as stream:
            choice = stream.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(messages=messages, **request).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert len(choice.message.tool_calls) == calls
    assert len({call.id for call in choice.message.tool_calls}) == calls
    messages.append(choice.message.model_dump(exclude_none=True))
    for number, call in enumerate(choice.message.tool_calls):
        assert call.function.name == "get_weather"
        assert json.loads(call.function.arguments) == {"city": "Paris"}
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"{21 + number} degrees"})

    answer = client.chat.completions.create(messages=messages, **request).choices[0]

    expected = ", ".join(f"{21 + number} degrees" for number in range(calls))
    assert answer.message.content == f"The tool says: {expected}"
    assert answer.finish_reason == "stop"


# claude-4 and its forerunners have no schemas of their own: there a tool stands in. claude-sonnet-4-6 has.
@pytest.mark.parametrize("model", [*CHAT_MODELS, "claude-sonnet-4-6", "gemini-2.5-flash"])
def test_structured_output_is_parsed(client, model):
    completion = client.chat.completions.parse(model=model, messages=user("The forecast?"), response_format=Forecast)

    choice = completion.choices[0]
    assert choice.finish_reason == "stop"
    assert choice.message.parsed == Forecast(city="Paris", sky="clear", days=[{"name": "Paris", "degrees": 21}])
    assert not choice.message.tool_calls


@pytest.mark.parametrize("model", [*CHAT_MODELS, "claude-sonnet-4-6", "gemini-2.5-flash"])
def test_structured_output_is_parsed_from_a_stream(client, model):
    with client.chat.completions.stream(
        model=model, messages=user("The forecast?"), response_format=Forecast
    ) as stream:
        choice = stream.get_final_completion().choices[0]

    assert choice.message.parsed.days[0].degrees == 21
    assert choice.finish_reason == "stop"


@pytest.mark.parametrize("path", PATHS)
def test_every_base_url_of_the_operator_s_clients_works(path):
    with openai.OpenAI(**options(path)) as client:
        completion = client.chat.completions.create(model="claude-4", messages=user("hi"))

    assert completion.choices[0].message.content == "You said: hi"


def test_azure_s_client_works_by_its_own_paths_and_header():
    settings = options()
    endpoint = settings.pop("base_url").removesuffix("/v1")
    with openai.AzureOpenAI(azure_endpoint=endpoint, api_version="2024-10-21", **settings) as client:
        completion = client.chat.completions.create(model="gpt-4o-mini", messages=user("hi"))

    assert completion.choices[0].message.content == "You said: hi"


def test_the_raw_response_has_the_gateway_s_headers(client, model):
    raw = client.chat.completions.with_raw_response.create(model=model, messages=user("hi"))

    assert raw.headers["x-litellm-call-id"]
    assert raw.headers["x-litellm-model-id"]
    assert float(raw.headers["x-litellm-response-duration-ms"]) >= 0
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.parse().choices[0].message.content == "You said: hi"


def test_every_call_has_an_id_of_its_own(client):
    create = client.chat.completions.with_raw_response.create
    ids = {create(model="gpt-4o-mini", messages=user("hi")).headers["x-litellm-call-id"] for _ in range(3)}

    assert len(ids) == 3
