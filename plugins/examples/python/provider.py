"""Canonical to Acme's "talk" API and back.

The gateway makes an `Exchange` for each call and calls its methods in order: `begin`, `head`, and `whole` or
`events` … `end`. What a call has to remember is in its `Exchange`, nothing in globals: the manifest (`app.py`) says
`reusable`, so that the next call finds the interpreter as this one leaves it.
"""

import json
import re
from functools import wraps
from math import isfinite

from componentize_py_types import Err
from wit_world.exports import provider as p
from wit_world.imports import log
from wit_world.imports.types import (
    Call,
    Failure,
    FailureKind,
    Header,
    HttpRequest,
    HttpResponse,
    Loss,
    Usage,
    Warning,
)

# What Acme lacks, with the values that ask for nothing.
LACKS = {
    "tools": ([],),
    "tool_choice": (),
    "parallel_tool_calls": (),
    "response_format": ({"type": "text"},),
    "reasoning_effort": (),
    "stop": ([],),
    "top_p": (),
}

KINDS = {
    401: FailureKind.AUTHENTICATION,
    402: FailureKind.QUOTA_EXCEEDED,
    403: FailureKind.PERMISSION,
    404: FailureKind.NOT_FOUND,
    408: FailureKind.TIMEOUT,
    413: FailureKind.TOO_LARGE,
    429: FailureKind.RATE_LIMITED,
    503: FailureKind.OVERLOADED,
    504: FailureKind.TIMEOUT,
    529: FailureKind.OVERLOADED,
}


def told(method):
    """What is raised and isn't a failure ends the call without a word of its own, so it is logged where it leaves.

    A message of yours ends up there too: put no prompts and no answers into exceptions.
    """

    @wraps(method)
    def edge(*args):
        try:
            return method(*args)
        except Err:
            raise
        except Exception as error:
            at = error.__traceback__
            while at.tb_next:
                at = at.tb_next
            place = f"{at.tb_frame.f_code.co_filename.rpartition('/')[2]}:{at.tb_lineno}"
            log.log(log.Level.ERROR, f"{repr(error)[:200]} at {place}")
            raise

    return edge


class Exchange(p.Exchange):
    """One call, as far as it has to be remembered until the answer is complete."""

    def __init__(self, call: Call, include_usage: bool):
        self.streaming = call.streaming
        self.include_usage = include_usage
        self.head_of_answer = {"id": f"chatcmpl-{call.id}", "created": call.created, "model": call.requested_model}
        self.begun = False

    @classmethod
    @told
    def begin(cls, call: Call) -> tuple["Exchange", p.Begun, list[Warning]]:
        given = parse(call.body)
        if not isinstance(given, dict):
            raise failure(FailureKind.INVALID_REQUEST, "The request body is not valid JSON.")
        request = {name: value for name, value in given.items() if value is not None}
        body, include_usage, warnings = translate(call, request)
        send = HttpRequest(
            method="POST",
            path="talk",
            query=[],
            headers=[Header("acme-version", "3")],
            body=to_json(body),
        )
        return cls(call, include_usage), p.Begun_Send(send), warnings

    @told
    def head(self, status: int, headers: list[Header]) -> p.Reading:
        streamed = self.streaming and 200 <= status < 300
        return p.Reading_Events(p.Framing.SSE) if streamed else p.Reading_Whole()

    @told
    def whole(self, response: HttpResponse) -> p.Settled:
        body = parse(response.body)
        if not 200 <= response.status < 300:
            raise refusal(response.status, text(field(body, "trouble"), "why"), response.headers)
        reply = text(body, "reply")
        if reply is None:
            raise malformed("acme answered without a reply")
        usage = counted(body)
        answer = self.answer("chat.completion")
        answer["choices"] = [
            {
                "index": 0,
                "message": {"role": "assistant", "content": reply, "refusal": None},
                "logprobs": None,
                "finish_reason": finish_reason(body),
            }
        ]
        if usage:
            answer["usage"] = usage_body(usage)
        return p.Settled_Done(p.Completion(body=to_json(answer), usage=usage))

    @told
    def events(self, events: list[p.Event]) -> p.Batch:
        chunks, usage, done = [], None, False
        for event in events:
            data = parse(event.data)
            if data is NOT_JSON:
                raise malformed("acme sent an event that is not JSON")
            if event.name == "word":
                chunks.append(self.chunk(content=text(data, "text") or ""))
            elif event.name == "end":
                if not self.begun:
                    chunks.append(self.chunk(content=""))
                chunks.append(self.chunk(finish_reason=finish_reason(data)))
                usage = counted(data)
                if usage and self.include_usage:
                    last = self.answer("chat.completion.chunk")
                    chunks.append(to_json(last | {"choices": [], "usage": usage_body(usage)}))
                done = True
            elif event.name == "trouble":
                raise malformed(text(data, "why") or "acme failed in the stream")
            # Others came after this was written.
        return p.Batch(chunks=chunks, usage=usage, done=done)

    @told
    def end(self, ending: p.Ending) -> p.Batch:
        raise malformed("acme ended the stream before the answer was complete")

    def answer(self, kind: str) -> dict:
        head = self.head_of_answer
        return {"id": head["id"], "object": kind, "created": head["created"], "model": head["model"]}

    def chunk(self, content: str | None = None, finish_reason: str | None = None) -> bytes:
        delta = {} if content is None else {"content": content}
        if not self.begun:
            self.begun = True
            delta = {"role": "assistant"} | delta
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return to_json(self.answer("chat.completion.chunk") | {"choices": [choice]})


def translate(call: Call, request: dict) -> tuple[dict, bool, list[Warning]]:
    """`{"engine", "instructions", "turns": [{"who", "says"}], "limit", "heat", "stream"}`"""
    warnings: list[Warning] = []
    # Both are the gateway's: the call says them.
    request.pop("model", None)
    request.pop("stream", None)
    options = take(request, "stream_options", dict, "an object") or {}
    include_usage = options.pop("include_usage", None) is True
    warnings += [Warning(f"stream_options.{name}", Loss.DROPPED) for name in options]

    messages = take(request, "messages", list, "an array")
    if messages is None:
        raise invalid("messages", "Missing required parameter: 'messages'.")
    if not messages:
        raise invalid("messages", "Invalid 'messages': expected at least one message.")
    instructions, turns = [], []
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        who, says = translate_message(message, at)
        if who == "instructions":
            instructions.append(says)
            continue
        if message.get("name") is not None:
            warnings.append(Warning(f"{at}.name", Loss.DROPPED))
        turns.append({"who": who, "says": says})

    body = {"engine": call.model, "turns": turns}
    if instructions:
        body["instructions"] = "\n".join(instructions)
    newer = take(request, "max_completion_tokens", int, "a whole number that is not negative")
    older = take(request, "max_tokens", int, "a whole number that is not negative")
    if (limit := older if newer is None else newer) is not None:
        body["limit"] = limit
    if (heat := take(request, "temperature", (int, float), "a number")) is not None:
        body["heat"] = heat
    if call.streaming:
        body["stream"] = True

    # What Acme lacks. `drop_params` decides whether that is an error.
    for name, harmless in LACKS.items():
        if name in request and request.pop(name) not in harmless:
            warnings.append(Warning(name, Loss.UNSUPPORTED))
    if "user" in request:
        del request["user"]
        warnings.append(Warning("user", Loss.DROPPED))
    # One answer is what there is anyway.
    if request.get("n") == 1:
        del request["n"]
    warnings += [Warning(name, Loss.UNSUPPORTED) for name in request]
    return body, include_usage, warnings


def translate_message(message: object, at: str) -> tuple[str, str]:
    """Who speaks, in Acme's words, and what."""
    if not isinstance(message, dict):
        raise wrong_type(at, "an object", message)
    role = message.get("role")
    if role is None:
        raise invalid(f"{at}.role", f"Missing required parameter: '{at}.role'.")
    says = text_of(message.get("content"), f"{at}.content")
    match role:
        case "system" | "developer":
            return "instructions", says
        case "user":
            return "human", says
        case "assistant" if not message.get("tool_calls"):
            return "bot", says
        case "assistant" | "tool" | "function":
            raise unsupported(at, "Acme has no tools.")
        case str():
            known = "'system', 'developer', 'user', 'assistant', 'tool' or 'function'"
            raise invalid(f"{at}.role", f"Invalid value for '{at}.role': '{role}'; expected {known}.")
        case _:
            raise wrong_type(f"{at}.role", "a string", role)


def text_of(content: object, at: str) -> str:
    """Acme reads text only. An image can't be left out without changing what the request means, so it is refused."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise wrong_type(at, "a string or an array of content parts", content)
    texts = []
    for index, part in enumerate(content):
        if isinstance(part, dict) and part.get("type") in ("text", "input_text", "output_text"):
            part = part.get("text")
        elif isinstance(part, dict) and isinstance(part.get("type"), str):
            raise unsupported(f"{at}[{index}]", "Acme reads text only.")
        if not isinstance(part, str):
            raise invalid(f"{at}[{index}]", f"Invalid '{at}[{index}]': expected a content part with a type.")
        texts.append(part)
    return "".join(texts)


def finish_reason(body: object) -> str:
    return "length" if text(body, "ended") == "limit" else "stop"


def counted(body: object) -> Usage | None:
    counts = [field(field(body, "counted"), name) for name in ("in", "out")]
    if not all(type(count) is int and 0 <= count < 2**64 for count in counts):
        return None
    return Usage(counts[0], counts[1], cache_read_tokens=0, cache_write_tokens=0, reasoning_tokens=0)


def usage_body(usage: Usage) -> dict:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": min(usage.prompt_tokens + usage.completion_tokens, 2**64 - 1),
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


# === Failures: raised, they are the client's answer ===


def failure(kind: FailureKind, message: str, param: str | None = None, status: int = 0, wait: int | None = None) -> Err:
    return Err(Failure(kind, status, message, param, code=None, retry_after_ms=wait))


def invalid(param: str, message: str) -> Err:
    return failure(FailureKind.INVALID_REQUEST, message, param)


def unsupported(param: str, message: str) -> Err:
    return failure(FailureKind.UNSUPPORTED, message, param)


def malformed(message: str) -> Err:
    return failure(FailureKind.UPSTREAM, message)


def wrong_type(param: str, expected: str, found: object) -> Err:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array", dict: "an object"}
    found = names.get(type(found), "null")
    return invalid(param, f"Invalid type for '{param}': expected {expected}, but got {found} instead.")


def refusal(status: int, why: str | None, headers: list[Header]) -> Err:
    """Acme said no: the kind follows the status, unless the words say more."""
    message = why or f"acme answered {status}"
    kind = KINDS.get(status, FailureKind.INVALID_REQUEST if 400 <= status < 500 else FailureKind.UPSTREAM)
    if status == 400 and "prompt is too long" in message.lower():
        kind = FailureKind.CONTEXT_WINDOW_EXCEEDED
    return failure(kind, message, status=503 if status == 529 else status, wait=retry_after_ms(headers))


def retry_after_ms(headers: list[Header]) -> int | None:
    """Dates are not read, for a plugin has no clock."""
    for header in headers:
        if header.name == "retry-after":
            seconds = header.value.strip()
            return int(float(seconds) * 1000) if re.fullmatch(r"\d{1,9}(\.\d*)?", seconds) else None
    return None


# === JSON that somebody else wrote: nothing of it may be trusted to have the right type ===


def take(request: dict, name: str, kind: type | tuple, expected: str):
    value = request.pop(name, None)
    right = value is None or isinstance(value, kind) and not isinstance(value, bool)
    if not right or kind is int and value is not None and not 0 <= value < 2**64:
        raise wrong_type(name, expected, value)
    return value


def field(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def text(value: object, name: str) -> str | None:
    found = field(value, name)
    return found if isinstance(found, str) else None


NOT_JSON = object()
DEEPEST = 127


def parse(body: bytes) -> object:
    """`NOT_JSON` for what is none, or holds what can't be passed on: half a surrogate pair, a number without end."""
    if is_too_deep(body):
        return NOT_JSON
    try:
        value = json.loads(body, parse_constant=not_finite, parse_float=finite)
        # Only an escape can stand for half a character.
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except (ValueError, RecursionError):
        return NOT_JSON


def is_too_deep(body: bytes) -> bool:
    """The parser calls itself for each level, and a stack that is used up ends the call. Few documents are counted."""
    depth = 0
    if body.count(b"[") + body.count(b"{") > DEEPEST:
        for token in re.finditer(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', body, re.DOTALL):
            depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
            if depth > DEEPEST:
                return True
    return False


def finite(digits: str) -> float:
    number = float(digits)
    return number if isfinite(number) else not_finite(digits)


def not_finite(digits: str) -> float:
    raise ValueError(digits)


def to_json(value: dict) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
