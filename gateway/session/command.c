#include "gateway/session/command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"

void command_init(struct command *command)
{
    command->count = 0;
    command->used = 0;
}

static void add(struct command *command, const char *text, size_t len)
{
    CHECK(command->count < COMMAND_WORDS_MAX);
    command->words[command->count] = text;
    command->lens[command->count++] = len;
}

__attribute__((format(printf, 2, 3))) static void add_made(struct command *command, const char *format, ...)
{
    va_list args;
    char *at = command->text + command->used;
    size_t room = sizeof command->text - command->used;
    va_start(args, format);
    int len = vsnprintf(at, room, format, args);
    va_end(args);
    CHECK(len >= 0 && (size_t)len < room);
    command->used += (size_t)len + 1;
    add(command, at, (size_t)len);
}

void command_add(struct command *command, const char *text)
{
    add(command, text, strlen(text));
}

void command_add_uint(struct command *command, uint64_t value)
{
    add_made(command, "%" PRIu64, value);
}

void command_add_int(struct command *command, int64_t value)
{
    add_made(command, "%" PRId64, value);
}

void command_add_stream_id(struct command *command, const struct stream_id *id)
{
    add_made(command, "%" PRIu64 "-%" PRIu64, id->ms, id->n);
}

void command_add_key(struct command *command, const char *noun, const struct session *s, bool has_device)
{
    add_made(command, "herald:%s:{%s}%s%s", noun, s->user->name, has_device ? ":" : "", has_device ? s->device : "");
}
