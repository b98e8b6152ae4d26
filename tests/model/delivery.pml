/*
 * The way of one user's durable messages: Kafka's log and commit mark, routers (flow, cached route, spilling), lanes
 * that may lose, gateways (register, live, drain, acknowledge), Redis (route, mailbox, mark) and a client that sees.
 * tests/model/run explores every interleaving of it, for several small worlds; docs/delivery.md has the rules in words.
 *
 * A process is a thing that acts; each of its steps is atomic, as a turn of a loop or a script in Redis is. What takes
 * time is two steps: a script runs in Redis, later its reply is worked on; a delivery is put on the lane, later taken.
 * Between the two anything may happen.
 *
 * World:  RECORDS (of the partition, at most 4)  ROUTERS  GATEWAYS  DEVICES  SESSIONS (connections made in all)  WINDOW (of unacknowledged pushes)
 * Faults: LOSSES (a delivery, poke or result; a reply of the append)  DELAYS (an ack wait passes although nothing was
 *         lost)  GATEWAY_CRASHES (of the first)  ROUTER_CRASHES  REBALANCES
 *         LOOKUPS (of the same user for another reason than the flow)
 * Without a rule (the mutations): NO_...
 */
#ifndef RECORDS
#define RECORDS 3
#endif
#ifndef ROUTERS
#define ROUTERS 1
#endif
#ifndef GATEWAYS
#define GATEWAYS 1
#endif
#ifndef DEVICES
#define DEVICES 1
#endif
#ifndef SESSIONS
#define SESSIONS 2
#endif
#ifndef WINDOW
#define WINDOW RECORDS
#endif
#ifndef DELAYS
#define DELAYS 1
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef GATEWAY_CRASHES
#define GATEWAY_CRASHES 0
#endif
#ifndef ROUTER_CRASHES
#define ROUTER_CRASHES 0
#endif
#ifndef REBALANCES
#define REBALANCES 0
#endif
#ifndef LOOKUPS
#define LOOKUPS 0
#endif

#define LANES (ROUTERS * GATEWAYS)
#define RING (RECORDS + 1)  /* unacknowledged pushes of a session: room for the window */
#define HISTORY (2 * RECORDS) /* entries that ever were in the mailbox */
#define BIT(n) (1 << (n))
#define ITEM(r, x) ((r)*RECORDS + (x))
#define LANE(r, g) ((r)*GATEWAYS + (g))
#define SLOT(r, s, x) (((r)*SESSIONS + (s)) * RECORDS + (x))
#define ROUTE(r, d) ((r)*DEVICES + (d))
#define TAKEN(s, r) ((s)*ROUTERS + (r))

/* --- what there is ------------------------------------------------------------------------------------------------ */

/* Redis: herald:route (session + 1, 0: none), herald:box (record + 1 by stream id, 0: removed), herald:boxmark */
byte route[DEVICES];
byte box[HISTORY], box_next, box_len, mark;

/* Kafka: who owns the partition for the group, up to where it is committed */
byte owner, committed;

/* the client of each device: records it has seen; the session it believes in (+ 1) */
byte seen[DEVICES], current[DEVICES];
byte sessions_made;

/* gateways */
#define NEVER 0
#define REGISTERING 1 /* route_register is on its way */
#define REGISTERED 2  /* and done: the reply is on its way */
#define OPEN 3
#define ENDED 4
#define ENDED_EARLY 5 /* while REGISTERING: the script will still run, and the removal after it */
#define LIVE 0
#define WAITING 1
#define SENDING 2
#define READING 3 /* a page was read: the reply is on its way */
byte state[SESSIONS], device[SESSIONS], gateway[SESSIONS], drain[SESSIONS];
bool is_up[SESSIONS];      /* the client is still there */
bool is_lost[SESSIONS];    /* its gateway's life is over */
bool has_box[SESSIONS];    /* what route_register said */
bool is_poked[SESSIONS], is_unread[SESSIONS], is_all_read[SESSIONS];
byte last[SESSIONS], page[SESSIONS]; /* stream ids + 1; 0: none */
byte page_record[SESSIONS];
byte box_unacked[SESSIONS];
byte ack_reply[SESSIONS];            /* of box_ack, on its way: 1: none left, 2: some left */
byte ring[SESSIONS * RING], ring_len[SESSIONS], arrived[SESSIONS];
byte taken[SESSIONS * ROUTERS]; /* the record (+ 1) that was the last accepted from a router */

#define ENTRY_LIVE(x, r) (((x) + 1) | 8 | ((r) << 4) | (life[r] << 5))
#define ENTRY_BOX(x, id) (((x) + 1) | ((id) << 4))
#define entry_record(e) (((e)&7) - 1)
#define entry_is_live(e) ((e)&8)
#define entry_router(e) (((e) >> 4) & 1)
#define entry_life(e) (((e) >> 5) & 1)
#define entry_id(e) ((e) >> 4)
#define is_there(s) (state[s] == REGISTERING || state[s] == REGISTERED || state[s] == OPEN)
#define has_room(s) (ring_len[s] < WINDOW)

/* routers */
#define NONE 0
#define HELD 1
#define OUT 2
#define FAILED 3
#define RUN 4
#define DONE 5
#define BREAKING 1
#define SPILLING 2
byte place[ROUTERS * RECORDS], mode[ROUTERS], next[ROUTERS];
byte out_to[ROUTERS * RECORDS];    /* sessions for which a result is awaited */
byte no_result[ROUTERS * RECORDS]; /* of them, those for which none will come */
bool is_owner[ROUTERS];         /* it believes so */
bit life[ROUTERS];              /* changes with each assignment: slots are of one life */
byte stamp[ROUTERS * DEVICES];  /* the route that what is out went by */
byte newest[ROUTERS];           /* the record (+ 1) sent last of what is out */
bool is_cached[ROUTERS], cached_box[ROUTERS], is_told[ROUTERS]; /* is_told: an invalidation is on its way */
byte cached[ROUTERS * DEVICES];
bool is_asking[ROUTERS], is_dirty[ROUTERS], asked_box[ROUTERS];
byte asked[ROUTERS * DEVICES];
byte append[ROUTERS]; /* 1: on its way, 2: done, the reply is on its way */
byte poked[ROUTERS * DEVICES];
byte ghost;           /* an append of a router that has died, still on its way: records */

/* record + 1 and life << 3, or POKE; the one before + 1 and session << 4 */
chan lane[LANES] = [RECORDS * DEVICES + 2] of { byte, byte };
#define POKE 128
byte result[ROUTERS * SESSIONS * RECORDS]; /* on its way: ACKED, MISSED */
#define ACKED 1
#define MISSED 2

#ifdef OUTCOMES
/* outcomes: those in Kafka (records), those of each router on their way there; a record is committed after its own */
byte told, untold[ROUTERS];
#ifdef NO_HOLD
#define is_held(r, rec) 0
#else
#define is_held(r, rec) (untold[r] & BIT(rec))
#endif
#else
#define is_held(r, rec) 0
#endif

/* faults that may still happen */
byte delays = DELAYS, losses = LOSSES, gateway_crashes = GATEWAY_CRASHES, router_crashes = ROUTER_CRASHES, rebalances = REBALANCES,
     lookups = LOOKUPS;
bool is_poke_lost;

/* for the properties: records that ever stood in the mailbox; that a router gave an outcome; that a client acknowledged,
 * where there are several */
byte stored, finished, acknowledged;

hidden byte i, j, k, x, g, m, n, b, is_blocked;
hidden byte to[DEVICES]; /* the route to send by */

/* --- properties --------------------------------------------------------------------------------------------------- */

inline any_seen(r_) /* records that a device has seen */
{
    r_ = 0;
    for (b : 0 .. DEVICES - 1) {
        r_ = r_ | seen[b];
    }
}

/* Nothing is finished (and so may be committed) that was neither seen by a client nor stands in the mailbox. */
inline check_finished()
{
    any_seen(m);
    for (b : 0 .. HISTORY - 1) {
        m = m | (box[b] -> BIT(box[b] - 1) : 0)
    }
    assert((m & finished) == finished)
}

/* First sights are in order, but for what another device has acknowledged. */
inline see(d, rec)
{
    if
    :: !(seen[d] & BIT(rec)) ->
        printf("client: device %d sees r%d\n", d, rec + 1);
        assert(seen[d] < BIT(rec) || (acknowledged & BIT(rec)));
        seen[d] = seen[d] | BIT(rec)
    :: else
    fi
}

/* Each reading of a record ends in one outcome, and the outcome is true. */
inline finish(r, rec, is_stored)
{
    assert(place[ITEM(r, rec)] == (is_stored -> RUN : OUT) || (!is_stored && place[ITEM(r, rec)] == FAILED));
    place[ITEM(r, rec)] = DONE;
    finished = finished | BIT(rec);
#ifdef OUTCOMES
    untold[r] = untold[r] | BIT(rec);
#endif
    any_seen(m);
    assert((is_stored && (stored & BIT(rec))) || (m & BIT(rec)));
    check_finished()
}

/* --- Redis -------------------------------------------------------------------------------------------------------- */

inline invalidate()
{
    for (b : 0 .. ROUTERS - 1) {
        if
        :: is_cached[b] || is_asking[b] -> is_told[b] = true
        :: else
        fi
    }
}

inline box_append(rec)
{
    if
#ifndef NO_MARK
    :: rec + 1 <= mark ->
        printf("redis: r%d is not appended: below the mark\n", rec + 1);
        any_seen(m); /* what the mark keeps out has its fate already */
        assert((m | stored) & BIT(rec))
#endif
    :: else ->
        assert(!(stored & BIT(rec))); /* enters once */
        printf("redis: r%d is appended to the mailbox\n", rec + 1);
        box[box_next] = rec + 1;
        box_next++;
        box_len++;
        stored = stored | BIT(rec);
        mark = rec + 1
    fi
}

inline box_remove(id)
{
    if
    :: box[id] ->
        printf("redis: r%d is removed from the mailbox\n", box[id]);
        box[id] = 0;
        box_len--;
        check_finished();
        if
        :: box_len == 0 -> invalidate()
        :: else
        fi
    :: else
    fi
}

/* --- sessions ----------------------------------------------------------------------------------------------------- */

inline report(r, s, rec, of_life, kind)
{
    if
    :: life[r] == of_life && (out_to[ITEM(r, rec)] & BIT(s)) && !result[SLOT(r, s, rec)] -> result[SLOT(r, s, rec)] = kind
    :: else
    fi
}

inline read_page(s)
{
    if
    :: drain[s] == SENDING && !is_all_read[s] && has_room(s) ->
        drain[s] = READING;
        is_unread[s] = false;
        page[s] = 0;
        for (b : 0 .. HISTORY - 1) {
            if
            :: page[s] == 0 && b >= last[s] && box[b] ->
                page[s] = b + 1;
                page_record[s] = box[b] - 1
            :: else
            fi
        }
    :: else
    fi
}

inline start_drain(s)
{
    is_poked[s] = false;
    drain[s] = SENDING;
    last[s] = 0;
    printf("session %d: drains\n", s);
    box_unacked[s] = 0;
    is_all_read[s] = false;
    is_unread[s] = true;
    read_page(s)
}

inline end_drain(s)
{
    printf("session %d: live\n", s);
    drain[s] = LIVE;
    is_unread[s] = false;
    is_all_read[s] = false;
    last[s] = 0;
    page[s] = 0;
    page_record[s] = 0;
    box_unacked[s] = 0
}

inline poke(s)
{
    if
    :: state[s] != OPEN -> is_poked[s] = true
    :: else ->
        is_unread[s] = true;
        is_all_read[s] = false;
        if
        :: drain[s] == LIVE || drain[s] == WAITING -> start_drain(s)
        :: else -> read_page(s)
        fi
    fi
}

inline hold(s, entry)
{
    ring[s * RING + ring_len[s]] = entry;
    ring_len[s]++
}

/* The gateway is done with it. */
inline end_session(s)
{
    printf("session %d: ends\n", s);
    for (j : 0 .. RING - 1) {
        if
        :: j < ring_len[s] && entry_is_live(ring[s * RING + j]) ->
            report(entry_router(ring[s * RING + j]), s, entry_record(ring[s * RING + j]),
                   entry_life(ring[s * RING + j]), MISSED)
        :: else
        fi;
        ring[s * RING + j] = 0
    }
    ring_len[s] = 0;
    arrived[s] = 0;
    end_drain(s);
    ack_reply[s] = 0;
    is_poked[s] = false;
    has_box[s] = false;
    is_up[s] = false;
    for (b : 0 .. ROUTERS - 1) {
        taken[TAKEN(s, b)] = 0
    }
    state[s] = (state[s] == REGISTERING -> ENDED_EARLY : ENDED)
}

inline remove_route(s)
{
    if
    :: route[device[s]] == s + 1 ->
        route[device[s]] = 0;
        invalidate()
    :: else
    fi
}

inline offer(s, r, rec, before, of_life)
{
    if
#ifndef NO_UNBROKEN
    :: before != 0 && before != taken[TAKEN(s, r)] ->
        printf("session %d: refuses r%d: not the one that follows\n", s, rec + 1)
#endif
#ifndef NO_DRAINING
    :: drain[s] != LIVE -> printf("session %d: refuses r%d: draining\n", s, rec + 1)
#endif
    :: else ->
        if
        :: !has_room(s) ->
            printf("session %d: refuses r%d: window\n", s, rec + 1);
            if
            :: drain[s] == LIVE -> drain[s] = WAITING
            :: else
            fi
        :: else ->
            hold(s, (((rec) + 1) | 8 | ((r) << 4) | ((of_life) << 5)));
            printf("session %d: takes r%d live from router %d\n", s, rec + 1, r);
            taken[TAKEN(s, r)] = rec + 1;
            n++
        fi
    fi
}

proctype session(byte s)
{
end:
    do
    :: d_step { state[s] == REGISTERING ->
           printf("redis: session %d is registered, %d in the mailbox\n", s, box_len);
           route[device[s]] = s + 1;
           invalidate();
#ifndef NO_LENGTH
           has_box[s] = box_len > 0;
#endif
           state[s] = REGISTERED; skip }
    :: d_step { state[s] == ENDED_EARLY ->
           route[device[s]] = 0;
           invalidate();
           state[s] = ENDED; skip }
    :: d_step { state[s] == REGISTERED ->
           state[s] = OPEN;
           if
           :: has_box[s] || is_poked[s] -> start_drain(s)
           :: else -> end_drain(s)
           fi;
           has_box[s] = false; skip }
    :: d_step { drain[s] == READING -> /* the page arrives: of one entry */
           drain[s] = SENDING;
           if
           :: page[s] == 0 && is_unread[s] -> read_page(s)
           :: page[s] == 0 && !is_unread[s] && last[s] == 0 -> end_drain(s)
           :: page[s] == 0 && !is_unread[s] && last[s] > 0 ->
               is_all_read[s] = true;
               if
               :: box_unacked[s] == 0 -> start_drain(s)
               :: else
               fi
           :: else ->
               printf("session %d: sends r%d from the mailbox\n", s, page_record[s] + 1);
               last[s] = page[s];
               page[s] = 0;
               hold(s, ENTRY_BOX(page_record[s], last[s] - 1));
               page_record[s] = 0;
               box_unacked[s]++;
#ifdef NO_WAIT_FOR_ACK
               box_remove(last[s] - 1);
#endif
               read_page(s)
           fi; skip }
    :: d_step { is_up[s] && arrived[s] < ring_len[s] -> /* the client sees the next one */
           see(device[s], entry_record(ring[s * RING + arrived[s]]));
           arrived[s]++; skip }
    :: d_step { is_up[s] && arrived[s] > 0 && !ack_reply[s] -> /* its acknowledgement arrives */
           k = ring[s * RING];
           printf("session %d: r%d is acknowledged\n", s, entry_record(k) + 1);
#if DEVICES > 1
           acknowledged = acknowledged | BIT(entry_record(k));
#endif
           for (j : 0 .. RING - 2) {
               ring[s * RING + j] = ring[s * RING + j + 1]
           }
           ring[s * RING + RING - 1] = 0;
           ring_len[s]--;
           arrived[s]--;
           if
           :: entry_is_live(k) -> report(entry_router(k), s, entry_record(k), entry_life(k), ACKED)
           :: else ->
               box_remove(entry_id(k));
               ack_reply[s] = (box_len == 0 -> 1 : 2);
               if
               :: box_unacked[s] > 0 -> box_unacked[s]--
               :: else
               fi
           fi;
           read_page(s); skip }
    :: d_step { ack_reply[s] ->
#ifdef NO_ATOMIC_EMPTY
           if /* looked first, deletes now */
           :: ack_reply[s] == 1 ->
               for (b : 0 .. HISTORY - 1) {
                   box[b] = 0
               }
               box_len = 0;
               check_finished()
           :: else
           fi;
#endif
           if
           :: drain[s] == SENDING ->
               if
#ifndef NO_UNREAD
               :: ack_reply[s] == 1 && !is_unread[s] -> end_drain(s)
#else
               :: ack_reply[s] == 1 -> end_drain(s)
#endif
               :: ack_reply[s] == 2 && is_all_read[s] && box_unacked[s] == 0 -> start_drain(s)
               :: else
               fi
           :: drain[s] == LIVE && ack_reply[s] == 2 -> poke(s)
           :: else
           fi;
           ack_reply[s] = 0; skip }
    :: d_step { state[s] == OPEN && drain[s] == WAITING -> start_drain(s); skip }
    :: d_step { is_there(s) && !is_up[s] -> /* the gateway notices that the client has gone */
           end_session(s);
           if
           :: state[s] == ENDED -> remove_route(s)
           :: else
           fi; skip }
    :: d_step { state[s] == OPEN && route[device[s]] != 0 && route[device[s]] != s + 1 -> end_session(s); skip }
    :: d_step { state[s] == OPEN && drain[s] == LIVE && /* refresh: only where it is needed */
               ((is_poke_lost && box_len > 0 && route[device[s]] == s + 1) || route[device[s]] == 0) ->
           if
           :: route[device[s]] == 0 ->
               route[device[s]] = s + 1;
               invalidate()
           :: else
           fi;
           if
           :: box_len > 0 -> poke(s)
           :: else
           fi; skip }
    od
}

/* --- routers ------------------------------------------------------------------------------------------------------ */

inline count_out(r, n_)
{
    n_ = 0;
    for (b : 0 .. RECORDS - 1) {
        n_ = n_ + (place[ITEM(r, b)] == OUT -> 1 : 0)
    }
}

inline first_of(r, where, x_)
{
    x_ = RECORDS;
    for (b : 0 .. RECORDS - 1) {
        if
        :: x_ == RECORDS && place[ITEM(r, b)] == where -> x_ = b
        :: else
        fi
    }
}

/* flow_may_send() and send_out(), of record x by what is known of the user */
inline send_out(r, is_spilled)
{
    count_out(r, n);
    is_blocked = false;
    for (b : 0 .. DEVICES - 1) {
        is_blocked = is_blocked || (n > 0 && stamp[ROUTE(r, b)] != to[b])
    }
#ifdef NO_STAMP
    is_blocked = false;
#endif
    if
    :: is_spilled || !is_blocked ->
        is_blocked = false;
        m = 0; /* sessions */
        i = 0; /* of them, those whose gateway's life is over: nobody hears it */
        for (b : 0 .. DEVICES - 1) {
            if
            :: to[b] && !is_spilled ->
                k = to[b] - 1;
                if
                :: is_lost[k] ->
                    m = m | BIT(k);
                    i = i | BIT(k)
                :: !is_lost[k] ->
                    g = LANE(r, gateway[k]);
                    if
                    :: full(lane[g])
                    :: nfull(lane[g]) ->
                        m = m | BIT(k);
                        lane[g]!((x + 1) | (life[r] << 3)), ((n > 0 -> newest[r] : 0) | (k << 4))
                    fi
                fi
            :: else
            fi
        }
        if
        :: m == 0 ->
            printf("router %d: r%d cannot go live (box %d)\n", r, x + 1, is_spilled);
            place[ITEM(r, x)] = FAILED;
            mode[r] = BREAKING
        :: else ->
            printf("router %d: r%d goes out to sessions %d, after r%d\n", r, x + 1, m, (n > 0 -> newest[r] : 0));
            place[ITEM(r, x)] = OUT;
            out_to[ITEM(r, x)] = m;
            no_result[ITEM(r, x)] = i;
            newest[r] = x + 1;
            for (b : 0 .. DEVICES - 1) {
                stamp[ROUTE(r, b)] = to[b]
            }
        fi
    :: else
    fi
}

inline look_up(r)
{
    printf("redis: router %d looks up: box %d, route %d\n", r, box_len > 0, route[0]);
    is_asking[r] = true;
    is_dirty[r] = false;
    asked_box[r] = box_len > 0;
    for (b : 0 .. DEVICES - 1) {
        asked[ROUTE(r, b)] = route[b]
    }
}

inline forget(r)
{
    is_cached[r] = false;
    cached_box[r] = false;
    for (b : 0 .. DEVICES - 1) {
        cached[ROUTE(r, b)] = 0
    }
    is_dirty[r] = is_asking[r]
}

inline release(r, rec)
{
    out_to[ITEM(r, rec)] = 0;
    no_result[ITEM(r, rec)] = 0;
    for (b : 0 .. SESSIONS - 1) {
        result[SLOT(r, b, rec)] = 0
    }
}

/* What is behind the first failure, or all, becomes the run. */
inline spill(r)
{
    first_of(r, RUN, j);
    if
    :: j == RECORDS && mode[r] != LIVE ->
        first_of(r, OUT, i);
        first_of(r, FAILED, j);
#ifdef NO_WAIT_AHEAD
        if
        :: j == RECORDS -> first_of(r, HELD, j)
        :: else
        fi;
#endif
        if
#ifdef NO_WAIT_AHEAD
        :: j < RECORDS ->
#else
        :: mode[r] == SPILLING || j < i ->
            j = 0;
#endif
            n = 0;
            for (x : 0 .. RECORDS - 1) {
                if
                :: x >= j && (place[ITEM(r, x)] == OUT || place[ITEM(r, x)] == FAILED || place[ITEM(r, x)] == HELD) ->
                    printf("router %d: spills r%d\n", r, x + 1);
                    release(r, x);
                    place[ITEM(r, x)] = RUN;
                    n++
                :: else
                fi
            }
            mode[r] = SPILLING;
            append[r] = (n > 0 -> 1 : 0)
        :: else
        fi
    :: else
    fi
}

/* Everything the router does at once after any event. */
inline settle(r)
{
    is_blocked = false;
    first_of(r, HELD, x);
    do
    :: mode[r] == LIVE && x < RECORDS && is_cached[r] && !is_blocked ->
        for (b : 0 .. DEVICES - 1) {
            to[b] = cached[ROUTE(r, b)]
        }
        send_out(r, cached_box[r]);
        first_of(r, HELD, x)
    :: else -> break
    od;
    if
    :: mode[r] == LIVE && x < RECORDS && !is_cached[r] && !is_asking[r] -> look_up(r)
    :: else
    fi;
    spill(r);
    /* the flow is gone with its last item */
    first_of(r, HELD, i);
    first_of(r, OUT, j);
    first_of(r, RUN, k);
    if
    :: i == RECORDS && k == RECORDS && j == RECORDS ->
        first_of(r, FAILED, i);
        if
        :: i == RECORDS -> mode[r] = LIVE
        :: else
        fi
    :: else
    fi;
    if
    :: j == RECORDS -> newest[r] = 0; /* nothing is out */
        for (b : 0 .. DEVICES - 1) {
            stamp[ROUTE(r, b)] = 0
        }
    :: else
    fi
}

/* It holds the partition no more, or has died: what is unfinished is abandoned. */
inline abandon(r)
{
    is_owner[r] = false;
#ifdef OUTCOMES
    untold[r] = 0; /* those that Kafka has, it has */
#endif
    for (x : 0 .. RECORDS - 1) {
        release(r, x);
        place[ITEM(r, x)] = NONE
    }
    mode[r] = LIVE;
    next[r] = 0;
    append[r] = 0;
    newest[r] = 0;
    for (b : 0 .. DEVICES - 1) {
        stamp[ROUTE(r, b)] = 0;
        poked[ROUTE(r, b)] = 0
    }
}

/* Of an append that is on its way only Redis knows: it may still run. */
inline leave_ghost(r)
{
    if
    :: append[r] == 1 ->
        for (x : 0 .. RECORDS - 1) {
            ghost = ghost | (place[ITEM(r, x)] == RUN -> BIT(x) : 0)
        }
    :: append[r] == 2 -> is_poke_lost = true
    :: else
    fi
}

inline assign(r)
{
    abandon(r);
    is_owner[r] = true;
    life[r] = 1 - life[r];
    next[r] = committed;
    for (x : 0 .. RECORDS - 1) {
        place[ITEM(r, x)] = (x < committed -> DONE : NONE)
    }
#ifndef NO_FRESH_START
    forget(r)
#endif
}

inline low_water(r, n_)
{
    n_ = RECORDS;
    for (b : 0 .. RECORDS - 1) {
        if
        :: n_ == RECORDS && place[ITEM(r, b)] != DONE -> n_ = b
        :: else
        fi
    }
}

proctype router(byte r)
{
end:
    do
    :: d_step { is_owner[r] && next[r] < RECORDS -> /* a record comes */
           printf("router %d: r%d comes\n", r, next[r] + 1);
           place[ITEM(r, next[r])] = HELD;
           next[r]++;
           settle(r); skip }
    :: d_step { is_asking[r] -> /* the answer about route and mailbox */
           if
#ifndef NO_ASK_AGAIN
           :: is_dirty[r] -> look_up(r)
#endif
           :: else ->
               printf("router %d: has the answer\n", r);
               first_of(r, HELD, x);
               if
               :: mode[r] == LIVE && x < RECORDS ->
                   for (b : 0 .. DEVICES - 1) {
                       to[b] = asked[ROUTE(r, b)]
                   }
                   send_out(r, asked_box[r])
               :: else
               fi;
               if
               :: !is_dirty[r] ->
                   is_cached[r] = true;
                   cached_box[r] = asked_box[r];
                   for (b : 0 .. DEVICES - 1) {
                       cached[ROUTE(r, b)] = asked[ROUTE(r, b)]
                   }
               :: else
               fi;
               is_asking[r] = false;
               is_dirty[r] = false;
               asked_box[r] = false;
               for (b : 0 .. DEVICES - 1) {
                   asked[ROUTE(r, b)] = 0
               }
               settle(r)
           fi; skip }
    :: d_step { is_told[r] -> /* an invalidation, as late as can be */
           printf("router %d: invalidation\n", r);
           is_told[r] = false;
           forget(r);
           settle(r); skip }
    :: d_step { lookups > 0 && !is_asking[r] && !is_cached[r] ->
           lookups--;
           look_up(r); skip }
    :: d_step { append[r] == 1 ->
           for (x : 0 .. RECORDS - 1) {
               if
               :: place[ITEM(r, x)] == RUN -> box_append(x)
               :: else
               fi
           }
           invalidate();
           for (x : 0 .. DEVICES - 1) {
               poked[ROUTE(r, x)] = route[x]
           }
           append[r] = 2; skip }
    :: d_step { append[r] == 2 && losses > 0 -> /* the reply is lost: once more */
           losses--;
           printf("fault: router %d does not get the reply of its append\n", r);
           append[r] = 1;
           is_poke_lost = true; skip }
    :: d_step { append[r] == 2 -> /* pokes, then the outcomes */
           printf("router %d: the run is stored\n", r);
           append[r] = 0;
           k = 0;
           for (b : 0 .. DEVICES - 1) {
               if
               :: poked[ROUTE(r, b)] && !is_lost[poked[ROUTE(r, b)] - 1] ->
                   k = k | BIT(gateway[poked[ROUTE(r, b)] - 1])
               :: else
               fi;
               poked[ROUTE(r, b)] = 0
           }
           for (g : 0 .. GATEWAYS - 1) {
               if
               :: k & BIT(g) ->
                   if
                   :: nfull(lane[LANE(r, g)]) -> lane[LANE(r, g)]!POKE, 0
                   :: full(lane[LANE(r, g)]) -> is_poke_lost = true
                   fi
               :: else
               fi
           }
           for (x : 0 .. RECORDS - 1) {
               if
               :: place[ITEM(r, x)] == RUN -> finish(r, x, true)
               :: else
               fi
           }
           forget(r);
           settle(r); skip }
    :: d_step { is_owner[r] && owner != r -> /* it learns that it has lost the partition */
           printf("router %d: learns that it lost the partition\n", r);
           leave_ghost(r);
           abandon(r); skip }
    od
}

/* RECORDS is at most 4. Deadlines pass in the order of sending. */
#define is_out_before(r, rec)                                                                                          \
    ((rec > 0 && place[ITEM(r, 0)] == OUT) || (rec > 1 && place[ITEM(r, 1)] == OUT) ||                                 \
     (rec > 2 && place[ITEM(r, 2)] == OUT))

/* Results for one record from one session, in any order with others. */
proctype results(byte r; byte s; byte rec)
{
end:
    do
    :: d_step { result[SLOT(r, s, rec)] == ACKED ->
           printf("router %d: r%d acked\n", r, rec + 1);
           release(r, rec);
           finish(r, rec, false);
           settle(r); skip }
    :: d_step { result[SLOT(r, s, rec)] == MISSED ->
           printf("router %d: r%d missed at session %d\n", r, rec + 1, s);
           result[SLOT(r, s, rec)] = 0;
           out_to[ITEM(r, rec)] = out_to[ITEM(r, rec)] & ~BIT(s);
           no_result[ITEM(r, rec)] = no_result[ITEM(r, rec)] & ~BIT(s);
           if
           :: out_to[ITEM(r, rec)] == 0 ->
               place[ITEM(r, rec)] = (mode[r] == SPILLING -> HELD : FAILED);
               mode[r] = (mode[r] == SPILLING -> SPILLING : BREAKING);
               settle(r)
           :: else
           fi; skip }
    :: d_step { result[SLOT(r, s, rec)] && losses > 0 ->
           losses--;
           printf("fault: result of r%d is lost\n", rec + 1);
           result[SLOT(r, s, rec)] = 0;
           no_result[ITEM(r, rec)] = no_result[ITEM(r, rec)] | BIT(s) }
    :: d_step { s == 0 && place[ITEM(r, rec)] == OUT && !is_out_before(r, rec) && /* its ack wait has passed */
               (delays > 0 || no_result[ITEM(r, rec)]) ->
           printf("router %d: r%d timed out\n", r, rec + 1);
           delays = (no_result[ITEM(r, rec)] -> delays : delays - 1);
           release(r, rec);
           place[ITEM(r, rec)] = (mode[r] == SPILLING -> HELD : FAILED);
           mode[r] = (mode[r] == SPILLING -> SPILLING : BREAKING);
           settle(r); skip }
    od
}

#ifdef OUTCOMES
/* Kafka takes the outcome of one record, sooner or later. */
proctype teller(byte r; byte rec)
{
end:
    do
    :: d_step { untold[r] & BIT(rec) ->
           printf("router %d: the outcome of r%d is in Kafka\n", r, rec + 1);
           told = told | BIT(rec);
           untold[r] = untold[r] & ~BIT(rec) }
    od
}
#endif

inline lose_delivery(r, s, rec, of_life)
{
    if
    :: life[r] == of_life && (out_to[ITEM(r, rec)] & BIT(s)) ->
        no_result[ITEM(r, rec)] = no_result[ITEM(r, rec)] | BIT(s)
    :: else
    fi
}

/* The gateway's end of a lane. */
proctype inbox(byte r; byte gw)
{
end:
    do
    :: d_step { nempty(lane[LANE(r, gw)]) ->
           lane[LANE(r, gw)]?x, k;
           if
           :: x == POKE ->
               printf("gateway %d: poke from router %d\n", gw, r);
               for (i : 0 .. SESSIONS - 1) {
                   if
                   :: is_there(i) && gateway[i] == gw -> poke(i)
                   :: else
                   fi
               }
           :: else ->
               m = x >> 3;
               x = (x & 7) - 1;
               i = k >> 4;
               k = k & 15;
               n = 0;
               if
               :: is_there(i) -> offer(i, r, x, k, m)
               :: else
               fi;
               if
               :: n == 0 -> report(r, i, x, m, MISSED)
               :: else
               fi
           fi;
           skip }
    :: d_step { nempty(lane[LANE(r, gw)]) && losses > 0 ->
           losses--;
           printf("fault: the next on the lane from router %d to gateway %d is lost\n", r, gw);
           lane[LANE(r, gw)]?x, k;
           if
           :: x == POKE -> is_poke_lost = true
           :: else -> lose_delivery(r, (k >> 4), (x & 7) - 1, x >> 3)
           fi }
    od
}

/* --- clients, faults ---------------------------------------------------------------------------------------------- */

proctype client(byte d; byte gw)
{
end:
    do
    :: d_step { sessions_made < SESSIONS && (sessions_made > 0 || gw == 0) ->
           i = sessions_made;
           printf("client: device %d connects to gateway %d: session %d\n", d, gw, i);
           sessions_made++;
           if
           :: current[d] -> is_up[current[d] - 1] = false
           :: else
           fi;
           for (n : 0 .. SESSIONS - 1) { /* one gateway sees at once that it replaces its own */
               if
               :: n < i && is_there(n) && gateway[n] == gw && device[n] == d ->
                   end_session(n);
                   state[n] = ENDED
               :: else
               fi
           }
           current[d] = i + 1;
           device[i] = d;
           gateway[i] = gw;
           is_up[i] = true;
           state[i] = REGISTERING;
           drain[i] = WAITING; skip }
    od
}

/* Commits lag: any of those that the owner may have made by now counts. */
#define may_be_committed(n)                                                                                            \
    (n >= committed && (n < 1 || (place[ITEM(owner, 0)] == DONE && !is_held(owner, 0))) &&                             \
     (n < 2 || (place[ITEM(owner, 1)] == DONE && !is_held(owner, 1))) &&                                               \
     (n < 3 || (place[ITEM(owner, 2)] == DONE && !is_held(owner, 2))))

/* What is committed nobody reads again: its outcome must be there. */
inline commit_to(n_)
{
    committed = n_;
#ifdef OUTCOMES
    assert((told & (BIT(n_) - 1)) == BIT(n_) - 1)
#endif
}

#define has_session()                                                                                                  \
    ((gateway[0] == 0 && is_there(0)) || (SESSIONS > 1 && gateway[SESSIONS > 1] == 0 && is_there((SESSIONS > 1))))

proctype fate(byte commit)
{
end:
    do
#if GATEWAY_CRASHES > 0
    :: d_step { commit == 0 && gateway_crashes > 0 && has_session() -> /* kill -9, and a new life at once */
           gateway_crashes--;
           printf("fault: gateway 0 dies\n");
           for (i : 0 .. SESSIONS - 1) {
               if
               :: gateway[i] == 0 && is_there(i) ->
                   ring_len[i] = 0; /* nobody reports */
                   end_session(i);
                   state[i] = ENDED;
                   is_lost[i] = true
               :: else
               fi
           }
           for (i : 0 .. ROUTERS - 1) {
               for (x : 0 .. RECORDS - 1) {
                   for (j : 0 .. SESSIONS - 1) {
                       no_result[ITEM(i, x)] =
                           no_result[ITEM(i, x)] | (gateway[j] == 0 -> out_to[ITEM(i, x)] & BIT(j) : 0)
                   }
               }
               do
               :: nempty(lane[LANE(i, 0)]) -> lane[LANE(i, 0)]?x, k
               :: empty(lane[LANE(i, 0)]) -> break
               od
           }
           skip }
#endif
#if ROUTER_CRASHES > 0
    :: d_step { router_crashes > 0 && may_be_committed(commit) ->
           router_crashes--;
           printf("fault: router %d dies, %d committed\n", owner, commit);
           commit_to(commit);
           leave_ghost(owner);
           abandon(owner);
           forget(owner);
           is_told[owner] = false;
           is_asking[owner] = false;
           is_dirty[owner] = false;
           owner = (owner + 1) % ROUTERS;
           assign(owner);
           skip }
#endif
#if REBALANCES > 0 && !defined STALLS
    :: d_step { rebalances > 0 && may_be_committed(commit) -> /* asked to give it up */
           rebalances--;
           printf("fault: router %d gives the partition up, %d committed\n", owner, commit);
           commit_to(commit);
           leave_ghost(owner);
           abandon(owner);
           owner = (owner + 1) % ROUTERS;
           leave_ghost(owner);
           assign(owner);
           skip }
#endif
#if REBALANCES > 0 && defined STALLS
    :: d_step { rebalances > 0 && may_be_committed(commit) -> /* stalled, not asked: it goes on until it learns */
           rebalances--;
           printf("fault: router %d loses the partition unknowingly, %d committed\n", owner, commit);
           commit_to(commit);
           owner = (owner + 1) % ROUTERS;
           leave_ghost(owner);
           assign(owner);
           skip }
#endif
    :: d_step { commit == 0 && ghost ->
           printf("redis: the append of a dead router runs late\n");
           for (x : 0 .. RECORDS - 1) {
               if
               :: ghost & BIT(x) -> box_append(x)
               :: else
               fi
           }
           ghost = 0;
           invalidate();
           is_poke_lost = true }
    od
}

/* When nothing more can happen. */
proctype quiescence()
{
    timeout -> d_step {
        low_water(owner, n);
        assert(n == RECORDS);
#ifdef OUTCOMES
        assert(told == BIT(RECORDS) - 1);
#endif
        for (x : 0 .. SESSIONS - 1) {
            assert(!(state[x] == OPEN && box_len > 0));
            assert(!is_there(x) || (state[x] == OPEN && drain[x] == LIVE && ring_len[x] == 0))
        }
        skip }
}

init
{
    byte a, c, e;
    atomic {
        is_owner[0] = true;
        for (a : 0 .. SESSIONS - 1) {
            run session(a)
        }
        for (a : 0 .. ROUTERS - 1) {
            run router(a);
#ifdef OUTCOMES
            for (e : 0 .. RECORDS - 1) {
                run teller(a, e)
            }
#endif
            for (c : 0 .. GATEWAYS - 1) {
                run inbox(a, c)
            }
            for (c : 0 .. SESSIONS - 1) {
                for (e : 0 .. RECORDS - 1) {
                    run results(a, c, e)
                }
            }
        }
        for (a : 0 .. DEVICES - 1) {
            for (c : 0 .. GATEWAYS - 1) {
                run client(a, c)
            }
        }
        for (a : 0 .. RECORDS) {
            run fate(a)
        }
        run quiescence()
    }
}
