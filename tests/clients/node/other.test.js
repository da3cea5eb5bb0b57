// Embeddings, images, the list of models, and what goes wrong, through OpenAI's SDK for Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { CHAT_MODELS, client, connect, user } from "./client.js";

for (const model of ["text-embedding-3-small", "gemini-embedding-001"]) {
  for (const encoding of [{}, { encoding_format: "float" }]) {
    test(`${model} embeds texts, ${encoding.encoding_format ?? "base64 by default"}`, async () => {
      const { data } = await client.embeddings.create({ model, input: ["four", "five"], ...encoding });

      assert.deepEqual(data[0].embedding, [4, 0.5, -0.25, 0.125]);
      assert.deepEqual(data.map((item) => item.index), [0, 1]);
    });
  }
}

test("an image is generated", async () => {
  const reply = await client.images.generate({ model: "dalle3", prompt: "a harbour" });

  assert.equal(reply.data[0].url, "https://images.example/1.png");
});

test("the models are listed and described", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);

  assert.ok(names.includes("claude-4") && names.includes("dalle3"));
  assert.equal((await client.models.retrieve("claude-4")).id, "claude-4");
  await assert.rejects(client.models.retrieve("gpt-17"), OpenAI.NotFoundError);
});

test("a wrong key is an AuthenticationError", async () => {
  const call = connect({ apiKey: "sk-wrong" }).chat.completions.create({ model: "claude-4", messages: user("hi") });

  await assert.rejects(call, OpenAI.AuthenticationError);
});

test("an unknown model is a NotFoundError that names a near one", async () => {
  const call = client.chat.completions.create({ model: "claude-5", messages: user("hi") });

  await assert.rejects(call, (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    assert.match(error.message, /claude-4/);
    return true;
  });
});

test("a malformed request is a BadRequestError", async () => {
  const call = client.chat.completions.create({ model: "claude-4", messages: "hi" });

  await assert.rejects(call, OpenAI.BadRequestError);
});

const CLASSES = [
  [400, OpenAI.BadRequestError],
  [403, OpenAI.PermissionDeniedError],
  [429, OpenAI.RateLimitError],
  [500, OpenAI.InternalServerError],
  [529, OpenAI.InternalServerError],
];
for (const model of CHAT_MODELS) {
  for (const [status, expected] of CLASSES) {
    test(`${model}'s ${status} keeps its class and its words`, async () => {
      const call = client.chat.completions.create({ model, messages: user(`fail with ${status}`) });

      await assert.rejects(call, (error) => {
        assert.ok(error instanceof expected, error.constructor.name);
        assert.match(error.message, new RegExp(`told to fail with ${status}`));
        return true;
      });
    });
  }

  test(`${model}'s stream that breaks off throws`, async () => {
    const messages = user("break the stream, it is long enough");
    const stream = await client.chat.completions.create({ model, messages, stream: true });

    await assert.rejects(async () => {
      for await (const _ of stream);
    }, OpenAI.APIError);
  });

  test(`${model} keeps a client waiting no longer than the client wants`, async () => {
    const call = connect({ timeout: 500 }).chat.completions.create({ model, messages: user("be slow") });

    await assert.rejects(call, OpenAI.APIConnectionTimeoutError);
  });
}
