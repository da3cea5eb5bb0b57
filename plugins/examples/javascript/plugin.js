// Canonical to Acme's "talk" API and back.
//
// The gateway calls `describe` once, and then the methods of an `Exchange` for each call, in order: `begin`, `head`, and
// `whole` or `events` … `end`. What a call has to remember is in its `Exchange`, nothing in globals.
//
// WIT's types in JavaScript: enums are their names, variants `{tag, val}`, options `null` or the value, lists of bytes
// `Uint8Array`, numbers `number`. A failure is thrown as an object; any other error traps, and the gateway answers that
// the plugin failed.

import log from "ai-api:plugin/log@0.1.0";

/** What Acme lacks, and whether a value asks for something. */
const LACKS = {
  tools: (value) => !isEmpty(value),
  tool_choice: () => true,
  parallel_tool_calls: () => true,
  response_format: (value) => value?.type !== "text",
  reasoning_effort: () => true,
  stop: (value) => !isEmpty(value),
  top_p: () => true,
};

const DEEPEST = 127;

const KINDS = {
  401: "authentication",
  402: "quota-exceeded",
  403: "permission",
  404: "not-found",
  408: "timeout",
  413: "too-large",
  429: "rate-limited",
  503: "overloaded",
  504: "timeout",
  529: "overloaded",
};

/** One call, as far as it has to be remembered until the answer is complete. */
class Exchange {
  constructor(call, includeUsage) {
    this.call = { id: `chatcmpl-${call.id}`, created: call.created, model: call.requestedModel };
    this.streaming = call.streaming;
    this.includeUsage = includeUsage;
    this.begun = false;
  }

  static begin(call) {
    const request = parse(call.body, { isShallow: true });
    if (!isObject(request)) throw failure("invalid-request", "The request body is not valid JSON.");
    const { body, includeUsage, warnings } = translate(call, request);
    const send = {
      method: "POST",
      path: "talk",
      query: [],
      headers: [{ name: "acme-version", value: "3" }],
      body: toJson(body),
    };
    return [new Exchange(call, includeUsage), { tag: "send", val: send }, warnings];
  }

  head(status, _headers) {
    return this.streaming && isOk(status) ? { tag: "events", val: "sse" } : { tag: "whole" };
  }

  whole({ status, headers, body: bytes }) {
    const body = parse(bytes);
    if (!isOk(status)) throw refusal(status, text(body?.trouble, "why"), headers);
    const reply = text(body, "reply");
    if (reply === undefined) throw malformed("acme answered without a reply");
    const usage = counted(body);
    const message = { role: "assistant", content: reply, refusal: null };
    const answer = {
      ...this.answer("chat.completion"),
      choices: [{ index: 0, message, logprobs: null, finish_reason: finishReason(body) }],
      ...(usage && { usage: usageBody(usage) }),
    };
    return { tag: "done", val: { body: toJson(answer), usage } };
  }

  events(events) {
    const chunks = [];
    let usage = null;
    let done = false;
    for (const event of events) {
      const data = parse(event.data);
      if (data === undefined) throw malformed("acme sent an event that is not JSON");
      switch (event.name) {
        case "word":
          chunks.push(this.chunk({ content: text(data, "text") ?? "" }));
          break;
        case "end":
          if (!this.begun) chunks.push(this.chunk({ content: "" }));
          chunks.push(this.chunk({}, finishReason(data)));
          usage = counted(data);
          if (usage && this.includeUsage) {
            const head = this.answer("chat.completion.chunk");
            chunks.push(toJson({ ...head, choices: [], usage: usageBody(usage) }));
          }
          done = true;
          break;
        case "trouble":
          throw malformed(text(data, "why") ?? "acme failed in the stream");
        default: // Events that came after this was written.
      }
    }
    return { chunks, usage, done };
  }

  end(_ending) {
    throw malformed("acme ended the stream before the answer was complete");
  }

  answer(object) {
    return { id: this.call.id, object, created: this.call.created, model: this.call.model };
  }

  chunk(delta, finish_reason = null) {
    if (!this.begun) delta = { role: "assistant", ...delta };
    this.begun = true;
    const choice = { index: 0, delta, logprobs: null, finish_reason };
    return toJson({ ...this.answer("chat.completion.chunk"), choices: [choice] });
  }
}

/**
 * What is thrown and is no failure ends the call without a word of its own, so it is logged where it leaves. A message of
 * yours ends up there too: put no prompts and no answers into errors.
 */
function told(method) {
  return function (...args) {
    try {
      return method.apply(this, args);
    } catch (error) {
      if (error instanceof Error) {
        const place = error.stack?.trim().split("\n", 1)[0].trim();
        log.log("error", `${String(error).slice(0, 200)} ${place}`);
      }
      throw error;
    }
  };
}

Exchange.begin = told(Exchange.begin);
for (const name of ["head", "whole", "events", "end"]) Exchange.prototype[name] = told(Exchange.prototype[name]);

export const provider = {
  describe() {
    return {
      name: "acme",
      version: "0.1.0",
      baseUrl: "https://api.acme.example/v2",
      credential: { tag: "header", val: "acme-key" },
      operations: [{ operation: "chat-completions", native: null, translated: [] }],
      parameters: [],
      // An instance of this engine costs a tenth of a millisecond: each call may have one of its own.
      reusable: false,
    };
  },
  Exchange,
};

/** `{"engine", "instructions", "turns": [{"who", "says"}], "limit", "heat", "stream"}` */
function translate(call, given) {
  const request = new Map(Object.entries(given).filter(([, value]) => value !== null));
  const warnings = [];
  const warn = (path, loss) => warnings.push({ path, loss });
  // Both are the gateway's: the call says them.
  request.delete("model");
  request.delete("stream");
  const options = take(request, "stream_options", isObject, "an object") ?? {};
  for (const name of Object.keys(options)) {
    if (name !== "include_usage") warn(`stream_options.${name}`, "dropped");
  }

  const messages = take(request, "messages", Array.isArray, "an array");
  if (messages === undefined) throw missing("messages");
  if (messages.length === 0) throw invalid("messages", "Invalid 'messages': expected at least one message.");
  const instructions = [];
  const turns = [];
  messages.forEach((message, index) => {
    const at = `messages[${index}]`;
    const { who, says } = translateMessage(message, at);
    if (who === "instructions") {
      instructions.push(says);
      return;
    }
    if (message.name != null) warn(`${at}.name`, "dropped");
    turns.push({ who, says });
  });

  const body = { engine: call.model, turns };
  if (instructions.length > 0) body.instructions = instructions.join("\n");
  const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
  const newer = take(request, "max_completion_tokens", isCount, "a whole number that is not negative");
  const older = take(request, "max_tokens", isCount, "a whole number that is not negative");
  body.limit = newer ?? older;
  body.heat = take(request, "temperature", Number.isFinite, "a number");
  if (call.streaming) body.stream = true;

  // What Acme lacks. `drop_params` decides whether that is an error.
  for (const [name, asks] of Object.entries(LACKS)) {
    if (request.has(name) && asks(request.get(name))) warn(name, "unsupported");
    request.delete(name);
  }
  if (request.delete("user")) warn("user", "dropped");
  // One answer is what there is anyway.
  if (request.get("n") === 1) request.delete("n");
  for (const name of request.keys()) warn(name, "unsupported");
  return { body, includeUsage: options.include_usage === true, warnings };
}

/** Who speaks, in Acme's words, and what. */
function translateMessage(message, at) {
  if (!isObject(message)) throw wrongType(at, "an object", message);
  const { role, content, tool_calls: calls } = message;
  if (role == null) throw missing(`${at}.role`);
  if (typeof role !== "string") throw wrongType(`${at}.role`, "a string", role);
  const says = textOf(content, `${at}.content`);
  switch (role) {
    case "system":
    case "developer":
      return { who: "instructions", says };
    case "user":
      return { who: "human", says };
    case "assistant":
      if (calls == null || isEmpty(calls)) return { who: "bot", says };
      throw unsupported(at, "Acme has no tools.");
    case "tool":
    case "function":
      throw unsupported(at, "Acme has no tools.");
    default: {
      const known = "'system', 'developer', 'user', 'assistant', 'tool' or 'function'";
      throw invalid(`${at}.role`, `Invalid value for '${at}.role': '${role}'; expected ${known}.`);
    }
  }
}

/** Acme reads text only. An image can't be left out without changing what the request means, so it is refused. */
function textOf(content, at) {
  if (content == null) return "";
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw wrongType(at, "a string or an array of content parts", content);
  const texts = content.map((part, index) => {
    if (["text", "input_text", "output_text"].includes(part?.type)) part = part.text;
    else if (typeof part?.type === "string") throw unsupported(`${at}[${index}]`, "Acme reads text only.");
    if (typeof part === "string") return part;
    throw invalid(`${at}[${index}]`, `Invalid '${at}[${index}]': expected a content part with a type.`);
  });
  return texts.join("");
}

function finishReason(body) {
  return text(body, "ended") === "limit" ? "length" : "stop";
}

function counted(body) {
  const counts = [body?.counted?.in, body?.counted?.out];
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 0)) return null;
  const [promptTokens, completionTokens] = counts;
  return { promptTokens, completionTokens, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
}

function usageBody({ promptTokens, completionTokens }) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
  };
}

// === Failures: thrown, they are the client's answer ===

function failure(kind, message, more = {}) {
  return { kind, status: 0, message, param: null, code: null, retryAfterMs: null, ...more };
}

function invalid(param, message) {
  return failure("invalid-request", message, { param });
}

function missing(param) {
  return invalid(param, `Missing required parameter: '${param}'.`);
}

function unsupported(param, message) {
  return failure("unsupported", message, { param });
}

function malformed(message) {
  return failure("upstream", message);
}

function wrongType(param, expected, found) {
  const names = { boolean: "a boolean", number: "a number", string: "a string", object: "an object" };
  const name = found === null ? "null" : Array.isArray(found) ? "an array" : names[typeof found];
  return invalid(param, `Invalid type for '${param}': expected ${expected}, but got ${name} instead.`);
}

/** Acme said no: the kind follows the status, unless the words say more. */
function refusal(status, why, headers) {
  const message = why ?? `acme answered ${status}`;
  let kind = KINDS[status] ?? (status >= 400 && status < 500 ? "invalid-request" : "upstream");
  if (status === 400 && message.toLowerCase().includes("prompt is too long")) kind = "context-window-exceeded";
  return failure(kind, message, { status: status === 529 ? 503 : status, retryAfterMs: retryAfterMs(headers) });
}

/** Dates are not read, for a plugin has no clock. */
function retryAfterMs(headers) {
  const value = headers.find(({ name }) => name === "retry-after")?.value.trim() ?? "";
  return /^\d{1,9}(\.\d*)?$/.test(value) ? Math.trunc(Number(value) * 1000) : null;
}

// === JSON that somebody else wrote: nothing of it may be trusted to have the right type ===

function take(request, name, isRight, expected) {
  const value = request.get(name);
  request.delete(name);
  if (value !== undefined && !isRight(value)) throw wrongType(name, expected, value);
  return value;
}

function text(value, name) {
  return typeof value?.[name] === "string" ? value[name] : undefined;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEmpty(value) {
  return Array.isArray(value) && value.length === 0;
}

function isOk(status) {
  return status >= 200 && status < 300;
}

/**
 * `undefined` for what is no JSON, or holds what can't be passed on: half a surrogate pair. A client's request is known
 * to be shallow: the gateway has read it.
 */
function parse(bytes, { isShallow = false } = {}) {
  try {
    const text = decode(bytes);
    if (!isShallow && isTooDeep(text)) return undefined;
    const value = JSON.parse(text);
    // Only an escape can stand for half a character; `stringify` writes it as one again.
    const isHalf = text.includes("\\u") && /\\ud[89a-f]/.test(JSON.stringify(value));
    return isHalf ? undefined : value;
  } catch {
    return undefined;
  }
}

/** The parser calls itself for each level, and a stack that is used up ends the call. */
function isTooDeep(text) {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case "[":
      case "{":
        if (++depth > DEEPEST) return true;
        break;
      case "]":
      case "}":
        depth--;
        break;
      case '"':
        // To the quote that ends the string: one behind an even number of backslashes.
        for (at = text.indexOf('"', at + 1); at >= 0; at = text.indexOf('"', at + 1)) {
          let before = at;
          while (text[before - 1] === "\\") before--;
          if ((at - before) % 2 === 0) break;
        }
        if (at < 0) return false;
        break;
      default:
    }
  }
  return false;
}

// QuickJS has no TextDecoder and no TextEncoder. What follows runs in the engine itself rather than byte by byte, which
// is what counts for a prompt of some megabytes.

/** @throws {URIError} The bytes are no UTF-8. */
function decode(bytes) {
  return decodeURIComponent(escape(atob(bytes.toBase64())));
}

/** JSON has no half surrogates, which couldn't be encoded: `stringify` escapes them. */
function toJson(value) {
  return Uint8Array.fromBase64(btoa(unescape(encodeURIComponent(JSON.stringify(value)))));
}
