#include "gateway/session/push_frame.h"

#include <string.h>

#include "common/decimal.h"
#include "gateway/ws/frame.h"

void push_frame_init(struct push_frame *frame)
{
    *frame = (struct push_frame){0};
    buf_init(&frame->head);
    buf_init(&frame->tail);
}

void push_frame_release(struct push_frame *frame)
{
    message_unref(&frame->shared);
    buf_release(&frame->head);
    buf_release(&frame->tail);
}

void push_frame_set(struct push_frame *frame, const Herald__V1__Delivery *delivery)
{
    message_unref(&frame->shared);
    buf_clear(&frame->head);
    buf_clear(&frame->tail);
    frame->delivery = delivery;
}

static const char *kind_name(Herald__V1__Kind kind)
{
    if (kind == HERALD__V1__KIND__KIND_BROADCAST)
        return "broadcast";
    return kind == HERALD__V1__KIND__KIND_TOPIC ? "topic" : "push";
}

static void build(struct push_frame *frame)
{
    const Herald__V1__Delivery *d = frame->delivery;
    if (frame->head.len > 0)
        return;
    buf_add_str(&frame->head, "{\"type\":\"");
    buf_add_str(&frame->head, kind_name(d->kind));
    buf_add_str(&frame->head, "\"");
    if (*d->topic) {
        buf_add_str(&frame->head, ",\"topic\":");
        buf_add_json_str(&frame->head, d->topic, strlen(d->topic));
    }
    buf_add_str(&frame->head, ",\"id\":");
    buf_add_json_str(&frame->head, d->id, strlen(d->id));

    buf_add_str(&frame->tail, ",\"timestamp\":");
    buf_add_int(&frame->tail, d->timestamp_ms);
    if (*d->from) {
        buf_add_str(&frame->tail, ",\"from\":");
        buf_add_json_str(&frame->tail, d->from, strlen(d->from));
    }
    buf_add_char(&frame->tail, '}');
}

static char *put(char *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

/* `middle` stands between the id and the content's bytes. */
static struct message *encode(struct push_frame *frame, const char *middle, size_t middle_len)
{
    build(frame);
    const ProtobufCBinaryData *content = &frame->delivery->content;
    static const char none[] = "null"; /* never produced by a router; still JSON */
    const void *bytes = content->len > 0 ? (const void *)content->data : none;
    size_t content_len = content->len > 0 ? content->len : sizeof none - 1;
    size_t payload_len = frame->head.len + middle_len + content_len + frame->tail.len;
    unsigned char head[FRAME_HEAD_MAX];
    size_t head_len = frame_head(head, FRAME_TEXT, payload_len);
    struct message *m = message_new(head_len + payload_len);
    char *at = put(message_fill(m), head, head_len);
    at = put(at, frame->head.bytes, frame->head.len);
    at = put(at, middle, middle_len);
    at = put(at, bytes, content_len);
    put(at, frame->tail.bytes, frame->tail.len);
    return m;
}

struct message *push_frame_shared(struct push_frame *frame)
{
    static const char middle[] = ",\"content\":";
    if (!frame->shared)
        frame->shared = encode(frame, middle, sizeof middle - 1);
    return frame->shared;
}

struct message *push_frame_with_seq(struct push_frame *frame, uint64_t seq)
{
    static const char before[] = ",\"seq\":", behind[] = ",\"content\":";
    char middle[sizeof before + DECIMAL_MAX + sizeof behind];
    char *at = decimal_put_uint(put(middle, before, sizeof before - 1), seq);
    at = put(at, behind, sizeof behind - 1);
    return encode(frame, middle, (size_t)(at - middle));
}

struct message *push_frame_cancel(struct push_frame *frame)
{
    struct buf text;
    const char *id = frame->delivery->id;
    buf_init(&text);
    buf_add_str(&text, "{\"type\":\"cancel\",\"id\":");
    buf_add_json_str(&text, id, strlen(id));
    buf_add_char(&text, '}');
    struct message *m = frame_new(FRAME_TEXT, text.bytes, text.len);
    buf_release(&text);
    return m;
}

uint32_t push_frame_split(struct push_frame *frame)
{
    unsigned char head[FRAME_HEAD_MAX];
    size_t payload_len = message_len(push_frame_shared(frame));
    for (size_t head_len = 2; head_len <= FRAME_HEAD_MAX;
         head_len++) /* the head's own length is part of what is known */
        if (frame_head(head, FRAME_TEXT, payload_len - head_len) == head_len)
            return (uint32_t)(head_len + frame->head.len);
    return 0;
}

struct message *push_frame_numbered(const struct message *shared, uint32_t split, uint64_t seq)
{
    const char *bytes = message_bytes(shared);
    size_t old_len = frame_head_len(bytes);
    static const char before[] = ",\"seq\":";
    char number[sizeof before + DECIMAL_MAX];
    unsigned char head[FRAME_HEAD_MAX];
    size_t number_len = (size_t)(decimal_put_uint(put(number, before, sizeof before - 1), seq) - number);
    size_t payload_len = message_len(shared) - old_len + number_len;
    size_t head_len = frame_head(head, FRAME_TEXT, payload_len);
    struct message *m = message_new(head_len + payload_len);
    char *at = put(message_fill(m), head, head_len);
    at = put(at, bytes + old_len, split - old_len);
    at = put(at, number, number_len);
    put(at, bytes + split, message_len(shared) - split);
    return m;
}
