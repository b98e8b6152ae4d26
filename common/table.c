#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "check.h"

enum { FIRST_SIZE = 16 };

/* Empty when item is NULL. The whole hash is kept: a rehash then asks no item for its key. */
struct slot {
    uint64_t hash;
    void *item;
};

struct table {
    table_match_fn *match;
    struct slot *slots;
    size_t size; /* a power of two */
    uint32_t count;
};

/* Drawn once a process, before its first hash. */
static struct {
    uint64_t k0, k1;
    bool is_drawn;
} secret;

static void draw_secret(void)
{
    uint64_t key[2];
    ssize_t n;
    do
        n = getrandom(key, sizeof(key), 0);
    while (n < 0 && errno == EINTR);
    CHECK(n == (ssize_t)sizeof(key));
    secret.k0 = key[0];
    secret.k1 = key[1];
    secret.is_drawn = true;
}

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

/* SipHash-1-3 (Aumasson, Bernstein): one round a word, three to finish, as hash tables elsewhere use it. */
uint64_t table_hash(const void *key, size_t key_len)
{
    if (!secret.is_drawn)
        draw_secret();
    uint64_t v[4] = {secret.k0 ^ 0x736f6d6570736575, secret.k1 ^ 0x646f72616e646f6d, secret.k0 ^ 0x6c7967656e657261,
                     secret.k1 ^ 0x7465646279746573};
    const unsigned char *p = key;
    size_t left = key_len;
    uint64_t word;
    for (; left >= 8; p += 8, left -= 8) {
        memcpy(&word, p, 8);
        sip_word(v, word);
    }
    word = (uint64_t)key_len << 56;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)p[i] << (8 * i);
    sip_word(v, word);
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct table *table_new(table_match_fn *match)
{
    struct table *table = xcalloc(1, sizeof(*table));
    table->match = match;
    table->size = FIRST_SIZE;
    table->slots = xcalloc(table->size, sizeof(*table->slots));
    return table;
}

void table_free(struct table **table)
{
    struct table *mine = *table;
    if (!mine)
        return;
    *table = NULL;
    free(mine->slots);
    free(mine);
}

uint32_t table_count(const struct table *table)
{
    return table->count;
}

static void place(struct table *table, uint64_t hash, void *item)
{
    size_t mask = table->size - 1, at = hash & mask;
    while (table->slots[at].item)
        at = (at + 1) & mask;
    table->slots[at] = (struct slot){hash, item};
}

static void resize(struct table *table, size_t size)
{
    struct slot *old = table->slots;
    size_t old_size = table->size;
    table->slots = xcalloc(size, sizeof(*table->slots));
    table->size = size;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].item)
            place(table, old[i].hash, old[i].item);
    free(old);
}

/* The slot of that key, or table->size. */
static size_t find(const struct table *table, const void *key, size_t key_len)
{
    uint64_t hash = table_hash(key, key_len);
    size_t mask = table->size - 1;
    for (size_t at = hash & mask; table->slots[at].item; at = (at + 1) & mask)
        if (table->slots[at].hash == hash && table->match(table->slots[at].item, key, key_len))
            return at;
    return table->size;
}

void *table_find(const struct table *table, const void *key, size_t key_len)
{
    size_t at = find(table, key, key_len);
    return at < table->size ? table->slots[at].item : NULL;
}

void table_add(struct table *table, const void *key, size_t key_len, void *item)
{
    CHECK(item != NULL && table->count < UINT32_MAX);
    if ((size_t)table->count + 1 > table->size / 4 * 3)
        resize(table, table->size * 2);
    place(table, table_hash(key, key_len), item);
    table->count++;
}

void *table_replace(struct table *table, const void *key, size_t key_len, void *item)
{
    size_t at = find(table, key, key_len);
    if (at == table->size)
        return NULL;
    void *old = table->slots[at].item;
    table->slots[at].item = item;
    return old;
}

/* Moves back what the hole would hide, so that no marks of removed things pile up. */
static void close_hole(struct table *table, size_t hole)
{
    size_t mask = table->size - 1;
    for (size_t at = (hole + 1) & mask; table->slots[at].item; at = (at + 1) & mask) {
        size_t home = table->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole].item = NULL;
}

void *table_remove(struct table *table, const void *key, size_t key_len)
{
    size_t at = find(table, key, key_len);
    if (at == table->size)
        return NULL;
    void *item = table->slots[at].item;
    close_hole(table, at);
    table->count--;
    if (table->size > FIRST_SIZE && table->count < table->size / 4)
        resize(table, table->size / 2);
    return item;
}

void *table_next(const struct table *table, size_t *cursor)
{
    while (*cursor < table->size) {
        void *item = table->slots[(*cursor)++].item;
        if (item)
            return item;
    }
    return NULL;
}
