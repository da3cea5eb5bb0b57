// Canonical to Acme's "talk" API and back.
//
// The gateway calls `describe` once, and then the methods of an exchange for each call, in order: `begin`, `head`, and
// `whole` or `events` … `end`. Those return true, or false for a failure, which is the client's answer.

#include <stdlib.h>
#include <string.h>

#include "bindings/provider_plugin.h"
#include "json.h"

typedef provider_plugin_string_t string;
typedef provider_plugin_list_u8_t bytes;
typedef exports_ai_api_plugin_provider_call_t call_t;
typedef exports_ai_api_plugin_provider_failure_t failure;
typedef exports_ai_api_plugin_provider_usage_t usage;
typedef exports_ai_api_plugin_provider_option_usage_t option_usage;
typedef exports_ai_api_plugin_provider_list_warning_t warnings;
typedef exports_ai_api_plugin_provider_batch_t batch;

#define KIND(name) AI_API_PLUGIN_TYPES_FAILURE_KIND_##name
#define UNSUPPORTED AI_API_PLUGIN_TYPES_LOSS_UNSUPPORTED
#define DROPPED AI_API_PLUGIN_TYPES_LOSS_DROPPED

// One call, as far as it has to be remembered until the answer is complete.
struct exports_ai_api_plugin_provider_exchange_t {
    text id, model;
    uint64_t created;
    bool streaming, include_usage;
    // The first chunk, which has the role, is out.
    bool begun;
};
typedef exports_ai_api_plugin_provider_exchange_t exchange;

static text from_string(string from) { return (text){(const char *)from.ptr, from.len}; }
static string to_string(text from) { return (string){(uint8_t *)from.ptr, from.len}; }
static bytes to_bytes(const buffer *from) { return (bytes){(uint8_t *)from->ptr, from->len}; }
#define STRING(literal) to_string(TEXT(literal))

// === Failures ===

static bool fail(failure *err, uint8_t kind, text message) {
    *err = (failure){.kind = kind, .message = to_string(message)};
    return false;
}

static bool fail_at(failure *err, uint8_t kind, text param, text message) {
    fail(err, kind, message);
    err->param = (provider_plugin_option_string_t){true, to_string(param)};
    return false;
}

// The parts, one behind the other.
#define JOIN(...) join((text[]){__VA_ARGS__}, sizeof((text[]){__VA_ARGS__}) / sizeof(text))
static text join(const text *parts, size_t count) {
    buffer all = {0};
    for (size_t i = 0; i < count; i++) put(&all, parts[i]);
    return written(&all);
}

// `messages[2]`
static text indexed(text list, uint64_t index) {
    buffer path = {0};
    put(&path, list);
    put(&path, TEXT("["));
    put_number(&path, index);
    put(&path, TEXT("]"));
    return written(&path);
}

static bool missing(failure *err, text param) {
    return fail_at(err, KIND(INVALID_REQUEST), param, JOIN(TEXT("Missing required parameter: '"), param, TEXT("'.")));
}

static bool wrong_type(failure *err, text param, text expected, const json *found) {
    static const text names[] = {
        [JSON_NULL] = TEXT("null"),       [JSON_BOOLEAN] = TEXT("a boolean"), [JSON_NUMBER] = TEXT("a number"),
        [JSON_STRING] = TEXT("a string"), [JSON_ARRAY] = TEXT("an array"),    [JSON_OBJECT] = TEXT("an object"),
    };
    text message = JOIN(TEXT("Invalid type for '"), param, TEXT("': expected "), expected, TEXT(", but got "),
                        names[found->kind], TEXT(" instead."));
    return fail_at(err, KIND(INVALID_REQUEST), param, message);
}

// === The request ===

static void warn(warnings *all, text path, uint8_t loss) {
    all->ptr = realloc(all->ptr, (all->len + 1) * sizeof *all->ptr);
    all->ptr[all->len++] = (exports_ai_api_plugin_provider_warning_t){to_string(path), loss};
}

// Acme reads text only. An image can't be left out without changing what the request means, so it is refused.
static bool text_of(const json *content, text at, text *says, failure *err) {
    *says = TEXT("");
    if (!content) return true;
    if (json_text(content)) {
        *says = *json_text(content);
        return true;
    }
    if (!json_is(content, JSON_ARRAY)) {
        return wrong_type(err, at, TEXT("a string or an array of content parts"), content);
    }
    buffer all = {0};
    uint64_t index = 0;
    for (const json *part = content->first; part; part = part->next, index++) {
        const text *kind = json_text(json_get(part, TEXT("type"))), *piece = json_text(part);
        bool is_text = kind && (text_is(*kind, TEXT("text")) || text_is(*kind, TEXT("input_text")) ||
                                text_is(*kind, TEXT("output_text")));
        if (is_text) piece = json_text(json_get(part, TEXT("text")));
        else if (kind) return fail_at(err, KIND(UNSUPPORTED), indexed(at, index), TEXT("Acme reads text only."));
        if (!piece) {
            text place = indexed(at, index);
            text message = JOIN(TEXT("Invalid '"), place, TEXT("': expected a content part with a type."));
            return fail_at(err, KIND(INVALID_REQUEST), place, message);
        }
        put(&all, *piece);
    }
    *says = written(&all);
    return true;
}

// Puts a message where it belongs: among the instructions, or the turns.
static bool translate_message(const json *message, text at, buffer *turns, buffer *instructions, warnings *lost,
                              failure *err) {
    if (!json_is(message, JSON_OBJECT)) return wrong_type(err, at, TEXT("an object"), message);
    const json *role = json_get(message, TEXT("role"));
    text role_at = JOIN(at, TEXT(".role"));
    if (!role) return missing(err, role_at);
    if (!json_text(role)) return wrong_type(err, role_at, TEXT("a string"), role);
    text word = *json_text(role), says, who;
    if (!text_of(json_get(message, TEXT("content")), JOIN(at, TEXT(".content")), &says, err)) return false;
    const json *calls = json_get(message, TEXT("tool_calls"));
    if (text_is(word, TEXT("system")) || text_is(word, TEXT("developer"))) {
        if (instructions->len) put(instructions, TEXT("\n"));
        put(instructions, says);
        return true;
    } else if (text_is(word, TEXT("user"))) {
        who = TEXT("human");
    } else if (text_is(word, TEXT("assistant")) && (!calls || json_is_empty_array(calls))) {
        who = TEXT("bot");
    } else if (text_is(word, TEXT("assistant")) || text_is(word, TEXT("tool")) || text_is(word, TEXT("function"))) {
        return fail_at(err, KIND(UNSUPPORTED), at, TEXT("Acme has no tools."));
    } else {
        text known = TEXT("'; expected 'system', 'developer', 'user', 'assistant', 'tool' or 'function'.");
        text message = JOIN(TEXT("Invalid value for '"), role_at, TEXT("': '"), word, known);
        return fail_at(err, KIND(INVALID_REQUEST), role_at, message);
    }
    if (json_get(message, TEXT("name"))) warn(lost, JOIN(at, TEXT(".name")), DROPPED);
    if (turns->len) put(turns, TEXT(","));
    put(turns, TEXT("{\"who\":"));
    put_string(turns, who);
    put(turns, TEXT(",\"says\":"));
    put_string(turns, says);
    put(turns, TEXT("}"));
    return true;
}

// A count of tokens, where there is one: `*found` stays as it is otherwise.
static bool take_count(json *request, text name, const json **found, failure *err) {
    const json *value = json_take(request, name);
    uint64_t number;
    if (value && !json_u64(value, &number)) {
        return wrong_type(err, name, TEXT("a whole number that is not negative"), value);
    }
    if (value) *found = value;
    return true;
}

// What Acme lacks. `drop_params` decides whether that is an error.
static void warn_of_rest(json *request, warnings *lost) {
    static const text lacks[] = {
        TEXT("tools"), TEXT("tool_choice"), TEXT("parallel_tool_calls"), TEXT("response_format"),
        TEXT("reasoning_effort"), TEXT("stop"), TEXT("top_p"),
    };
    for (size_t i = 0; i < sizeof lacks / sizeof *lacks; i++) {
        const json *value = json_take(request, lacks[i]);
        const text *kind = json_text(json_get(value, TEXT("type")));
        bool harmless = json_is_empty_array(value) || (kind && text_is(*kind, TEXT("text")));
        if (value && !harmless) warn(lost, lacks[i], UNSUPPORTED);
    }
    if (json_take(request, TEXT("user"))) warn(lost, TEXT("user"), DROPPED);
    // One answer is what there is anyway.
    uint64_t n;
    if (json_u64(json_get(request, TEXT("n")), &n) && n == 1) json_take(request, TEXT("n"));
    for (const json *member = request->first; member; member = member->next) {
        if (!member->taken && member->kind != JSON_NULL) warn(lost, member->key, UNSUPPORTED);
    }
}

// {"engine", "instructions", "turns": [{"who", "says"}], "limit", "heat", "stream"}
static bool translate(const call_t *call, json *request, buffer *body, exchange *self, warnings *lost, failure *err) {
    // Both are the gateway's: the call says them.
    json_take(request, TEXT("model"));
    json_take(request, TEXT("stream"));
    const json *options = json_take(request, TEXT("stream_options"));
    if (options && options->kind != JSON_OBJECT) {
        return wrong_type(err, TEXT("stream_options"), TEXT("an object"), options);
    }
    for (const json *option = options ? options->first : NULL; option; option = option->next) {
        if (option->kind == JSON_NULL) continue;
        if (text_is(option->key, TEXT("include_usage"))) self->include_usage = option->boolean;
        else warn(lost, JOIN(TEXT("stream_options."), option->key), DROPPED);
    }

    const json *messages = json_take(request, TEXT("messages"));
    if (!messages) return missing(err, TEXT("messages"));
    if (messages->kind != JSON_ARRAY) return wrong_type(err, TEXT("messages"), TEXT("an array"), messages);
    if (!messages->first) {
        text message = TEXT("Invalid 'messages': expected at least one message.");
        return fail_at(err, KIND(INVALID_REQUEST), TEXT("messages"), message);
    }
    buffer turns = {0}, instructions = {0};
    uint64_t index = 0;
    for (const json *message = messages->first; message; message = message->next, index++) {
        text at = indexed(TEXT("messages"), index);
        if (!translate_message(message, at, &turns, &instructions, lost, err)) return false;
    }

    put(body, TEXT("{\"engine\":"));
    put_string(body, from_string(call->model));
    put(body, TEXT(",\"turns\":["));
    put(body, written(&turns));
    put(body, TEXT("]"));
    if (instructions.len) {
        put(body, TEXT(",\"instructions\":"));
        put_string(body, written(&instructions));
    }
    // The newer name wins.
    const json *limit = NULL;
    if (!take_count(request, TEXT("max_tokens"), &limit, err)) return false;
    if (!take_count(request, TEXT("max_completion_tokens"), &limit, err)) return false;
    if (limit) {
        put(body, TEXT(",\"limit\":"));
        put(body, limit->text);
    }
    const json *heat = json_take(request, TEXT("temperature"));
    if (heat && heat->kind != JSON_NUMBER) return wrong_type(err, TEXT("temperature"), TEXT("a number"), heat);
    if (heat) {
        put(body, TEXT(",\"heat\":"));
        put(body, heat->text);
    }
    if (call->streaming) put(body, TEXT(",\"stream\":true"));
    put(body, TEXT("}"));
    warn_of_rest(request, lost);
    return true;
}

// === The answer ===

static text finish_reason(const json *body) {
    const text *ended = json_text(json_get(body, TEXT("ended")));
    return ended && text_is(*ended, TEXT("limit")) ? TEXT("length") : TEXT("stop");
}

static option_usage counted(const json *body) {
    const json *counts = json_get(body, TEXT("counted"));
    option_usage found = {0};
    found.is_some = json_u64(json_get(counts, TEXT("in")), &found.val.prompt_tokens) &&
                    json_u64(json_get(counts, TEXT("out")), &found.val.completion_tokens);
    return found;
}

static void put_usage(buffer *out, const usage *usage) {
    uint64_t total;
    if (__builtin_add_overflow(usage->prompt_tokens, usage->completion_tokens, &total)) total = UINT64_MAX;
    put(out, TEXT("\"usage\":{\"prompt_tokens\":"));
    put_number(out, usage->prompt_tokens);
    put(out, TEXT(",\"completion_tokens\":"));
    put_number(out, usage->completion_tokens);
    put(out, TEXT(",\"total_tokens\":"));
    put_number(out, total);
    put(out, TEXT(",\"prompt_tokens_details\":{\"cached_tokens\":0}"));
    put(out, TEXT(",\"completion_tokens_details\":{\"reasoning_tokens\":0}}"));
}

// {"id", "object", "created", "model", "choices":[
static buffer begin_answer(const exchange *self, text object) {
    buffer out = {0};
    put(&out, TEXT("{\"id\":"));
    put_string(&out, JOIN(TEXT("chatcmpl-"), self->id));
    put(&out, TEXT(",\"object\":"));
    put_string(&out, object);
    put(&out, TEXT(",\"created\":"));
    put_number(&out, self->created);
    put(&out, TEXT(",\"model\":"));
    put_string(&out, self->model);
    put(&out, TEXT(",\"choices\":["));
    return out;
}

static void push(batch *out, const buffer *chunk) {
    out->chunks.ptr = realloc(out->chunks.ptr, (out->chunks.len + 1) * sizeof *out->chunks.ptr);
    out->chunks.ptr[out->chunks.len++] = to_bytes(chunk);
}

// One choice's delta: `content` and `finish` may be NULL.
static void push_delta(exchange *self, batch *out, const text *content, const text *finish) {
    buffer chunk = begin_answer(self, TEXT("chat.completion.chunk"));
    put(&chunk, TEXT("{\"index\":0,\"delta\":{"));
    if (!self->begun) put(&chunk, TEXT("\"role\":\"assistant\","));
    self->begun = true;
    if (content) {
        put(&chunk, TEXT("\"content\":"));
        put_string(&chunk, *content);
    }
    put(&chunk, TEXT("},\"logprobs\":null,\"finish_reason\":"));
    if (finish) put_string(&chunk, *finish);
    else put(&chunk, TEXT("null"));
    put(&chunk, TEXT("}]}"));
    push(out, &chunk);
}

static void push_end(exchange *self, batch *out, const json *data) {
    text finish = finish_reason(data), nothing = TEXT("");
    if (!self->begun) push_delta(self, out, &nothing, NULL);
    push_delta(self, out, NULL, &finish);
    out->usage = counted(data);
    if (out->usage.is_some && self->include_usage) {
        buffer chunk = begin_answer(self, TEXT("chat.completion.chunk"));
        put(&chunk, TEXT("],"));
        put_usage(&chunk, &out->usage.val);
        put(&chunk, TEXT("}"));
        push(out, &chunk);
    }
    out->done = true;
}

// How long Acme asks to wait, in seconds. Dates are not read, for a plugin has no clock.
static provider_plugin_option_u64_t retry_after_ms(const ai_api_plugin_types_list_header_t *headers) {
    provider_plugin_option_u64_t wait = {0};
    for (size_t i = 0; i < headers->len; i++) {
        text value = from_string(headers->ptr[i].value);
        if (!text_is(from_string(headers->ptr[i].name), TEXT("retry-after"))) continue;
        uint64_t ms = 0;
        int decimals = -1;
        for (size_t at = 0; at < value.len; at++) {
            char c = value.ptr[at];
            if (c == '.' && decimals < 0) decimals = 0;
            else if (c < '0' || c > '9' || ms > UINT32_MAX) return wait;
            else if (decimals < 3) {
                ms = ms * 10 + (uint64_t)(c - '0');
                if (decimals >= 0) decimals++;
            }
        }
        for (int places = decimals < 0 ? 0 : decimals; places < 3; places++) ms *= 10;
        wait = (provider_plugin_option_u64_t){value.len > 0, ms};
        return wait;
    }
    return wait;
}

// Acme said no: the kind follows the status, unless the words say more.
static bool refuse(uint16_t status, const json *body, const ai_api_plugin_types_list_header_t *headers, failure *err) {
    const text *why = json_text(json_get(json_get(body, TEXT("trouble")), TEXT("why")));
    text message;
    if (why) {
        message = *why;
    } else {
        buffer said = {0};
        put(&said, TEXT("acme answered "));
        put_number(&said, status);
        message = written(&said);
    }
    uint8_t kind = status >= 400 && status < 500 ? KIND(INVALID_REQUEST) : KIND(UPSTREAM);
    switch (status) {
    case 400:
        if (text_contains_ignoring_case(message, TEXT("prompt is too long"))) kind = KIND(CONTEXT_WINDOW_EXCEEDED);
        break;
    case 401: kind = KIND(AUTHENTICATION); break;
    case 402: kind = KIND(QUOTA_EXCEEDED); break;
    case 403: kind = KIND(PERMISSION); break;
    case 404: kind = KIND(NOT_FOUND); break;
    case 408: case 504: kind = KIND(TIMEOUT); break;
    case 413: kind = KIND(TOO_LARGE); break;
    case 429: kind = KIND(RATE_LIMITED); break;
    case 503: case 529: kind = KIND(OVERLOADED); break;
    }
    fail(err, kind, message);
    err->status = status == 529 ? 503 : status;
    err->retry_after_ms = retry_after_ms(headers);
    return false;
}

// === What the gateway calls ===

static bool is_ok(uint16_t status) { return status >= 200 && status < 300; }

void exports_ai_api_plugin_provider_describe(exports_ai_api_plugin_provider_manifest_t *manifest) {
    static exports_ai_api_plugin_provider_support_t chat = {.operation = AI_API_PLUGIN_TYPES_OPERATION_CHAT_COMPLETIONS};
    *manifest = (exports_ai_api_plugin_provider_manifest_t){
        .name = STRING("acme"),
        .version = STRING("0.1.0"),
        .base_url = STRING("https://api.acme.example/v2"),
        .credential = {EXPORTS_AI_API_PLUGIN_PROVIDER_CREDENTIAL_HEADER, {.header = STRING("acme-key")}},
        .operations = {&chat, 1},
        // Nothing is freed (memory.c), and an instance costs next to nothing.
        .reusable = false,
    };
}

bool exports_ai_api_plugin_provider_static_exchange_begin(
    call_t *call, exports_ai_api_plugin_provider_tuple3_own_exchange_begun_list_warning_t *begun, failure *err) {
    json *request = json_parse(call->body.ptr, call->body.len);
    if (!json_is(request, JSON_OBJECT)) {
        return fail(err, KIND(INVALID_REQUEST), TEXT("The request body is not valid JSON."));
    }
    exchange *self = malloc(sizeof *self);
    *self = (exchange){
        .id = from_string(call->id),
        .model = from_string(call->requested_model),
        .created = call->created,
        .streaming = call->streaming,
    };
    warnings lost = {0};
    buffer body = {0};
    if (!translate(call, request, &body, self, &lost, err)) return false;
    static ai_api_plugin_types_header_t header;
    header = (ai_api_plugin_types_header_t){STRING("acme-version"), STRING("3")};
    begun->f0 = exports_ai_api_plugin_provider_exchange_new(self);
    begun->f1.tag = EXPORTS_AI_API_PLUGIN_PROVIDER_BEGUN_SEND;
    begun->f1.val.send = (exports_ai_api_plugin_provider_http_request_t){
        .method = STRING("POST"),
        .path = STRING("talk"),
        .headers = {&header, 1},
        .body = to_bytes(&body),
    };
    begun->f2 = lost;
    return true;
}

bool exports_ai_api_plugin_provider_method_exchange_head(exchange *self, uint16_t status,
                                                         exports_ai_api_plugin_provider_list_header_t *headers,
                                                         exports_ai_api_plugin_provider_reading_t *reading,
                                                         failure *err) {
    (void)headers, (void)err;
    if (self->streaming && is_ok(status)) {
        reading->tag = EXPORTS_AI_API_PLUGIN_PROVIDER_READING_EVENTS;
        reading->val.events = EXPORTS_AI_API_PLUGIN_PROVIDER_FRAMING_SSE;
    } else {
        reading->tag = EXPORTS_AI_API_PLUGIN_PROVIDER_READING_WHOLE;
    }
    return true;
}

bool exports_ai_api_plugin_provider_method_exchange_whole(exchange *self,
                                                          exports_ai_api_plugin_provider_http_response_t *response,
                                                          exports_ai_api_plugin_provider_settled_t *settled,
                                                          failure *err) {
    const json *body = json_parse(response->body.ptr, response->body.len);
    if (!is_ok(response->status)) return refuse(response->status, body, &response->headers, err);
    const text *reply = json_text(json_get(body, TEXT("reply")));
    if (!reply) return fail(err, KIND(UPSTREAM), TEXT("acme answered without a reply"));
    option_usage usage = counted(body);
    buffer out = begin_answer(self, TEXT("chat.completion"));
    put(&out, TEXT("{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"));
    put_string(&out, *reply);
    put(&out, TEXT(",\"refusal\":null},\"logprobs\":null,\"finish_reason\":"));
    put_string(&out, finish_reason(body));
    put(&out, TEXT("}]"));
    if (usage.is_some) {
        put(&out, TEXT(","));
        put_usage(&out, &usage.val);
    }
    put(&out, TEXT("}"));
    settled->tag = EXPORTS_AI_API_PLUGIN_PROVIDER_SETTLED_DONE;
    settled->val.done = (exports_ai_api_plugin_provider_completion_t){to_bytes(&out), usage};
    return true;
}

bool exports_ai_api_plugin_provider_method_exchange_events(exchange *self,
                                                           exports_ai_api_plugin_provider_list_event_t *events,
                                                           batch *out, failure *err) {
    *out = (batch){0};
    for (size_t i = 0; i < events->len; i++) {
        exports_ai_api_plugin_provider_event_t event = events->ptr[i];
        const json *data = json_parse(event.data.ptr, event.data.len);
        if (!data) return fail(err, KIND(UPSTREAM), TEXT("acme sent an event that is not JSON"));
        text name = event.name.is_some ? from_string(event.name.val) : TEXT(""), nothing = TEXT("");
        if (text_is(name, TEXT("word"))) {
            const text *content = json_text(json_get(data, TEXT("text")));
            push_delta(self, out, content ? content : &nothing, NULL);
        } else if (text_is(name, TEXT("end"))) {
            push_end(self, out, data);
        } else if (text_is(name, TEXT("trouble"))) {
            const text *why = json_text(json_get(data, TEXT("why")));
            return fail(err, KIND(UPSTREAM), why ? *why : TEXT("acme failed in the stream"));
        }
        // Others came after this was written.
    }
    return true;
}

bool exports_ai_api_plugin_provider_method_exchange_end(exchange *self, exports_ai_api_plugin_provider_ending_t ending,
                                                        batch *out, failure *err) {
    (void)self, (void)ending, (void)out;
    return fail(err, KIND(UPSTREAM), TEXT("acme ended the stream before the answer was complete"));
}

void exports_ai_api_plugin_provider_exchange_destructor(exchange *self) { (void)self; }
