/* arena: memory that is freed as a whole, and the malloc family that never fails. */
#include "base/base.h"

#include <stdlib.h>

#define FIRST_BLOCK_BYTES ((size_t)16 << 10)
#define MAX_BLOCK_BYTES   ((size_t)1 << 20)
#define ALIGN             ((size_t)16)

struct tr_arena_block {
    struct tr_arena_block *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
};

static _Noreturn void out_of_memory(size_t bytes)
{
    fprintf(stderr, "tranche: out of memory (%zu bytes were asked for)\n", bytes);
    abort();
}

void *tr_malloc(size_t bytes)
{
    void *ptr = malloc(bytes ? bytes : 1);
    if (!ptr)
        out_of_memory(bytes);
    return ptr;
}

void *tr_calloc(size_t n, size_t bytes)
{
    void *ptr = n && bytes ? calloc(n, bytes) : calloc(1, 1);
    if (!ptr)
        out_of_memory(bytes && n > SIZE_MAX / bytes ? SIZE_MAX : n * bytes);
    return ptr;
}

void *tr_realloc(void *ptr, size_t bytes)
{
    void *moved = realloc(ptr, bytes ? bytes : 1);
    if (!moved)
        out_of_memory(bytes);
    return moved;
}

void tr_grow(void *ptr, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return;
    size_t grown = *cap < SIZE_MAX / 2 ? TR_MAX(need, *cap * 2) : need;
    grown = TR_MAX(grown, (size_t)8);
    if (grown > SIZE_MAX / size)
        out_of_memory(SIZE_MAX);

    /* By memcpy, because the caller's pointer is not a void * and may not be accessed as one. */
    unsigned char *items;
    memcpy(&items, ptr, sizeof(items));
    items = tr_realloc(items, grown * size);
    memset(items + *cap * size, 0, (grown - *cap) * size);
    memcpy(ptr, &items, sizeof(items));
    *cap = grown;
}

static struct tr_arena_block *block_new(const struct tr_arena *arena, size_t bytes)
{
    size_t size = FIRST_BLOCK_BYTES;
    if (arena->head)
        size = TR_MIN(arena->head->size * 2, MAX_BLOCK_BYTES);
    size = TR_MAX(size, bytes);
    if (size > SIZE_MAX - sizeof(struct tr_arena_block))
        out_of_memory(size);
    struct tr_arena_block *block = tr_calloc(1, sizeof(*block) + size);
    block->size = size;
    return block;
}

void *tr_arena_alloc(struct tr_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - ALIGN)
        out_of_memory(bytes);
    size_t rounded = bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;

    struct tr_arena_block *block = arena->head;
    if (!block || rounded > block->size - block->used) {
        struct tr_arena_block *fresh = block_new(arena, rounded);
        /* A large piece fills its block: keep handing out the rest of the one before it. */
        if (block && rounded == fresh->size) {
            fresh->next = block->next;
            block->next = fresh;
        } else {
            fresh->next = block;
            arena->head = fresh;
        }
        block = fresh;
    }
    void *piece = block->data + block->used;
    block->used += rounded;
    arena->used_bytes += rounded;
    return piece;
}

void *tr_arena_alloc_n(struct tr_arena *arena, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        out_of_memory(SIZE_MAX);
    return tr_arena_alloc(arena, n * size);
}

char *tr_arena_strndup(struct tr_arena *arena, const char *text, size_t len)
{
    char *copy = tr_arena_alloc(arena, len + 1);
    memcpy(copy, text, len);
    return copy;
}

char *tr_arena_strdup(struct tr_arena *arena, const char *text)
{
    return tr_arena_strndup(arena, text, strlen(text));
}

char *tr_arena_printf(struct tr_arena *arena, const char *fmt, ...)
{
    struct tr_str s = {0};
    va_list ap;
    va_start(ap, fmt);
    tr_str_vprintf(&s, fmt, ap);
    va_end(ap);
    char *text = tr_arena_strndup(arena, s.text ? s.text : "", s.len);
    tr_str_free(&s);
    return text;
}

void tr_arena_free(struct tr_arena *arena)
{
    struct tr_arena_block *next;
    for (struct tr_arena_block *block = arena->head; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct tr_arena){0};
}
