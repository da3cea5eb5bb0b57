// The part of C's library that a plugin needs. Nothing is freed: the instance ends with its call, and takes its memory
// with it. That is why the manifest must not say `reusable`.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 16
#define PAGE 65536

// The linker's: where the stack and the constants end.
extern unsigned char __heap_base;

// Before each block stands its size.
typedef struct {
    size_t size;
} header;

static uintptr_t next_free;

static header *header_of(void *block) { return (header *)((uintptr_t)block - ALIGN); }

// Makes the memory reach to `end`, or ends the call: the gateway sets the limit.
static void reach(uintptr_t end) {
    uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) * PAGE;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == (size_t)-1) abort();
}

void *malloc(size_t size) {
    if (next_free == 0) next_free = ((uintptr_t)&__heap_base + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
    if (size > SIZE_MAX - next_free - 2 * ALIGN) abort();
    uintptr_t block = next_free + ALIGN;
    uintptr_t end = (block + size + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
    reach(end);
    next_free = end;
    header_of((void *)block)->size = size;
    return (void *)block;
}

void *realloc(void *block, size_t size) {
    if (!block) return malloc(size);
    size_t old = header_of(block)->size;
    if (size <= old) return block;
    if ((((uintptr_t)block + old + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1)) == next_free) {
        // The last block grows where it is: a buffer that is written to costs no copies.
        if (size > SIZE_MAX - (uintptr_t)block - ALIGN) abort();
        uintptr_t end = ((uintptr_t)block + size + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
        reach(end);
        next_free = end;
        header_of(block)->size = size;
        return block;
    }
    return memcpy(malloc(size), block, old);
}

void free(void *block) { (void)block; }

_Noreturn void abort(void) { __builtin_trap(); }

// With -mbulk-memory the next two are one instruction each.
void *memcpy(void *to, const void *from, size_t size) { return __builtin_memcpy(to, from, size); }

void *memset(void *to, int byte, size_t size) { return __builtin_memset(to, byte, size); }

int memcmp(const void *left, const void *right, size_t size) {
    const unsigned char *a = left, *b = right;
    for (size_t i = 0; i < size; i++) {
        if (a[i] != b[i]) return a[i] - b[i];
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    return length;
}
