/* The words of one Redis command or script, put together in place. */
#ifndef HERALD_GATEWAY_SESSION_COMMAND_H
#define HERALD_GATEWAY_SESSION_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/session/letter.h"
#include "gateway/session/session.h"

enum { COMMAND_WORDS_MAX = 140, COMMAND_TEXT_MAX = 8192 };

/* Large, and so lives on the stack of the one call that uses it. */
struct command {
    int count;
    size_t used;
    const char *words[COMMAND_WORDS_MAX];
    size_t lens[COMMAND_WORDS_MAX];
    char text[COMMAND_TEXT_MAX]; /* of the words that were made here */
};

void command_init(struct command *command);
/* The text is borrowed. */
void command_add(struct command *command, const char *text);
void command_add_uint(struct command *command, uint64_t value);
void command_add_int(struct command *command, int64_t value);
void command_add_stream_id(struct command *command, const struct stream_id *id);
/* "herald:<noun>:{<user>}", and with a device ":<device>" behind. */
void command_add_key(struct command *command, const char *noun, const struct session *s, bool has_device);

#endif
