// JSON: a reader that makes a tree, and a writer into a buffer that grows.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// UTF-8 that doesn't end with a zero.
typedef struct {
    const char *ptr;
    size_t len;
} text;

#define TEXT(literal) ((text){literal, sizeof(literal) - 1})
bool text_is(text left, text right);
bool text_contains_ignoring_case(text all, text lower_case);

typedef enum { JSON_NULL, JSON_BOOLEAN, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_kind;

typedef struct json {
    json_kind kind;
    bool boolean;
    // A string's characters; a number as it was written.
    text text;
    // An object's and an array's values are a list.
    struct json *first, *next;
    // In an object.
    text key;
    // For whoever wants to know what nobody looked at.
    bool taken;
} json;

// NULL: it isn't JSON (RFC 8259, UTF-8, nested 127 levels deep at most).
json *json_parse(const uint8_t *bytes, size_t length);

// All of these take NULL and values of another kind, and then have nothing to give. `null` counts as absent.
json *json_get(const json *object, text key);
json *json_take(json *object, text key);
bool json_is(const json *value, json_kind kind);
bool json_is_empty_array(const json *value);
// NULL: no string.
const text *json_text(const json *value);
bool json_u64(const json *value, uint64_t *number);

typedef struct {
    char *ptr;
    size_t len, room;
} buffer;

void put(buffer *out, text raw);
void put_number(buffer *out, uint64_t number);
// With quotes and escapes.
void put_string(buffer *out, text string);
text written(const buffer *out);
