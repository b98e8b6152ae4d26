#include "gateway/session/box.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/redis_script.h"
#include "gateway/session/command.h"
#include "gateway/session/drain.h"
#include "gateway/session/sessions.h"

enum { REMOVAL_MAGIC = 0x2E304A10 };

enum err box_read(struct session *s, enum unacked_origin box, const struct stream_id *after, uint64_t count,
                  redis_fn *fn)
{
    struct command command;
    command_init(&command);
    command_add(&command, "XRANGE");
    command_add_key(&command, "box", s, box == UNACKED_DEVICE_BOX);
    if (after->ms == 0 && after->n == 0)
        command_add(&command, "-");
    else /* the next possible id: works with every Redis that has streams */
        command_add_stream_id(&command, &(struct stream_id){after->ms + (after->n == UINT64_MAX), after->n + 1});
    command_add(&command, "+");
    command_add(&command, "COUNT");
    command_add_uint(&command, count);
    enum err err = redis_command(s->sessions->redis, fn, s, command.count, command.words, command.lens);
    if (err == ERR_OK)
        session_ref(s);
    return err;
}

static bool parse_id(const char *text, struct stream_id *id_r)
{
    char *end;
    errno = 0;
    id_r->ms = strtoull(text, &end, 10);
    if (end == text || *end != '-')
        return false;
    const char *n = end + 1;
    id_r->n = strtoull(n, &end, 10);
    return end != n && *end == '\0' && errno == 0;
}

enum err box_entry(const struct redis_reply *entry, struct stream_id *id_r, const void **bytes_r, size_t *len_r)
{
    size_t len;
    const struct redis_reply *id = redis_reply_at(entry, 0), *fields = redis_reply_at(entry, 1);
    if (!id || !parse_id(redis_reply_str(id, &len), id_r)) {
        *id_r = (struct stream_id){0, 0};
        return ERR_INVALID;
    }
    for (size_t i = 0; fields && i + 1 < redis_reply_count(fields); i += 2) {
        const char *name = redis_reply_str(redis_reply_at(fields, i), &len);
        if (len != 1 || *name != 'd')
            continue;
        *bytes_r = redis_reply_str(redis_reply_at(fields, i + 1), len_r);
        return ERR_OK;
    }
    return ERR_INVALID;
}

void box_acks_init(struct box_acks *acks, struct session *s)
{
    acks->session = s;
    acks->box = UNACKED_USER_BOX;
    acks->count = 0;
}

void box_acks_add(struct box_acks *acks, enum unacked_origin box, struct letter *letter, enum letter_end end)
{
    if (acks->count == BOX_ACKS_MAX || (acks->count > 0 && acks->box != box))
        box_acks_flush(acks);
    letter->end = (uint8_t)end;
    acks->box = box;
    acks->letters[acks->count++] = letter;
}

/* --- removal ---------------------------------------------------------------------------------------------------------
 */

/* One call of the script. The session may end before the answer, and loses its user then. */
struct removal {
    uint32_t magic;
    struct session *session; /* a reference */
    enum unacked_origin box;
    uint32_t count;
    char user[USER_LEN_MAX + 1];
    struct letter *letters[];
};

static struct removal *removal_new(const struct box_acks *acks)
{
    struct session *s = acks->session;
    struct removal *removal = xmalloc(sizeof *removal + acks->count * sizeof removal->letters[0]);
    removal->magic = REMOVAL_MAGIC;
    removal->session = session_ref(s);
    removal->box = acks->box;
    removal->count = acks->count;
    memcpy(removal->user, s->user->name, s->user->name_len + 1U);
    memcpy(removal->letters, acks->letters, acks->count * sizeof removal->letters[0]);
    return removal;
}

static void removal_free(struct removal *removal)
{
    for (uint32_t i = 0; i < removal->count; i++)
        letter_free(&removal->letters[i]);
    session_unref(removal->session);
    removal->magic = 0;
    free(removal);
}

/* removed: '1' for each that this call removed. */
static void tell_ends(const struct removal *removal, const char *removed, size_t len)
{
    const struct session *s = removal->session;
    for (uint32_t i = 0; i < removal->count && i < len; i++)
        if (removed[i] == '1' && removal->letters[i]->end != LETTER_UNREADABLE)
            s->sessions->events->letter(s->sessions->arg, removal->user, s->device, removal->letters[i]);
}

static void on_removed(void *arg, enum err err, const struct redis_reply *reply)
{
    struct removal *removal = arg;
    MAGIC_CHECK(removal, REMOVAL_MAGIC);
    struct session *s = removal->session;
    if (err == ERR_OK && redis_reply_count(reply) != 2)
        err = ERR_INVALID;
    if (err == ERR_OK) {
        size_t len;
        const char *removed = redis_reply_str(redis_reply_at(reply, 1), &len);
        tell_ends(removal, removed, len);
    }
    if (s->state != SESSION_ENDED)
        drain_box_acked(s, removal->box, err, redis_reply_int(redis_reply_at(reply, 0)));
    removal_free(removal);
}

void box_acks_flush(struct box_acks *acks)
{
    if (acks->count == 0)
        return;
    struct session *s = acks->session;
    struct removal *removal = removal_new(acks);
    struct command command;
    command_init(&command);
    command_add_key(&command, "box", s, acks->box == UNACKED_DEVICE_BOX);
    for (uint32_t i = 0; i < acks->count; i++)
        command_add_stream_id(&command, &acks->letters[i]->stream_id);
    acks->count = 0;
    enum err err = redis_script(s->sessions->redis, REDIS_SCRIPT_BOX_ACK, on_removed, removal, 1, command.count,
                                command.words, command.lens);
    if (err != ERR_OK)
        on_removed(removal, err, NULL);
}
