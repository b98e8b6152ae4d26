/* Real sockets on loopback. */
#include "bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "check.h"
#include "clock.h"
#include "net.h"

enum { DEADLINE_MS = 10000, MAX_LEN = 100000 };

#define TURN_UNTIL(condition)                                                                                          \
    do {                                                                                                               \
        uint64_t deadline_ms = clock_mono_ms() + DEADLINE_MS;                                                          \
        while (!(condition)) {                                                                                         \
            if (clock_mono_ms() > deadline_ms)                                                                         \
                fail_msg("waited in vain for: %s", #condition);                                                        \
            loop_turn(loop);                                                                                           \
        }                                                                                                              \
    } while (0)

static struct loop *loop;
static struct loop_timer *ticker;
static struct bus *bus;

static void tick(void *arg)
{
    (void)arg;
}

struct receiver {
    struct bus_pull *pull;
    uint64_t count, bytes;
    uint64_t in_turn, in_turn_max;
    bool is_numbered; /* each message is a uint32_t: its place */
    struct loop_task task;
};

static void end_turn(void *arg)
{
    struct receiver *receiver = arg;
    receiver->in_turn = 0;
}

static void receive(void *arg, const void *bytes, size_t len)
{
    struct receiver *receiver = arg;
    if (receiver->is_numbered) {
        uint32_t number;
        assert_int_equal(len, sizeof number);
        memcpy(&number, bytes, sizeof number);
        assert_int_equal(number, receiver->count);
    }
    receiver->count++;
    receiver->bytes += len;
    receiver->in_turn++;
    if (receiver->in_turn > receiver->in_turn_max)
        receiver->in_turn_max = receiver->in_turn;
    loop_reap(loop, &receiver->task); /* behind all other tasks of the turn */
}

static uint16_t open_pull(struct receiver *receiver, uint16_t port, int hwm)
{
    char endpoint[64];
    *receiver = (struct receiver){0};
    loop_task_init(&receiver->task, end_turn, receiver);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    /* ZeroMQ's own thread closes a listener a little after its socket: a port used before may still be taken */
    TURN_UNTIL(bus_pull_bind(bus, endpoint, hwm, MAX_LEN, receive, receiver, &receiver->pull) == ERR_OK);
    assert_true(bus_pull_port(receiver->pull) != 0);
    return bus_pull_port(receiver->pull);
}

/* Not by way of a pull: its listener would accept for a moment longer. */
static uint16_t free_port(void)
{
    int fd;
    assert_int_equal(net_listen("127.0.0.1", 0, 1, false, &fd), ERR_OK);
    uint16_t port = net_local_port(fd);
    close(fd);
    return port;
}

struct sender {
    struct bus_push *push;
    int ups, downs, rooms;
};

static void on_event(void *arg, enum bus_event event)
{
    struct sender *sender = arg;
    sender->ups += event == BUS_CONNECTED;
    sender->downs += event == BUS_DISCONNECTED;
    assert_true(sender->ups - sender->downs == (event == BUS_CONNECTED));
}

static void on_room(void *arg)
{
    struct sender *sender = arg;
    sender->rooms++;
}

static void open_push(struct sender *sender, uint16_t port, int hwm)
{
    char endpoint[64];
    *sender = (struct sender){0};
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    assert_int_equal(bus_push_connect(bus, endpoint, hwm, on_event, on_room, sender, &sender->push), ERR_OK);
}

static enum err send_bytes(struct sender *sender, size_t len)
{
    return bus_push_send(sender->push, calloc(1, len ? len : 1), len);
}

static enum err send_number(struct sender *sender, uint32_t number)
{
    char *bytes = malloc(sizeof number);
    memcpy(bytes, &number, sizeof number);
    return bus_push_send(sender->push, bytes, sizeof number);
}

static void test_delivery_in_order(void **state)
{
    (void)state;
    struct receiver receiver;
    struct sender sender;
    open_push(&sender, open_pull(&receiver, 0, 1000), 1000);
    receiver.is_numbered = true;
    TURN_UNTIL(sender.ups);
    for (uint32_t next = 0; next < 20000;) {
        while (next < 20000 && send_number(&sender, next) == ERR_OK)
            next++;
        loop_turn(loop);
    }
    TURN_UNTIL(receiver.count == 20000);
    assert_true(receiver.in_turn_max <= 256); /* a burst does not hold up the turn */
    receiver.is_numbered = false;
    assert_int_equal(send_bytes(&sender, 0), ERR_OK);
    assert_int_equal(send_bytes(&sender, MAX_LEN), ERR_OK);
    TURN_UNTIL(receiver.count == 20002);
    bus_push_free(&sender.push);
    bus_pull_free(&receiver.pull);
}

static void test_nobody_there_fails_fast(void **state)
{
    (void)state;
    struct receiver receiver;
    struct sender sender;
    uint16_t port = free_port();
    open_push(&sender, port, 10);
    assert_int_equal(send_bytes(&sender, 10), ERR_FULL);
    open_pull(&receiver, port, 10);
    TURN_UNTIL(sender.ups && sender.rooms); /* the refused send is told that it may be tried again */
    assert_int_equal(send_bytes(&sender, 10), ERR_OK);
    TURN_UNTIL(receiver.count == 1);
    bus_push_free(&sender.push);
    bus_pull_free(&receiver.pull);
}

static void test_full_then_room(void **state)
{
    (void)state;
    struct receiver receiver;
    struct sender sender;
    open_push(&sender, open_pull(&receiver, 0, 10), 10);
    TURN_UNTIL(sender.ups);
    uint64_t taken = 0; /* the loop does not turn, so nothing is received: kernel and high-water marks fill up */
    while (send_bytes(&sender, MAX_LEN) == ERR_OK)
        assert_true(++taken < 10000);
    assert_true(taken >= 10);
    assert_int_equal(sender.rooms, 0);
    TURN_UNTIL(sender.rooms);
    assert_int_equal(send_bytes(&sender, MAX_LEN), ERR_OK);
    TURN_UNTIL(receiver.count == taken + 1);
    assert_int_equal(sender.downs, 0);
    bus_push_free(&sender.push);
    bus_pull_free(&receiver.pull);
}

static void test_peer_gone_then_back(void **state)
{
    (void)state;
    struct receiver receiver;
    struct sender sender;
    uint16_t port = open_pull(&receiver, 0, 10);
    open_push(&sender, port, 10);
    TURN_UNTIL(sender.ups);
    bus_pull_free(&receiver.pull);
    TURN_UNTIL(sender.downs == 1);
    assert_int_equal(send_bytes(&sender, 1), ERR_FULL);
    open_pull(&receiver, port, 10);
    TURN_UNTIL(sender.ups == 2);
    assert_int_equal(send_bytes(&sender, 1), ERR_OK);
    TURN_UNTIL(receiver.count == 1);
    bus_push_free(&sender.push);
    bus_pull_free(&receiver.pull);
}

static void test_oversized_message_cuts_off(void **state)
{
    (void)state;
    struct receiver receiver;
    struct sender sender;
    open_push(&sender, open_pull(&receiver, 0, 10), 10);
    TURN_UNTIL(sender.ups);
    assert_int_equal(send_bytes(&sender, MAX_LEN + 1), ERR_OK);
    TURN_UNTIL(sender.downs == 1 && sender.ups == 2);
    assert_int_equal(receiver.count, 0);
    assert_int_equal(send_bytes(&sender, 1), ERR_OK);
    TURN_UNTIL(receiver.count == 1);
    bus_push_free(&sender.push);
    bus_pull_free(&receiver.pull);
}

static void test_many_senders(void **state)
{
    (void)state;
    enum { SENDERS = 20, EACH = 100 };
    struct receiver receiver;
    static struct sender senders[SENDERS];
    uint16_t port = open_pull(&receiver, 0, 1000);
    for (int i = 0; i < SENDERS; i++)
        open_push(&senders[i], port, 1000);
    for (int i = 0; i < SENDERS; i++)
        TURN_UNTIL(senders[i].ups);
    for (int i = 0; i < SENDERS * EACH; i++)
        assert_int_equal(send_bytes(&senders[i % SENDERS], 100), ERR_OK);
    TURN_UNTIL(receiver.count == SENDERS * EACH);
    for (int i = 0; i < SENDERS; i++)
        bus_push_free(&senders[i].push);
    bus_pull_free(&receiver.pull);
}

static struct bus_pull *pull_to_free;
static struct bus_push *push_to_free;
static int received;

static void free_pull_inside(void *arg, const void *bytes, size_t len)
{
    (void)arg, (void)bytes, (void)len;
    received++;
    bus_pull_free(&pull_to_free);
}

static void free_push_inside(void *arg, enum bus_event event)
{
    (void)arg, (void)event;
    bus_push_free(&push_to_free);
}

static void test_free_inside_callbacks(void **state)
{
    (void)state;
    struct sender sender;
    char endpoint[64];
    assert_int_equal(bus_pull_bind(bus, "tcp://127.0.0.1:*", 10, MAX_LEN, free_pull_inside, NULL, &pull_to_free),
                     ERR_OK);
    uint16_t port = bus_pull_port(pull_to_free);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    assert_int_equal(bus_push_connect(bus, endpoint, 10, free_push_inside, NULL, NULL, &push_to_free), ERR_OK);
    TURN_UNTIL(!push_to_free);
    open_push(&sender, port, 10);
    TURN_UNTIL(sender.ups);
    received = 0;
    for (int i = 0; i < 5; i++)
        assert_int_equal(send_bytes(&sender, 1), ERR_OK);
    TURN_UNTIL(!pull_to_free);
    assert_int_equal(received, 1);
    bus_push_free(&sender.push);
    loop_turn(loop);
}

static void test_bad_endpoints(void **state)
{
    (void)state;
    struct receiver receiver;
    struct bus_push *push;
    struct bus_pull *pull;
    assert_int_equal(bus_push_connect(bus, "nonsense", 10, NULL, NULL, NULL, &push), ERR_INVALID);
    assert_int_equal(bus_push_connect(bus, "tcp://", 10, NULL, NULL, NULL, &push), ERR_INVALID);
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", open_pull(&receiver, 0, 10));
    assert_int_equal(bus_pull_bind(bus, endpoint, 10, MAX_LEN, receive, &receiver, &pull), ERR_SYSTEM);
    bus_pull_free(&receiver.pull);
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    ticker = loop_timer_new(loop, tick, NULL);
    loop_timer_start(ticker, 10, 10);
    bus = bus_new(loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bus_free(&bus);
    loop_timer_free(&ticker);
    loop_free(&loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivery_in_order),     cmocka_unit_test(test_nobody_there_fails_fast),
        cmocka_unit_test(test_full_then_room),        cmocka_unit_test(test_peer_gone_then_back),
        cmocka_unit_test(test_many_senders),          cmocka_unit_test(test_oversized_message_cuts_off),
        cmocka_unit_test(test_free_inside_callbacks), cmocka_unit_test(test_bad_endpoints),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
