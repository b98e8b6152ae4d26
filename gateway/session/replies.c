#include "gateway/session/replies.h"

#include <inttypes.h>
#include <string.h>

#include "gateway/session/sessions.h"
#include "gateway/ws/frame.h"

static void add_str(struct buf *out, const char *name, const char *value, size_t len)
{
    buf_add_str(out, ",\"");
    buf_add_str(out, name);
    buf_add_str(out, "\":");
    buf_add_json_str(out, value, len);
}

static void add_hex(struct buf *out, uint64_t value)
{
    char digits[16];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value & 0xF];
        value >>= 4;
    } while (value);
    buf_add(out, digits + at, sizeof digits - at);
}

static struct buf *begin(struct sessions *sessions, const char *type)
{
    buf_clear(&sessions->scratch);
    buf_add_str(&sessions->scratch, "{\"type\":\"");
    buf_add_str(&sessions->scratch, type);
    buf_add_char(&sessions->scratch, '"');
    return &sessions->scratch;
}

static void end(struct buf *out, struct conn *conn)
{
    buf_add_char(out, '}');
    struct message *frame = frame_new(FRAME_TEXT, out->bytes, out->len);
    conn_send(conn, frame, NULL);
    message_unref(&frame);
}

void reply_auth_ok(struct session *s)
{
    struct buf *out = begin(s->sessions, "auth_response");
    buf_add_str(out, ",\"code\":200,\"content\":\"ok\"");
    add_str(out, "userId", s->user->name, s->user->name_len);
    add_str(out, "deviceId", s->device, s->device_len);
    buf_add_str(out, ",\"session\":\"");
    buf_add_str(out, s->sessions->instance);
    buf_add_char(out, ':');
    add_hex(out, conn_id(s->conn));
    buf_add_char(out, '"');
    end(out, s->conn);
}

void reply_auth_refused(struct sessions *sessions, struct conn *conn, const char *why)
{
    struct buf *out = begin(sessions, "auth_response");
    buf_add_str(out, ",\"code\":401");
    add_str(out, "content", why, strlen(why));
    end(out, conn);
}

void reply_heartbeat(struct sessions *sessions, struct conn *conn)
{
    struct buf *out = begin(sessions, "heartbeat_response");
    buf_printf(out, ",\"content\":\"pong\",\"timestamp\":%" PRIu64, loop_wall_ms(sessions->loop));
    end(out, conn);
}

void reply_message(struct sessions *sessions, struct conn *conn, const char *id, size_t id_len, int code)
{
    struct buf *out = begin(sessions, "message_response");
    if (id_len > 0)
        add_str(out, "id", id, id_len);
    buf_printf(out, ",\"code\":%d", code);
    end(out, conn);
}

void reply_error(struct sessions *sessions, struct conn *conn, int code, const char *why, const char *id, size_t id_len)
{
    struct buf *out = begin(sessions, "error");
    buf_printf(out, ",\"code\":%d", code);
    add_str(out, "content", why, strlen(why));
    if (id_len > 0)
        add_str(out, "id", id, id_len);
    end(out, conn);
}
