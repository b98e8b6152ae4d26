#include "router/box/offline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void add_text(struct buf *out, const char *name, const char *text)
{
    if (!*text)
        return;
    buf_printf(out, ",\"%s\":", name);
    buf_add_json_str(out, text, strlen(text));
}

static const char *priority_name(Herald__V1__Priority priority)
{
    return priority == HERALD__V1__PRIORITY__PRIORITY_HIGH  ? "high"
           : priority == HERALD__V1__PRIORITY__PRIORITY_LOW ? "low"
                                                            : "normal";
}

void offline_add_devices(const struct redis_reply *devices, struct buf *out)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i + 1 < redis_reply_count(devices); i += 2) {
        size_t name_len, seen_len;
        const char *name = redis_reply_str(redis_reply_at(devices, i), &name_len);
        const char *seen = redis_reply_str(redis_reply_at(devices, i + 1), &seen_len);
        buf_add_str(out, i > 0 ? ",{\"device\":" : "{\"device\":");
        buf_add_json_str(out, name, name_len);
        buf_printf(out, ",\"lastSeenMs\":%" PRIu64 "}", (uint64_t)strtoull(seen, NULL, 10));
    }
    buf_add_char(out, ']');
}

void offline_add_record(const Herald__V1__Delivery *delivery, const char *user, const char *device, const char *devices,
                        uint64_t stored_ms, uint64_t now_ms, struct buf *out)
{
    buf_add_str(out, "{\"id\":");
    buf_add_json_str(out, delivery->id, strlen(delivery->id));
    add_text(out, "user", user);
    add_text(out, "device", device);
    add_text(out, "from", delivery->from);
    add_text(out, "collapse", delivery->collapse);
    add_text(out, "priority", priority_name(delivery->priority));
    buf_printf(out, ",\"timestamp\":%" PRId64 ",\"storedMs\":%" PRIu64, delivery->timestamp_ms, stored_ms);
    if (delivery->expires_at_ms > 0) {
        uint64_t expires_ms = (uint64_t)delivery->expires_at_ms;
        buf_printf(out, ",\"expiresAt\":%" PRIu64 ",\"ttlMs\":%" PRIu64, expires_ms,
                   expires_ms > now_ms ? expires_ms - now_ms : 0);
    }
    add_text(out, "offset", delivery->source);
    buf_printf(out, ",\"devices\":%s,\"content\":", devices);
    if (delivery->content.len > 0)
        buf_add(out, delivery->content.data, delivery->content.len);
    else
        buf_add_str(out, "null");
    buf_add_char(out, '}');
}
