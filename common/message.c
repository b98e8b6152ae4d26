#include "message.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "recycle.h"

struct message {
    size_t len;
    struct message *variant;
    uint32_t refs;
    bool has_variant;
    char bytes[]; /* and a NUL, which len does not count */
};

static size_t held;

size_t message_held(void)
{
    return held;
}

struct message *message_new(size_t len)
{
    CHECK(len < SIZE_MAX / 2);
    struct message *m = recycle_get(sizeof(*m) + len + 1);
    held += sizeof(*m) + len;
    *m = (struct message){.len = len, .refs = 1};
    m->bytes[len] = '\0';
    return m;
}

struct message *message_copy(const void *bytes, size_t len)
{
    struct message *m = message_new(len);
    if (len)
        memcpy(m->bytes, bytes, len);
    return m;
}

char *message_fill(struct message *m)
{
    CHECK(m->refs == 1); /* shared means immutable */
    return m->bytes;
}

const char *message_bytes(const struct message *m)
{
    return m->bytes;
}

size_t message_len(const struct message *m)
{
    return m->len;
}

bool message_has_variant(const struct message *m)
{
    return m->has_variant;
}

struct message *message_variant(const struct message *m)
{
    return m->variant;
}

void message_set_variant(struct message *m, struct message *variant)
{
    CHECK(!m->has_variant);
    m->has_variant = true;
    m->variant = variant;
}

struct message *message_ref(struct message *m)
{
    CHECK(m->refs > 0 && m->refs < UINT32_MAX);
    m->refs++;
    return m;
}

void message_unref(struct message **m)
{
    struct message *mine = *m;
    if (!mine)
        return;
    *m = NULL;
    CHECK(mine->refs > 0);
    if (--mine->refs > 0)
        return;
    message_unref(&mine->variant);
    held -= sizeof(*mine) + mine->len;
    recycle_put(mine, sizeof(*mine) + mine->len + 1);
}
