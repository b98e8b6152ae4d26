/*
 * The pushes of one session that wait because its connection takes no more, in three queues by priority
 * (common/priority.h). They get their seq only when they leave: so what overtakes, is replaced or taken back leaves no
 * gap. Exists only while something waits (a NULL pointer is an empty one). Pure.
 */
#ifndef HERALD_GATEWAY_SESSION_BACKLOG_H
#define HERALD_GATEWAY_SESSION_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"
#include "common/priority.h"

struct backlog;

struct backlog_entry {
    struct message *frame;  /* without a seq; a reference */
    struct message *cancel; /* of one with `once`: a reference; else NULL */
    void *receipt;
    uint64_t id_hash, collapse_hash; /* 0: no collapse key */
    int64_t expires_at_ms;           /* Unix epoch; 0: never */
    uint32_t split;                  /* where in the frame a seq goes */
    bool is_durable;
    uint8_t class;   /* enum priority_class */
    uint8_t traffic; /* enum overflow_class */
};

/* Copies the entry and takes over its references; takers get them back. */
void backlog_add(struct backlog **backlog, const struct backlog_entry *entry);
/* Whoever is next. False: there is nothing. */
bool backlog_take(struct backlog **backlog, const struct priority_weights *weights, struct backlog_entry *entry_r);
/* The one that a newer entry replaces: with its collapse key, class and durability. False: there is none. */
bool backlog_take_older(struct backlog **backlog, const struct backlog_entry *newer, struct backlog_entry *entry_r);
/* The oldest one of that traffic of the lowest priority, at most `class`. */
bool backlog_take_oldest(struct backlog **backlog, uint8_t traffic, enum priority_class class,
                         struct backlog_entry *entry_r);
/* A durable one with that id. */
bool backlog_take_id(struct backlog **backlog, uint64_t id_hash, struct backlog_entry *entry_r);
uint32_t backlog_durable_count(const struct backlog *backlog);
/* Of the durable ones, or of the others. */
size_t backlog_bytes(const struct backlog *backlog, bool is_durable);

#endif
