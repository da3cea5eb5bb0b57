// Chat through OpenAI's SDK for Node: the same code, whichever provider is behind the model.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import { CHAT_MODELS, PATHS, client, connect, user } from "./client.js";

const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const Forecast = z.object({
  city: z.string(),
  sky: z.enum(["clear", "cloudy"]),
  days: z.array(z.object({ name: z.string(), degrees: z.number().int() })),
});
const FORECAST = { city: "Paris", sky: "clear", days: [{ name: "Paris", degrees: 21 }] };

for (const model of CHAT_MODELS) {
  describe(model, () => {
    test("a chat is answered", async () => {
      const completion = await client.chat.completions.create({ model, messages: user("Explain containerization") });

      assert.equal(completion.choices[0].message.content, "You said: Explain containerization");
      assert.equal(completion.choices[0].finish_reason, "stop");
      assert.equal(completion.usage.total_tokens, 12);
    });

    test("a stream comes in pieces, ends, and has no usage unless asked for", async () => {
      const stream = await client.chat.completions.create({ model, messages: user("a long story"), stream: true });
      const chunks = await collect(stream);

      const deltas = chunks.map((chunk) => chunk.choices[0].delta.content).filter(Boolean);
      assert.equal(deltas.join(""), "You said: a long story");
      assert.ok(deltas.length > 1);
      assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
      assert.ok(chunks.every((chunk) => !chunk.usage));
    });

    test("a stream ends with its usage when asked for", async () => {
      const stream = await client.chat.completions.create({
        model,
        messages: user("hi"),
        stream: true,
        stream_options: { include_usage: true },
      });
      const last = (await collect(stream)).at(-1);

      assert.deepEqual(last.choices, []);
      assert.equal(last.usage.prompt_tokens, 7);
      assert.equal(last.usage.completion_tokens, 5);
    });

    test("the SDK's stream helper accumulates the answer", async () => {
      const runner = client.chat.completions.stream({ model, messages: user("hi") });

      assert.equal(await runner.finalContent(), "You said: hi");
    });

    test("tools go round by hand", async () => {
      const request = { model, tools: [WEATHER] };
      const messages = user("Is it warm in both?");
      const { message, finish_reason } = (await client.chat.completions.create({ ...request, messages })).choices[0];
      assert.equal(finish_reason, "tool_calls");
      assert.equal(message.tool_calls.length, 2);
      messages.push(message);
      for (const [index, call] of message.tool_calls.entries()) {
        assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
        messages.push({ role: "tool", tool_call_id: call.id, content: `${21 + index} degrees` });
      }

      const answer = await client.chat.completions.create({ ...request, messages });

      assert.equal(answer.choices[0].message.content, "The tool says: 21 degrees, 22 degrees");
    });

    for (const stream of [false, true]) {
      test(`the SDK's runner calls the tool itself${stream ? ", streaming" : ""}`, async () => {
        const asked = [];
        const get_weather = (argument) => {
          asked.push(argument);
          return "21 degrees";
        };
        const tool = {
          type: "function",
          function: { ...WEATHER.function, function: get_weather, parse: JSON.parse },
        };
        const runner = client.chat.completions.runTools({ model, stream, messages: user("Warm?"), tools: [tool] });

        assert.equal(await runner.finalContent(), "The tool says: 21 degrees");
        assert.deepEqual(asked, [{ city: "Paris" }]);
      });
    }

    test("structured output is parsed", async () => {
      const completion = await client.chat.completions.parse({
        model,
        messages: user("The forecast?"),
        response_format: zodResponseFormat(Forecast, "forecast"),
      });

      assert.deepEqual(completion.choices[0].message.parsed, FORECAST);
      assert.equal(completion.choices[0].finish_reason, "stop");
    });

    test("structured output is parsed from a stream", async () => {
      const runner = client.chat.completions.stream({
        model,
        messages: user("The forecast?"),
        response_format: zodResponseFormat(Forecast, "forecast"),
      });

      assert.deepEqual((await runner.finalChatCompletion()).choices[0].message.parsed, FORECAST);
    });

    test("a stream that is given up leaves the client usable", async () => {
      const stream = await client.chat.completions.create({ model, messages: user("a long story"), stream: true });
      for await (const _ of stream) break;
      const completion = await client.chat.completions.create({ model, messages: user("hi") });

      assert.equal(completion.choices[0].message.content, "You said: hi");
    });
  });
}

for (const path of PATHS) {
  test(`the base URL ${path || "/"} works`, async () => {
    const completion = await connect({}, path).chat.completions.create({ model: "claude-4", messages: user("hi") });

    assert.equal(completion.choices[0].message.content, "You said: hi");
  });
}

test("fetch, as the operator's services use it, works", async () => {
  const response = await fetch(`${process.env.GATEWAY}/ai-api/chat/completions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${process.env.GATEWAY_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify({ model: "claude-4", messages: user("Explain containerization") }),
  });

  assert.equal(response.status, 200);
  assert.equal((await response.json()).choices[0].message.content, "You said: Explain containerization");
});

test("the raw response has the gateway's headers", async () => {
  const { data, response } = await client.chat.completions
    .create({ model: "claude-4", messages: user("hi") })
    .withResponse();

  assert.ok(response.headers.get("x-litellm-call-id"));
  assert.ok(response.headers.get("x-litellm-model-id"));
  assert.equal(data.choices[0].message.content, "You said: hi");
});

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}
