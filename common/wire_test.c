#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "link.h"

static struct link_arena *arena;

/* protobuf-c judges: what it writes must be what wire.c writes, and what it reads what wire.c reads. */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Small, large, and negative ones where there are such; zero now and then. */
static uint64_t random_number(uint64_t *seed)
{
    uint64_t r = next_random(seed);
    return r % 5 == 0 ? 0 : r >> (r >> 8) % 64;
}

static void *make(size_t size)
{
    ProtobufCAllocator *allocator = link_arena_allocator(arena);
    void *memory = allocator->alloc(allocator->allocator_data, size);
    assert_non_null(memory);
    return memory;
}

static char *random_text(uint64_t *seed, size_t *len_r)
{
    size_t len = next_random(seed) % 7 == 0 ? 1 + next_random(seed) % 300 : next_random(seed) % 20;
    char *text = make(len + 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + next_random(seed) % 26);
    text[len] = '\0';
    *len_r = len;
    return text;
}

static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *descriptor, uint64_t *seed);

static void fill_singular(const ProtobufCFieldDescriptor *field, void *member, uint64_t *seed)
{
    size_t len;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)member = random_number(seed);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)member = next_random(seed) % 2 == 0;
        break;
    case PROTOBUF_C_TYPE_STRING:
        *(char **)member = random_text(seed, &len);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        ((ProtobufCBinaryData *)member)->data = (uint8_t *)random_text(seed, &((ProtobufCBinaryData *)member)->len);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        if (next_random(seed) % 4 != 0)
            *(ProtobufCMessage **)member = random_message(field->descriptor, seed);
        break;
    default:
        *(uint32_t *)member = (uint32_t)random_number(seed);
    }
}

static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *descriptor, uint64_t *seed)
{
    char *message = make(descriptor->sizeof_message);
    descriptor->message_init((ProtobufCMessage *)message);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            fill_singular(field, message + field->offset, seed);
            continue;
        }
        size_t count = next_random(seed) % 6;
        ProtobufCMessage **items = make((count + 1) * sizeof *items);
        for (size_t n = 0; n < count; n++)
            items[n] = random_message(field->descriptor, seed);
        *(ProtobufCMessage ***)(message + field->offset) = items;
        *(size_t *)(message + field->quantifier_offset) = count;
    }
    return (ProtobufCMessage *)message;
}

static void pack_reference(const ProtobufCMessage *message, struct buf *out)
{
    buf_clear(out);
    uint8_t *to = (uint8_t *)buf_reserve(out, protobuf_c_message_get_packed_size(message));
    out->len = protobuf_c_message_pack(message, to);
}

/* What protobuf-c keeps of fields it does not know is not looked at. */
static void pack_known(const ProtobufCMessage *message, struct buf *out)
{
    buf_clear(out);
    wire_put(out, message);
}

static const ProtobufCMessageDescriptor *const descriptors[] = {
    &herald__v1__envelope__descriptor, &herald__v1__delivery__descriptor, &herald__v1__result__descriptor,
    &herald__v1__box_fate__descriptor};

static void test_writes_what_protobuf_c_writes(void **state)
{
    (void)state;
    struct buf ours, theirs;
    buf_init(&ours);
    buf_init(&theirs);
    uint64_t seed = 42;
    for (int round = 0; round < 400; round++) {
        link_arena_clear(arena);
        ProtobufCMessage *message = random_message(descriptors[round % 4], &seed);
        pack_reference(message, &theirs);
        pack_known(message, &ours);
        assert_int_equal(ours.len, theirs.len);
        assert_memory_equal(ours.bytes, theirs.bytes, ours.len);
        assert_int_equal(ours.bytes[ours.len], '\0');
    }
    buf_release(&ours);
    buf_release(&theirs);
}

/* Whether it was taken: then protobuf-c takes it too, and it says the same. */
static bool take(const ProtobufCMessageDescriptor *descriptor, const char *bytes, size_t len)
{
    struct buf ours, theirs;
    ProtobufCMessage *mine;
    char *exact = malloc(len ? len : 1); /* of its own, so that reading beyond it is seen */
    memcpy(exact, bytes, len);
    buf_init(&ours);
    buf_init(&theirs);
    enum err err = wire_unpack(descriptor, link_arena_allocator(arena), exact, len, &mine);
    if (err == ERR_OK) {
        ProtobufCMessage *judge = protobuf_c_message_unpack(descriptor, NULL, len, (const uint8_t *)exact);
        assert_non_null(judge);
        pack_known(mine, &ours);
        pack_known(judge, &theirs);
        assert_int_equal(ours.len, theirs.len);
        assert_memory_equal(ours.bytes, theirs.bytes, ours.len);
        protobuf_c_message_free_unpacked(judge, NULL);
    }
    buf_release(&ours);
    buf_release(&theirs);
    free(exact);
    return err == ERR_OK;
}

static void test_reads_what_protobuf_c_reads(void **state)
{
    (void)state;
    struct buf whole;
    buf_init(&whole);
    uint64_t seed = 7;
    for (int round = 0; round < 400; round++) {
        const ProtobufCMessageDescriptor *descriptor = descriptors[round % 4];
        link_arena_clear(arena);
        pack_known(random_message(descriptor, &seed), &whole);
        assert_true(take(descriptor, whole.bytes, whole.len));
        if (round % 4 == 0)
            continue; /* envelopes with two hellos: protobuf-c merges only some fields of these */
        wire_put(&whole, random_message(descriptor, &seed));
        assert_true(take(descriptor, whole.bytes, whole.len));
    }
    buf_release(&whole);
}

/* Shortened, and with one byte changed. protobuf-c is laxer: it knows field 0, and bools of any kind. */
static void test_takes_nothing_that_protobuf_c_refuses(void **state)
{
    (void)state;
    struct buf whole;
    buf_init(&whole);
    uint64_t seed = 99;
    int taken = 0, refused = 0;
    for (int round = 0; round < 20000; round++) {
        const ProtobufCMessageDescriptor *descriptor = descriptors[1 + round % 3];
        link_arena_clear(arena);
        pack_known(random_message(descriptor, &seed), &whole);
        size_t len = whole.len ? next_random(&seed) % whole.len + 1 : 0;
        if (len > 0 && round % 2)
            whole.bytes[next_random(&seed) % len] = (char)next_random(&seed);
        if (take(descriptor, whole.bytes, len))
            taken++;
        else
            refused++;
    }
    assert_true(taken > 1000 && refused > 1000);
    buf_release(&whole);
}

static enum err unpack(const char *bytes, size_t len)
{
    ProtobufCMessage *message;
    link_arena_clear(arena);
    return wire_unpack(&herald__v1__result__descriptor, link_arena_allocator(arena), bytes, len, &message);
}

static void test_what_is_not_a_message(void **state)
{
    (void)state;
    assert_int_equal(unpack("", 0), ERR_OK);
    assert_int_equal(unpack("\x08\x05", 2), ERR_OK);       /* slot 5 */
    assert_int_equal(unpack("\x08", 1), ERR_INVALID);      /* its value is missing */
    assert_int_equal(unpack("\x0a\x01x", 3), ERR_INVALID); /* slot is no string */
    assert_int_equal(unpack("\x22\x05"
                            "abcd",
                            6),
                     ERR_INVALID); /* a reason longer than what is there */
    assert_int_equal(unpack("\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), ERR_INVALID); /* of 2^64 - 1 bytes */
    assert_int_equal(unpack("\x00\x01", 2), ERR_INVALID);                                      /* field 0 */
    assert_int_equal(unpack("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12), ERR_INVALID); /* eleven bytes */
    assert_int_equal(unpack("\xfb\x07", 2), ERR_INVALID);                                          /* a group */
    assert_int_equal(unpack("\xf9\x07"
                            "12345678"
                            "\x08\x05",
                            12),
                     ERR_OK); /* unknown ones are skipped */
    assert_int_equal(unpack("\xf9\x07"
                            "1234567",
                            9),
                     ERR_INVALID);
}

static int set_up(void **state)
{
    (void)state;
    arena = link_arena_new(16 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    link_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_what_protobuf_c_writes),
        cmocka_unit_test(test_reads_what_protobuf_c_reads),
        cmocka_unit_test(test_takes_nothing_that_protobuf_c_refuses),
        cmocka_unit_test(test_what_is_not_a_message),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
