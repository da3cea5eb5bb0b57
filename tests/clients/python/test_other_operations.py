"""Embeddings, images, legacy completions and the list of models."""

import base64

import openai
import pytest

OPERATORS_MODELS = ["gpt-4o-mini", "gpt-3.5", "claude-4", "claude-3-5-sonnet", "claude-3-5-haiku", "gemini-2.0-flash", "dalle3"]
EMBEDDING_MODELS = ["text-embedding-3-small", "gemini-embedding-001"]


@pytest.mark.parametrize("model", EMBEDDING_MODELS)
# The SDK asks for base64 by itself and decodes it; an explicit "float" is left alone.
@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}])
def test_a_text_is_embedded(client, model, encoding):
    reply = client.embeddings.create(model=model, input="four", **encoding)

    assert [item.embedding for item in reply.data] == [[4.0, 0.5, -0.25, 0.125]]
    assert reply.object == "list"
    assert reply.usage.total_tokens >= 0


@pytest.mark.parametrize("model", EMBEDDING_MODELS)
def test_several_texts_are_embedded_in_order(client, model):
    reply = client.embeddings.create(model=model, input=["four", "five", "sixs"])

    assert [item.index for item in reply.data] == [0, 1, 2]
    assert all(len(item.embedding) == 4 for item in reply.data)


def test_an_image_is_generated_under_the_operator_s_name_for_the_model(client):
    reply = client.images.generate(model="dalle3", prompt="a harbour", n=1, size="1024x1024")

    assert reply.data[0].url == "https://images.example/1.png"
    assert reply.data[0].revised_prompt == "a harbour, in oil"


def test_an_image_comes_as_base64_when_asked_for(client):
    reply = client.images.generate(model="dalle3", prompt="a harbour", response_format="b64_json")

    assert base64.b64decode(reply.data[0].b64_json).startswith(b"\x89PNG")


def test_a_legacy_completion_is_answered(client):
    completion = client.completions.create(model="gpt-3.5", prompt="Once upon")

    assert completion.choices[0].text == "You said: Once upon"


def test_the_models_are_listed(client):
    names = [model.id for model in client.models.list()]

    assert set(OPERATORS_MODELS) <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", OPERATORS_MODELS)
def test_one_model_is_described(client, name):
    model = client.models.retrieve(name)

    assert (model.id, model.object) == (name, "model")


def test_a_model_that_is_not_there_is_not_found(client):
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-17")
