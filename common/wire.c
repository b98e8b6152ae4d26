#include "wire.h"

#include <stdbool.h>
#include <string.h>

#include "check.h"

enum { VARINT_MAX = 10, HEAD_MAX = 2 * VARINT_MAX /* a tag, and a length or a value */, DEPTH_MAX = 8 };

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

/* --- writing ------------------------------------------------------------------------------------------------------ */

static size_t put_varint(char *at, uint64_t value)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        at[n++] = (char)(value | 0x80);
    at[n++] = (char)value;
    return n;
}

static size_t varint_len(uint64_t value)
{
    size_t n = 1;
    while (value >>= 7)
        n++;
    return n;
}

static inline void reserve(struct buf *out, size_t more)
{
    if (out->size - out->len <= more)
        buf_reserve(out, more);
}

static void put_number(struct buf *out, uint32_t field, uint64_t value)
{
    if (value == 0)
        return;
    reserve(out, HEAD_MAX);
    out->len += put_varint(out->bytes + out->len, field << 3 | WIRE_VARINT);
    out->len += put_varint(out->bytes + out->len, value);
}

static void put_bytes(struct buf *out, uint32_t field, const void *bytes, size_t len)
{
    reserve(out, HEAD_MAX + len);
    out->len += put_varint(out->bytes + out->len, field << 3 | WIRE_LEN);
    out->len += put_varint(out->bytes + out->len, len);
    memcpy(out->bytes + out->len, bytes, len);
    out->len += len;
}

static void put_fields(struct buf *out, const ProtobufCMessage *message);

/* Written behind a length of one byte; a longer one moves it on, which costs less than to measure it first. */
static void put_message(struct buf *out, uint32_t field, const ProtobufCMessage *message)
{
    reserve(out, HEAD_MAX);
    out->len += put_varint(out->bytes + out->len, field << 3 | WIRE_LEN);
    size_t start = out->len++;
    put_fields(out, message);
    size_t len = out->len - start - 1, more = varint_len(len) - 1;
    if (more > 0) {
        reserve(out, more);
        memmove(out->bytes + start + 1 + more, out->bytes + start + 1, len);
        out->len += more;
    }
    put_varint(out->bytes + start, len);
}

static void put_singular(struct buf *out, const ProtobufCFieldDescriptor *field, const void *member)
{
    const char *text;
    const ProtobufCBinaryData *data;
    const ProtobufCMessage *message;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        put_number(out, field->id, (uint64_t)(int64_t) * (const int32_t *)member);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        put_number(out, field->id, *(const uint32_t *)member);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        put_number(out, field->id, *(const uint64_t *)member);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        put_number(out, field->id, *(const protobuf_c_boolean *)member != 0);
        break;
    case PROTOBUF_C_TYPE_STRING:
        text = *(const char *const *)member;
        if (text && *text)
            put_bytes(out, field->id, text, strlen(text));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        data = member;
        if (data->len > 0)
            put_bytes(out, field->id, data->data, data->len);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        message = *(const ProtobufCMessage *const *)member;
        if (message)
            put_message(out, field->id, message);
        break;
    default:
        CHECK(!"a field type that wire.c does not know");
    }
}

static void put_repeated(struct buf *out, const ProtobufCFieldDescriptor *field, const void *member, size_t count)
{
    CHECK(field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE);
    for (size_t i = 0; i < count; i++) {
        if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            put_message(out, field->id, (*(ProtobufCMessage *const *const *)member)[i]);
        } else {
            const char *text = (*(char *const *const *)member)[i];
            put_bytes(out, field->id, text, strlen(text));
        }
    }
}

static void put_fields(struct buf *out, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    const char *base = (const char *)message;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            put_repeated(out, field, base + field->offset, *(const size_t *)(base + field->quantifier_offset));
        else
            put_singular(out, field, base + field->offset);
    }
}

void wire_put_piece(struct buf *out, uint32_t field, const ProtobufCMessage *piece)
{
    put_message(out, field, piece);
    out->bytes[out->len] = '\0';
}

void wire_put(struct buf *out, const ProtobufCMessage *message)
{
    reserve(out, 1);
    put_fields(out, message);
    out->bytes[out->len] = '\0';
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

struct reader {
    const uint8_t *at, *end;
    const ProtobufCAllocator *allocator;
};

static bool get_long_varint(struct reader *reader, uint64_t *value_r)
{
    const uint8_t *at = reader->at;
    uint64_t value = 0;
    for (unsigned shift = 0; at < reader->end && shift < 7 * VARINT_MAX; shift += 7) {
        value |= (uint64_t)(*at & 0x7f) << shift;
        if (*at++ < 0x80) {
            reader->at = at;
            *value_r = value;
            return true;
        }
    }
    return false;
}

/* Tags, lengths and most numbers are of one byte. */
static inline bool get_varint(struct reader *reader, uint64_t *value_r)
{
    if (reader->at == reader->end || *reader->at >= 0x80)
        return get_long_varint(reader, value_r);
    *value_r = *reader->at++;
    return true;
}

/* What a length stands in front of; the reader is behind it then. */
static bool get_bytes(struct reader *reader, const uint8_t **bytes_r, size_t *len_r)
{
    uint64_t len;
    if (!get_varint(reader, &len) || len > (uint64_t)(reader->end - reader->at))
        return false;
    *bytes_r = reader->at;
    *len_r = (size_t)len;
    reader->at += len;
    return true;
}

static bool skip(struct reader *reader, enum wire_type type)
{
    uint64_t number;
    const uint8_t *bytes;
    size_t len = type == WIRE_32 ? 4 : 8;
    switch (type) {
    case WIRE_VARINT:
        return get_varint(reader, &number);
    case WIRE_LEN:
        return get_bytes(reader, &bytes, &len);
    case WIRE_32:
    case WIRE_64:
        if ((size_t)(reader->end - reader->at) < len)
            return false;
        reader->at += len;
        return true;
    }
    return false; /* groups, and what never was */
}

static const ProtobufCFieldDescriptor *find(const ProtobufCMessageDescriptor *descriptor, uint64_t id)
{
    if (id - 1 < descriptor->n_fields && descriptor->fields[id - 1].id == id)
        return &descriptor->fields[id - 1]; /* they are sorted, and mostly without gaps */
    for (unsigned i = 0; i < descriptor->n_fields; i++)
        if (descriptor->fields[i].id == id)
            return &descriptor->fields[i];
    return NULL;
}

static void *get_memory(struct reader *reader, size_t size)
{
    return reader->allocator->alloc(reader->allocator->allocator_data, size);
}

static enum err read_message(struct reader *reader, ProtobufCMessage *message, int depth);

static enum err get_number(struct reader *reader, ProtobufCType type, void *member)
{
    uint64_t value;
    if (!get_varint(reader, &value))
        return ERR_INVALID;
    if (type == PROTOBUF_C_TYPE_INT64 || type == PROTOBUF_C_TYPE_UINT64)
        *(uint64_t *)member = value;
    else if (type == PROTOBUF_C_TYPE_BOOL)
        *(protobuf_c_boolean *)member = value != 0;
    else
        *(uint32_t *)member = (uint32_t)value;
    return ERR_OK;
}

static enum err get_text(struct reader *reader, char **text_r)
{
    const uint8_t *bytes;
    size_t len;
    if (!get_bytes(reader, &bytes, &len))
        return ERR_INVALID;
    char *text = get_memory(reader, len + 1);
    if (!text)
        return ERR_TOO_LARGE;
    memcpy(text, bytes, len);
    text[len] = '\0';
    *text_r = text;
    return ERR_OK;
}

/* A message that stood there already is continued: the parts of one that comes in several merge. */
static enum err get_message(struct reader *reader, const ProtobufCMessageDescriptor *descriptor,
                            ProtobufCMessage **message_r, int depth)
{
    struct reader inner = *reader;
    size_t len;
    if (depth == DEPTH_MAX || !get_bytes(reader, &inner.at, &len))
        return ERR_INVALID;
    inner.end = inner.at + len;
    if (!*message_r) {
        ProtobufCMessage *message = get_memory(reader, descriptor->sizeof_message);
        if (!message)
            return ERR_TOO_LARGE;
        descriptor->message_init(message);
        *message_r = message;
    }
    return read_message(&inner, *message_r, depth + 1);
}

static enum err get_data(struct reader *reader, ProtobufCBinaryData *data)
{
    const uint8_t *bytes;
    if (!get_bytes(reader, &bytes, &data->len))
        return ERR_INVALID;
    data->data = (uint8_t *)(uintptr_t)bytes; /* protobuf-c has no const */
    return ERR_OK;
}

static inline enum err get_singular(struct reader *reader, const ProtobufCFieldDescriptor *field, enum wire_type type,
                                    void *member, int depth)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return type == WIRE_LEN ? get_text(reader, member) : ERR_INVALID;
    case PROTOBUF_C_TYPE_BYTES:
        return type == WIRE_LEN ? get_data(reader, member) : ERR_INVALID;
    case PROTOBUF_C_TYPE_MESSAGE:
        return type == WIRE_LEN ? get_message(reader, field->descriptor, member, depth) : ERR_INVALID;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
        return type == WIRE_VARINT ? get_number(reader, field->type, member) : ERR_INVALID;
    default:
        CHECK(!"a field type that wire.c does not know");
    }
    return ERR_INVALID;
}

/* Arrays of pointers double: full ones have a power of two of them. */
static enum err get_repeated(struct reader *reader, const ProtobufCFieldDescriptor *field, enum wire_type type,
                             size_t *count, void *member, int depth)
{
    void **items = *(void ***)member;
    if ((*count & (*count - 1)) == 0) {
        void **grown = get_memory(reader, (*count ? 2 * *count : 1) * sizeof *grown);
        if (!grown)
            return ERR_TOO_LARGE;
        if (*count)
            memcpy(grown, items, *count * sizeof *grown);
        *(void ***)member = items = grown;
    }
    items[*count] = NULL;
    enum err err = get_singular(reader, field, type, &items[*count], depth);
    if (err == ERR_OK)
        ++*count;
    return err;
}

static enum err read_message(struct reader *reader, ProtobufCMessage *message, int depth)
{
    char *base = (char *)message;
    enum err err = ERR_OK;
    while (reader->at < reader->end && err == ERR_OK) {
        uint64_t tag;
        if (!get_varint(reader, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
            return ERR_INVALID;
        enum wire_type type = (enum wire_type)(tag & 7);
        const ProtobufCFieldDescriptor *field = find(message->descriptor, tag >> 3);
        if (!field)
            err = skip(reader, type) ? ERR_OK : ERR_INVALID;
        else if (field->label == PROTOBUF_C_LABEL_REPEATED)
            err = get_repeated(reader, field, type, (size_t *)(base + field->quantifier_offset), base + field->offset,
                               depth);
        else
            err = get_singular(reader, field, type, base + field->offset, depth);
    }
    return err;
}

enum err wire_unpack(const ProtobufCMessageDescriptor *descriptor, const ProtobufCAllocator *allocator,
                     const void *bytes, size_t len, ProtobufCMessage **message_r)
{
    struct reader reader = {bytes, (const uint8_t *)bytes + len, allocator};
    *message_r = NULL;
    ProtobufCMessage *message = get_memory(&reader, descriptor->sizeof_message);
    if (!message)
        return ERR_TOO_LARGE;
    descriptor->message_init(message);
    enum err err = read_message(&reader, message, 0);
    if (err == ERR_OK)
        *message_r = message;
    return err;
}
