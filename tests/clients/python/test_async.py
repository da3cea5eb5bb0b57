"""The asynchronous client, with many calls at a time."""

import asyncio

import openai
from conftest import CHAT_MODELS, options


def run(calls):
    async def with_client():
        async with openai.AsyncOpenAI(**options()) as client:
            return await calls(client)

    return asyncio.run(with_client())


def ask(client, model, text, **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def test_many_chats_at_once_each_get_their_own_answer():
    numbers = range(30)

    async def calls(client):
        return await asyncio.gather(*(ask(client, CHAT_MODELS[n % 3], f"number {n}") for n in numbers))

    answers = [completion.choices[0].message.content for completion in run(calls)]

    assert answers == [f"You said: number {n}" for n in numbers]


def test_many_streams_at_once_each_get_their_own_pieces():
    numbers = range(15)

    async def collect(client, n):
        stream = await ask(client, CHAT_MODELS[n % 3], f"number {n}", stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def calls(client):
        return await asyncio.gather(*(collect(client, n) for n in numbers))

    assert run(calls) == [f"You said: number {n}" for n in numbers]


def test_a_stream_that_is_given_up_leaves_the_client_usable(model):
    async def calls(client):
        stream = await ask(client, model, "a story that nobody will hear to its end", stream=True)
        async for _ in stream:
            break
        await stream.close()
        return await ask(client, model, "hi")

    assert run(calls).choices[0].message.content == "You said: hi"
