"""A stand-in for OpenAI, Anthropic and Gemini on one port, for the tests of real clients.

It answers in each provider's own format and refuses what that provider would refuse (a wrong key, a wrong
path, a missing `max_tokens`). What it answers depends on the question alone, so that no test sets it up:

    tools, and no result yet     a call of the first tool, with arguments made from its schema;
                                 two calls when the question says "both"
    a tool's result              "The tool says: RESULT"
    a JSON schema                a document made from that schema
    "fail with 429"              that status, in the provider's words
    "break the stream"           half of it, then the connection is cut
    "be slow"                    the answer comes after ten seconds
    otherwise                    "You said: QUESTION", and how many images came with it
"""

from __future__ import annotations

import base64
import json
import re
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OPENAI_KEY = "sk-openai-of-the-operator"
ANTHROPIC_KEY = "sk-ant-of-the-operator"
GEMINI_KEY = "gemini-key-of-the-operator"

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n and a pixel").decode()
VECTOR = [0.5, -0.25, 0.125]


class Refused(Exception):
    """An error answer: its status, and what it says."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Question:
    """What a provider was asked, whatever the wire."""

    model: str
    text: str
    tools: dict[str, Any] = field(default_factory=dict)
    tool_results: list[str] = field(default_factory=list)
    schema: Any = None
    images: int = 0


@dataclass
class Answer:
    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    broken: bool = False


def answer(question: Question) -> Answer:
    if status := re.search(r"fail with (\d+)", question.text):
        raise Refused(int(status[1]), f"told to fail with {status[1]}")
    if "be slow" in question.text:
        time.sleep(10)
    if question.tool_results:
        return Answer(text="The tool says: " + ", ".join(question.tool_results))
    if question.tools:
        name, schema = next(iter(question.tools.items()))
        times = 2 if "both" in question.text else 1
        return Answer(calls=[(name, sample(schema, schema))] * times)
    if question.schema is not None:
        return Answer(text=json.dumps(sample(question.schema, question.schema)))
    seen = f" ({question.images} image)" if question.images else ""
    return Answer(text=f"You said: {question.text}{seen}", broken="break the stream" in question.text)


def sample(schema: Any, root: Any) -> Any:
    """A value that the JSON schema allows."""
    if reference := schema.get("$ref"):
        target = root
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        return sample(target, root)
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], root)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = str(schema.get("type", "object")).lower()
    if kind == "object":
        return {name: sample(inner, root) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema["items"], root)]
    return {"string": "Paris", "integer": 21, "number": 21.5, "boolean": True, "null": None}[kind]


def pieces(text: str) -> list[str]:
    """Cut as a model's tokens would be: a stream has several deltas."""
    return re.findall(r"\s*\S{1,6}", text) or [text]


def need(condition: Any, message: str) -> None:
    if not condition:
        raise Refused(400, message)


class OpenAi:
    @staticmethod
    def error(status: int, message: str) -> Any:
        kind = {429: "rate_limit_exceeded", 500: "server_error"}.get(status, "invalid_request_error")
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}

    @staticmethod
    def authorize(handler: Handler) -> None:
        if handler.headers.get("authorization") != f"Bearer {OPENAI_KEY}":
            raise Refused(401, "Incorrect API key provided.")

    @staticmethod
    def chat(handler: Handler, body: Any) -> None:
        question = OpenAi.question(body)
        reply = answer(question)
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        head = {"id": "chatcmpl-upstream", "created": 1_700_000_000, "model": question.model}
        calls = [
            {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for index, (name, arguments) in enumerate(reply.calls)
        ]
        finish = "tool_calls" if calls else "stop"
        if not body.get("stream"):
            message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
            if calls:
                message["tool_calls"] = calls
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
            return handler.json(200, head | {"object": "chat.completion", "choices": [choice], "usage": usage})

        include_usage = (body.get("stream_options") or {}).get("include_usage")

        def chunk(delta: Any, finish: Any = None) -> Any:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            more = {"usage": None} if include_usage else {}
            return head | {"object": "chat.completion.chunk", "choices": [choice]} | more

        deltas: list[Any] = [{"role": "assistant", "content": None if calls else ""}]
        deltas += [{"content": piece} for piece in pieces(reply.text)] if reply.text else []
        for index, call in enumerate(calls):
            opening = call | {"index": index, "function": call["function"] | {"arguments": ""}}
            deltas.append({"tool_calls": [opening]})
            for piece in pieces(call["function"]["arguments"]):
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        events = [("", chunk(delta)) for delta in deltas] + [("", chunk({}, finish))]
        if include_usage:
            events.append(("", head | {"object": "chat.completion.chunk", "choices": [], "usage": usage}))
        handler.stream(events, reply.broken, done=True)

    @staticmethod
    def question(body: Any) -> Question:
        question = Question(model=body["model"], text="")
        for message in body["messages"]:
            content = message.get("content")
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
            text = "".join(part.get("text", "") for part in parts)
            if message["role"] == "user":
                question.text, question.tool_results = text, []
                question.images = sum(part["type"] == "image_url" for part in parts)
            elif message["role"] == "tool":
                need(message.get("tool_call_id"), "a tool message needs tool_call_id")
                question.tool_results.append(text)
        for tool in body.get("tools") or []:
            question.tools[tool["function"]["name"]] = tool["function"].get("parameters", {})
        form = body.get("response_format") or {}
        if form.get("type") == "json_schema":
            need(form["json_schema"].get("name"), "response_format.json_schema.name is missing")
            question.schema = form["json_schema"]["schema"]
        return question

    @staticmethod
    def completions(handler: Handler, body: Any) -> None:
        choice = {"index": 0, "text": f"You said: {body['prompt']}", "logprobs": None, "finish_reason": "stop"}
        usage = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
        head = {"id": "cmpl-upstream", "object": "text_completion", "created": 1_700_000_000, "model": body["model"]}
        handler.json(200, head | {"choices": [choice], "usage": usage})

    @staticmethod
    def embeddings(handler: Handler, body: Any) -> None:
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        vector: Any = [len(texts[0]), *VECTOR] if isinstance(texts[0], str) else VECTOR
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(texts))]
        usage = {"prompt_tokens": 4, "total_tokens": 4}
        handler.json(200, {"object": "list", "data": data, "model": body["model"], "usage": usage})

    @staticmethod
    def images(handler: Handler, body: Any) -> None:
        need(body["model"].startswith("dall-e"), f"no image model: {body['model']}")
        image = {"revised_prompt": f"{body['prompt']}, in oil"}
        if body.get("response_format") == "b64_json":
            image["b64_json"] = PIXEL
        else:
            image["url"] = "https://images.example/1.png"
        handler.json(200, {"created": 1_700_000_000, "data": [image] * body.get("n", 1)})


class Anthropic:
    @staticmethod
    def error(status: int, message: str) -> Any:
        names = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 500: "api_error"}
        kind = names.get(status) or ("overloaded_error" if status == 529 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}

    @staticmethod
    def authorize(handler: Handler) -> None:
        if handler.headers.get("x-api-key") != ANTHROPIC_KEY:
            raise Refused(401, "invalid x-api-key")
        need(handler.headers.get("anthropic-version") == "2023-06-01", "anthropic-version: header is required")

    @staticmethod
    def messages(handler: Handler, body: Any) -> None:
        need(isinstance(body.get("max_tokens"), int), "max_tokens: Field required")
        question = Anthropic.question(body)
        reply = answer(question)
        blocks: list[Any] = [{"type": "text", "text": reply.text}] if reply.text else []
        blocks += [
            {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": arguments}
            for index, (name, arguments) in enumerate(reply.calls)
        ]
        reason = "tool_use" if reply.calls else "end_turn"
        usage = {"input_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 5}
        head = {"id": "msg_upstream", "type": "message", "role": "assistant", "model": question.model}
        if not body.get("stream"):
            end = {"stop_reason": reason, "stop_sequence": None, "usage": usage}
            return handler.json(200, head | {"content": blocks} | end)

        start = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage | {"output_tokens": 1}}
        events: list[Any] = [{"type": "message_start", "message": head | start}]
        for index, block in enumerate(blocks):
            text = block["type"] == "text"
            empty = {"text": ""} if text else {"input": {}}
            events.append({"type": "content_block_start", "index": index, "content_block": block | empty})
            events.append({"type": "ping"})
            for piece in pieces(block["text"] if text else json.dumps(block["input"])):
                delta = {"type": "text_delta", "text": piece}
                if not text:
                    delta = {"type": "input_json_delta", "partial_json": piece}
                events.append({"type": "content_block_delta", "index": index, "delta": delta})
            events.append({"type": "content_block_stop", "index": index})
        end = {"stop_reason": reason, "stop_sequence": None}
        events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}})
        events.append({"type": "message_stop"})
        handler.stream([(event["type"], event) for event in events], reply.broken)

    @staticmethod
    def question(body: Any) -> Question:
        question = Question(model=body["model"], text="")
        previous = None
        for message in body["messages"]:
            need(message["role"] in ("user", "assistant"), f"messages: no role {message['role']}")
            need(message["role"] != previous, "messages: roles must alternate")
            previous = message["role"]
            content = message["content"]
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            if message["role"] != "user":
                continue
            question.text = "".join(part["text"] for part in parts if part["type"] == "text")
            question.images = sum(part["type"] == "image" for part in parts)
            question.tool_results = [Anthropic.result(part) for part in parts if part["type"] == "tool_result"]
        for tool in body.get("tools") or []:
            question.tools[tool["name"]] = tool["input_schema"]
        form = (body.get("output_config") or {}).get("format") or body.get("output_format")
        if form:
            question.schema = form["schema"]
        return question

    @staticmethod
    def result(part: Any) -> str:
        need(str(part.get("tool_use_id", "")).startswith("toolu_"), "tool_result: unknown tool_use_id")
        content = part["content"]
        return content if isinstance(content, str) else "".join(inner["text"] for inner in content)


class Gemini:
    @staticmethod
    def error(status: int, message: str) -> Any:
        names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
        return {"error": {"code": status, "message": message, "status": names.get(status, "INTERNAL")}}

    @staticmethod
    def authorize(handler: Handler) -> None:
        if handler.headers.get("x-goog-api-key") != GEMINI_KEY:
            raise Refused(400, "API key not valid. Please pass a valid API key.")

    @staticmethod
    def generate(handler: Handler, body: Any, model: str, streaming: bool) -> None:
        question = Gemini.question(body, model)
        reply = answer(question)
        usage = {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}
        more = {"usageMetadata": usage, "modelVersion": model, "responseId": "upstream"}

        def chunk(parts: list[Any], last: bool) -> Any:
            end = {"finishReason": "STOP"} if last else {}
            return {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0} | end]} | more

        parts: list[Any] = [{"text": reply.text}] if reply.text else []
        parts += [{"functionCall": {"name": name, "args": arguments}} for name, arguments in reply.calls]
        if not streaming:
            return handler.json(200, chunk(parts, last=True))
        if reply.text:
            parts = [{"text": piece} for piece in pieces(reply.text)]
        events = [("", chunk([part], last=part is parts[-1])) for part in parts]
        handler.stream(events, reply.broken)

    @staticmethod
    def question(body: Any, model: str) -> Question:
        question = Question(model=model, text="")
        for content in body["contents"]:
            parts = content["parts"]
            if content.get("role") == "model":
                continue
            question.text = "".join(part.get("text", "") for part in parts)
            question.images = sum("inlineData" in part or "inline_data" in part for part in parts)
            results = [part.get("functionResponse") or part.get("function_response") for part in parts]
            question.tool_results = [Gemini.result(result) for result in results if result]
        for tool in body.get("tools") or []:
            for function in tool.get("functionDeclarations") or tool.get("function_declarations") or []:
                schema = function.get("parametersJsonSchema") or function.get("parameters") or {}
                question.tools[function["name"]] = schema
        config = body.get("generationConfig") or {}
        schema = config.get("responseJsonSchema") or config.get("responseSchema")
        if schema:
            need(config.get("responseMimeType") == "application/json", "responseSchema needs application/json")
            question.schema = schema
        return question

    @staticmethod
    def result(result: Any) -> str:
        need(result.get("name"), "functionResponse.name: Field required")
        need(isinstance(result.get("response"), dict), "functionResponse.response: must be an object")
        return " ".join(str(value) for value in result["response"].values())

    @staticmethod
    def embed(handler: Handler, body: Any, model: str) -> None:
        need(all(one["model"] == f"models/{model}" for one in body["requests"]), "requests[].model differs")
        texts = ["".join(part["text"] for part in one["content"]["parts"]) for one in body["requests"]]
        handler.json(200, {"embeddings": [{"values": [len(text), *VECTOR]} for text in texts]})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = self.path.split("?")[0]
        wire: Any = OpenAi
        if path.startswith("/v1beta/"):
            wire = Gemini
        elif path == "/v1/messages":
            wire = Anthropic
        try:
            wire.authorize(self)
            self.answer(path, body)
        except Refused as refused:
            self.json(refused.status, wire.error(refused.status, refused.message))
        except ConnectionError:
            self.close_connection = True
        except Exception as error:
            # Whoever wrote the test sees it in the client's exception.
            self.json(400, wire.error(400, f"the fake upstream can't read this: {error!r}"))

    def answer(self, path: str, body: Any) -> None:
        plain = {
            "/v1/chat/completions": OpenAi.chat,
            "/v1/completions": OpenAi.completions,
            "/v1/embeddings": OpenAi.embeddings,
            "/v1/images/generations": OpenAi.images,
            "/v1/messages": Anthropic.messages,
        }
        if path in plain:
            return plain[path](self, body)
        gemini = re.fullmatch(r"/v1beta/models/([^/:]+):(\w+)", path)
        if gemini and gemini[2] == "generateContent":
            return Gemini.generate(self, body, gemini[1], streaming=False)
        if gemini and gemini[2] == "streamGenerateContent":
            need(self.path.endswith("?alt=sse"), "the gateway reads event streams")
            return Gemini.generate(self, body, gemini[1], streaming=True)
        if gemini and gemini[2] == "batchEmbedContents":
            return Gemini.embed(self, body, gemini[1])
        raise Refused(404, f"no such path: {self.path}")

    def json(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        if status == 429:
            self.send_header("retry-after", "1")
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events: list[tuple[str, Any]], broken: bool, done: bool = False) -> None:
        """Sends (name, document) pairs as server-sent events, one a write; only the first half when `broken`."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for name, document in events[: len(events) // 2 if broken else None]:
            head = f"event: {name}\n" if name else ""
            self.chunk(f"{head}data: {json.dumps(document)}\n\n".encode())
        if broken:
            self.close_connection = True
            return
        if done:
            self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


class Upstream(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no error here."""


def start() -> str:
    """Serves on a free port until the process ends; returns the origin."""
    server = Upstream(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
