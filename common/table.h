/*
 * A hash table of pointers to things that carry their own key: open addressing, linear probing, the hash kept
 * beside the pointer, so that a look-up touches a thing only when it is very likely the right one.
 * Keys are bytes; hashing is keyed (SipHash or better) with a secret drawn at start, so clients cannot choose
 * collisions.
 */
#ifndef HERALD_COMMON_TABLE_H
#define HERALD_COMMON_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table;

/* Does this thing have that key? */
typedef bool table_match_fn(const void *item, const void *key, size_t key_len);

struct table *table_new(table_match_fn *match);
/* Does not free the things. */
void table_free(struct table **table);
uint32_t table_count(const struct table *table);
uint64_t table_hash(const void *key, size_t key_len);

void *table_find(const struct table *table, const void *key, size_t key_len);
/* The key must not be in the table yet: look first. The key is only hashed, not kept. */
void table_add(struct table *table, const void *key, size_t key_len, void *item);
/* Removes and returns the thing with that key; NULL when there is none. */
/* Another item takes the place of the one under that key; returns that. NULL: there is none, and nothing changed. */
void *table_replace(struct table *table, const void *key, size_t key_len, void *item);
void *table_remove(struct table *table, const void *key, size_t key_len);

/* Walks all things in no order. Start with *cursor = 0; NULL at the end. Adding or removing during a walk may
 * skip or repeat things: collect first, then change. */
void *table_next(const struct table *table, size_t *cursor);

#endif
