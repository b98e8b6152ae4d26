#include "gateway/session/command.h"

#include <string.h>

#include "common/check.h"
#include "common/decimal.h"

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

/* Room for `len` more in `text`, and a NUL. */
static char *reserve(struct command *command, size_t len)
{
    CHECK(len < sizeof command->text - command->used);
    return command->text + command->used;
}

/* What stands from `start` to `end` is a word; without snprintf(), which took 9,000 instructions for the words of a
 * new session. */
static void add_made(struct command *command, char *start, char *end)
{
    *end = '\0';
    command->used = (size_t)(end + 1 - command->text);
    add(command, start, (size_t)(end - start));
}

static char *put(char *to, const char *text, size_t len)
{
    memcpy(to, text, len);
    return to + len;
}

void command_add(struct command *command, const char *text)
{
    add(command, text, strlen(text));
}

void command_add_uint(struct command *command, uint64_t value)
{
    char *at = reserve(command, DECIMAL_MAX);
    add_made(command, at, decimal_put_uint(at, value));
}

void command_add_int(struct command *command, int64_t value)
{
    char *at = reserve(command, DECIMAL_MAX + 1);
    add_made(command, at, decimal_put_int(at, value));
}

void command_add_stream_id(struct command *command, const struct stream_id *id)
{
    char *at = reserve(command, 2 * DECIMAL_MAX + 1);
    char *end = decimal_put_uint(at, id->ms);
    *end++ = '-';
    add_made(command, at, decimal_put_uint(end, id->n));
}

/* herald:<noun>:{<user>}[:<device>] */
void command_add_key(struct command *command, const char *noun, const struct session *s, bool has_device)
{
    static const char prefix[] = "herald:";
    size_t noun_len = strlen(noun);
    char *at = reserve(command, sizeof prefix - 1 + noun_len + s->user->name_len + s->device_len + 4);
    char *end = put(at, prefix, sizeof prefix - 1);
    end = put(end, noun, noun_len);
    end = put(end, ":{", 2);
    end = put(end, s->user->name, s->user->name_len);
    *end++ = '}';
    if (has_device) {
        *end++ = ':';
        end = put(end, s->device, s->device_len);
    }
    add_made(command, at, end);
}
