#include "json.h"

#include <stdlib.h>
#include <string.h>

#define DEEPEST 127

// === Texts ===

bool text_is(text left, text right) { return left.len == right.len && memcmp(left.ptr, right.ptr, left.len) == 0; }

bool text_contains_ignoring_case(text all, text lower_case) {
    for (size_t begin = 0; begin + lower_case.len <= all.len; begin++) {
        size_t same = 0;
        while (same < lower_case.len) {
            char c = all.ptr[begin + same];
            if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
            if (c != lower_case.ptr[same]) break;
            same++;
        }
        if (same == lower_case.len) return true;
    }
    return false;
}

// https://www.unicode.org/versions/Unicode16.0.0/core-spec/chapter-3/#G27506, table 3-7
static bool is_utf8(const uint8_t *at, const uint8_t *end) {
    while (at < end) {
        uint8_t first = *at++;
        if (first < 0x80) continue;
        int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || end - at < more) return false;
        uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (*at < low || *at > high) return false;
        for (int i = 1; i < more; i++) {
            if ((at[i] & 0xc0) != 0x80) return false;
        }
        at += more;
    }
    return true;
}

// === Reading ===

typedef struct {
    const char *at, *end;
    int depth;
} reader;

static json *read_value(reader *in);

static char peek(const reader *in) { return in->at < in->end ? *in->at : 0; }

static void skip_space(reader *in) {
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r')) in->at++;
}

static bool skip(reader *in, char expected) {
    if (in->at >= in->end || *in->at != expected) return false;
    in->at++;
    return true;
}

static bool skip_word(reader *in, text word) {
    if ((size_t)(in->end - in->at) < word.len || memcmp(in->at, word.ptr, word.len) != 0) return false;
    in->at += word.len;
    return true;
}

static json *new_value(json_kind kind) {
    json *value = malloc(sizeof *value);
    memset(value, 0, sizeof *value);
    value->kind = kind;
    return value;
}

static bool read_hex4(reader *in, uint32_t *code) {
    if (in->end - in->at < 4) return false;
    *code = 0;
    for (int i = 0; i < 4; i++) {
        char c = *in->at++;
        uint32_t digit;
        if (c >= '0' && c <= '9') digit = c - '0';
        else if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
        else return false;
        *code = *code << 4 | digit;
    }
    return true;
}

static char *write_utf8(char *out, uint32_t code) {
    if (code < 0x80) {
        *out++ = code;
    } else if (code < 0x800) {
        *out++ = 0xc0 | code >> 6;
        *out++ = 0x80 | (code & 0x3f);
    } else if (code < 0x10000) {
        *out++ = 0xe0 | code >> 12;
        *out++ = 0x80 | (code >> 6 & 0x3f);
        *out++ = 0x80 | (code & 0x3f);
    } else {
        *out++ = 0xf0 | code >> 18;
        *out++ = 0x80 | (code >> 12 & 0x3f);
        *out++ = 0x80 | (code >> 6 & 0x3f);
        *out++ = 0x80 | (code & 0x3f);
    }
    return out;
}

// What stands behind `\u`. Half a surrogate pair is no character.
static bool read_unicode(reader *in, char **out) {
    uint32_t code, low;
    if (!read_hex4(in, &code) || (code >= 0xdc00 && code <= 0xdfff)) return false;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!skip_word(in, TEXT("\\u")) || !read_hex4(in, &low) || low < 0xdc00 || low > 0xdfff) return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *out = write_utf8(*out, code);
    return true;
}

static bool read_string(reader *in, text *string) {
    if (!skip(in, '"')) return false;
    const char *end = in->at;
    bool escapes = false;
    while (end < in->end && *end != '"') {
        if ((unsigned char)*end < 0x20) return false;
        if (*end == '\\') {
            escapes = true;
            if (++end == in->end) return false;
        }
        end++;
    }
    if (end == in->end) return false;
    if (!escapes) {
        // The document's own bytes serve.
        *string = (text){in->at, (size_t)(end - in->at)};
        in->at = end + 1;
        return true;
    }
    // An escape is never shorter than what it stands for.
    char *begin = malloc((size_t)(end - in->at)), *out = begin;
    while (in->at < end) {
        char c = *in->at++;
        if (c != '\\') {
            *out++ = c;
            continue;
        }
        switch (c = *in->at++) {
        case '"': case '\\': case '/': *out++ = c; break;
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'n': *out++ = '\n'; break;
        case 'r': *out++ = '\r'; break;
        case 't': *out++ = '\t'; break;
        case 'u':
            if (!read_unicode(in, &out)) return false;
            break;
        default: return false;
        }
    }
    if (in->at != end) return false;
    *string = (text){begin, (size_t)(out - begin)};
    in->at = end + 1;
    return true;
}

static bool skip_digits(reader *in) {
    const char *begin = in->at;
    while (peek(in) >= '0' && peek(in) <= '9') in->at++;
    return in->at > begin;
}

static json *read_number(reader *in) {
    const char *begin = in->at;
    skip(in, '-');
    if (!skip(in, '0') && !skip_digits(in)) return NULL;
    if (skip(in, '.') && !skip_digits(in)) return NULL;
    if (skip(in, 'e') || skip(in, 'E')) {
        if (!skip(in, '+')) skip(in, '-');
        if (!skip_digits(in)) return NULL;
    }
    json *number = new_value(JSON_NUMBER);
    number->text = (text){begin, (size_t)(in->at - begin)};
    return number;
}

static json *read_members(reader *in, json_kind kind, char close) {
    json *all = new_value(kind), **end = &all->first;
    skip_space(in);
    if (skip(in, close)) return all;
    do {
        text key = {0};
        skip_space(in);
        if (kind == JSON_OBJECT) {
            if (!read_string(in, &key)) return NULL;
            skip_space(in);
            if (!skip(in, ':')) return NULL;
        }
        json *value = read_value(in);
        if (!value) return NULL;
        value->key = key;
        *end = value;
        end = &value->next;
        skip_space(in);
    } while (skip(in, ','));
    return skip(in, close) ? all : NULL;
}

static json *read_value(reader *in) {
    skip_space(in);
    if (skip_word(in, TEXT("null"))) return new_value(JSON_NULL);
    bool yes = skip_word(in, TEXT("true"));
    if (yes || skip_word(in, TEXT("false"))) {
        json *value = new_value(JSON_BOOLEAN);
        value->boolean = yes;
        return value;
    }
    if (peek(in) == '"') {
        json *value = new_value(JSON_STRING);
        return read_string(in, &value->text) ? value : NULL;
    }
    bool object = skip(in, '{');
    if (!object && !skip(in, '[')) return read_number(in);
    if (++in->depth > DEEPEST) return NULL;
    json *value = object ? read_members(in, JSON_OBJECT, '}') : read_members(in, JSON_ARRAY, ']');
    in->depth--;
    return value;
}

json *json_parse(const uint8_t *bytes, size_t length) {
    if (!is_utf8(bytes, bytes + length)) return NULL;
    reader in = {(const char *)bytes, (const char *)bytes + length, 0};
    json *value = read_value(&in);
    skip_space(&in);
    return in.at == in.end ? value : NULL;
}

json *json_get(const json *object, text key) {
    json *found = NULL;
    if (!json_is(object, JSON_OBJECT)) return NULL;
    // Of two with the same key the last one counts.
    for (json *member = object->first; member; member = member->next) {
        if (text_is(member->key, key)) found = member;
    }
    return found && found->kind != JSON_NULL ? found : NULL;
}

json *json_take(json *object, text key) {
    json *member = json_get(object, key);
    if (member) member->taken = true;
    return member;
}

bool json_is(const json *value, json_kind kind) { return value && value->kind == kind; }

bool json_is_empty_array(const json *value) { return json_is(value, JSON_ARRAY) && !value->first; }

const text *json_text(const json *value) { return json_is(value, JSON_STRING) ? &value->text : NULL; }

bool json_u64(const json *value, uint64_t *number) {
    if (!json_is(value, JSON_NUMBER)) return false;
    *number = 0;
    for (size_t i = 0; i < value->text.len; i++) {
        char c = value->text.ptr[i];
        if (c < '0' || c > '9') return false;
        uint64_t digit = c - '0';
        if (*number > (UINT64_MAX - digit) / 10) return false;
        *number = *number * 10 + digit;
    }
    return true;
}

// === Writing ===

void put(buffer *out, text raw) {
    if (raw.len > out->room - out->len) {
        out->room = (out->len + raw.len) * 2;
        out->ptr = realloc(out->ptr, out->room);
    }
    memcpy(out->ptr + out->len, raw.ptr, raw.len);
    out->len += raw.len;
}

void put_number(buffer *out, uint64_t number) {
    char digits[20], *begin = digits + sizeof digits;
    do {
        *--begin = '0' + number % 10;
        number /= 10;
    } while (number);
    put(out, (text){begin, (size_t)(digits + sizeof digits - begin)});
}

void put_string(buffer *out, text string) {
    put(out, TEXT("\""));
    size_t begin = 0;
    for (size_t i = 0; i < string.len; i++) {
        unsigned char c = string.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        put(out, (text){string.ptr + begin, i - begin});
        begin = i + 1;
        const char *hex = "0123456789abcdef";
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        if (c >= 0x20) put(out, (text){(char[]){'\\', (char)c}, 2});
        else put(out, (text){escape, sizeof escape});
    }
    put(out, (text){string.ptr + begin, string.len - begin});
    put(out, TEXT("\""));
}

text written(const buffer *out) { return (text){out->ptr, out->len}; }
