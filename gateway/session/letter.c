#include "gateway/session/letter.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

struct letter *letter_new(const struct stream_id *stream_id, const Herald__V1__Delivery *delivery)
{
    const char *id = delivery ? delivery->id : "", *source = delivery ? delivery->source : "";
    const char *router = delivery ? delivery->router : "";
    size_t id_size = strlen(id) + 1, source_size = strlen(source) + 1, router_size = strlen(router) + 1;
    struct letter *letter = xcalloc(1, sizeof *letter + id_size + source_size + router_size);
    letter->stream_id = *stream_id;
    letter->end = LETTER_UNREADABLE;
    memcpy(letter->id, id, id_size);
    letter->source = memcpy(letter->id + id_size, source, source_size);
    letter->router = memcpy(letter->id + id_size + source_size, router, router_size);
    if (delivery) {
        letter->timestamp_ms = delivery->timestamp_ms;
        letter->is_outcome_wanted = delivery->outcome;
    }
    return letter;
}

void letter_free(struct letter **letter)
{
    free(*letter);
    *letter = NULL;
}
