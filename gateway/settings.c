#include "gateway/settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/log.h"
#include "common/net.h"
#include "gateway/auth/jwt.h"
#include "gateway/memory/memory_options.h"
#include "gateway/ws/conn_options.h"

#define AT(member) offsetof(struct gateway_settings, member)
enum { DAY_MS = 24 * 3600 * 1000, HOUR_MS = 3600 * 1000 };

const struct option gateway_options[] = {
    {"gateway", "node", OPTION_STRING, AT(node), "", 0, 0, NULL,
     "Name of this machine or pod; workers are <node>-<slot>. Empty: the host name."},
    {"gateway", "workers", OPTION_INT, AT(workers), "0", 0, 1024, NULL, "Worker processes; 0: one for each core."},
    {"gateway", "stop_timeout", OPTION_DURATION, AT(stop_timeout_ms), "10s", 100, 600000, NULL,
     "How long a worker may take to close its connections politely when it is told to stop."},
    {"admin", "listen", OPTION_STRING, AT(daemon.admin.listen), "127.0.0.1:9080", 0, 0, NULL,
     "host:port of /metrics, /healthz and /readyz; never expose it."},
    {"ws", "listen", OPTION_STRING, AT(ws_listen), "0.0.0.0:8080", 0, 0, NULL,
     "host:port where clients connect; all workers share it."},
    {"ws", "url", OPTION_STRING, AT(ws_url), "", 0, 0, NULL,
     "Where clients reach this gateway, as told to others. Empty: ws://<node>:<port><path>."},
    {"ws", "backlog", OPTION_INT, AT(ws_backlog), "4096", 1, 65535, NULL,
     "Connections that may wait to be accepted, for each worker; the system's limit holds too."},
    {"ws", "tcp_user_timeout", OPTION_DURATION, AT(ws_user_timeout_ms), "30s", 0, 600000, NULL,
     "A client that has acknowledged no bytes, or has read none of what fills the kernel's buffers, for so long is "
     "taken for lost (TCP_USER_TIMEOUT); 0: as the system is set."},
    {"ws", "tcp_notsent_lowat", OPTION_SIZE, AT(ws_notsent_lowat), "64KiB", 0, 16 << 20, NULL,
     "What the kernel takes for a client beyond what is on its way (TCP_NOTSENT_LOWAT); what is more waits in the "
     "worker, by priority. 0: as the system is set."},
    CONN_OPTION_ROWS(struct gateway_settings,
                     conn){"auth", "mode", OPTION_CHOICE, AT(auth.mode), "jwt", 0, 0, AUTH_MODE_CHOICES,
                           "none: any client may connect as any user; for trusted networks only."},
    {"auth", "algorithm", OPTION_CHOICE, AT(auth.algorithm), "HS256", 0, 0, JWT_ALG_CHOICES,
     "The one algorithm that tokens may be signed with."},
    {"auth", "secret", OPTION_SECRET, AT(auth.secret), "", 0, 0, NULL, "HS256: the secret, 32 bytes or more."},
    {"auth", "key_file", OPTION_STRING, AT(auth.key_file), "", 0, 0, NULL,
     "RS256, ES256, EdDSA: the file with the public key, PEM."},
    {"auth", "leeway", OPTION_DURATION, AT(auth.leeway_ms), "30s", 0, 600000, NULL,
     "How far clocks may be apart when exp and nbf are looked at."},
    {"auth", "token_max", OPTION_SIZE, AT(auth.token_max), "8KiB", 64, 65536, NULL, "Longest token."},
    {"auth", "require_exp", OPTION_BOOL, AT(auth.is_expiry_needed), "true", 0, 0, NULL,
     "Refuse tokens that never expire."},
    {"auth", "close_on_expiry", OPTION_BOOL, AT(auth.is_closed_on_expiry), "true", 0, 0, NULL,
     "Close a session with 4401 when its token expires (and auth.leeway has passed)."},
    {"auth", "device_default", OPTION_STRING, AT(auth.device_default), "default", 0, 0, NULL,
     "The device where neither the client nor its token names one."},
    {"session", "delay_volatile", OPTION_DURATION, AT(session.delay_volatile_ms), "0ms", 0, 1000, NULL,
     "Volatile pushes may wait so long for others to the same connection, so that one write takes them all; those of "
     "high priority never wait. Saves CPU where clients get many."},
    {"session", "delay_durable", OPTION_DURATION, AT(session.delay_durable_ms), "0ms", 0, 1000, NULL,
     "The same for durable pushes."},
    {"session", "ack_window", OPTION_INT, AT(session.ack_window), "256", 1, 65536, NULL,
     "Durable pushes that a session may leave unacknowledged; what is more waits in the mailbox."},
    {"session", "unwritten_max", OPTION_SIZE, AT(session.unwritten_max), "256KiB", 1024, 64 << 20, NULL,
     "Durable pushes that a slow client may leave unread, in bytes; what is more waits in the mailbox. Below "
     "limit.queue_bytes."},
    {"session", "backlog_bytes", OPTION_SIZE, AT(session.backlog_max), "512KiB", 1024, 64 << 20, NULL,
     "Volatile pushes that wait, by priority, for a connection that takes no more; what is more is dropped."},
    {"session", "weight_high", OPTION_INT, AT(session.weights.of[PRIORITY_HIGH]), "16", 1, 1000, NULL,
     "Shares of a connection, in bytes, that the priorities have while all of them wait."},
    {"session", "weight_normal", OPTION_INT, AT(session.weights.of[PRIORITY_NORMAL]), "4", 1, 1000, NULL, "The same."},
    {"session", "weight_low", OPTION_INT, AT(session.weights.of[PRIORITY_LOW]), "1", 1, 1000, NULL, "The same."},
    {"session", "bad_messages_max", OPTION_INT, AT(session.bad_messages_max), "20", 1, 65535, NULL,
     "So many messages that cannot be understood close a connection with 1008."},
    {"session", "drain_page", OPTION_INT, AT(session.drain_page), "64", 1, 1000, NULL,
     "Mailbox entries that are read at once."},
    {"session", "behind", OPTION_DURATION, AT(session.behind_ms), "5s", 100, 600000, NULL,
     "A session that had to refuse a durable push looks into its mailbox by itself after so long."},
    {"slow", "durable", OPTION_CHOICE, AT(session.overflow[OVERFLOW_DURABLE]), "spill", 0, 0, OVERFLOW_CHOICES_DURABLE,
     "When session.unwritten_max is reached: durable pushes go to the mailbox; or they do, and the client is closed "
     "with 4008."},
    {"slow", "volatile", OPTION_CHOICE, AT(session.overflow[OVERFLOW_VOLATILE]), "drop-newest", 0, 0,
     OVERFLOW_CHOICES_OTHERS,
     "When session.backlog_bytes is reached: the push is dropped; or it is, and the client is closed with 4008; or the "
     "oldest that wait are, of the lowest priority first, and none above its own."},
    {"slow", "broadcast", OPTION_CHOICE, AT(session.overflow[OVERFLOW_BROADCAST]), "drop-newest", 0, 0,
     OVERFLOW_CHOICES_OTHERS, "The same for broadcasts."},
    {"route", "ttl", OPTION_DURATION, AT(session.route_ttl_ms), "15m", 3000, DAY_MS, NULL,
     "Life of a route in Redis; it is prolonged at a third of it, and looked at every 100 s."},
    {"route", "devices_ttl", OPTION_DURATION, AT(session.devices_ttl_ms), "30d", 60000, INT64_C(366) * DAY_MS, NULL,
     "How long a user's device is known after it was last seen."},
    {"route", "register_spread", OPTION_DURATION, AT(session.register_spread_ms), "8s", 0, HOUR_MS, NULL,
     "When Redis came back, all sessions register again, spread over so long."},
    {"route", "registrations_max", OPTION_INT, AT(session.registrations_max), "256", 1, 100000, NULL,
     "Registrations of routes that a worker has under way at Redis, and as many removals; more wait, so that a storm "
     "leaves room for others."},
    {"route", "removals_max", OPTION_INT, AT(session.removals_max), "100000", 1, 10000000, NULL,
     "Routes of ended sessions that may wait for Redis to remove them; more are left to run out."},
    {"link", "listen", OPTION_STRING, AT(inbox.listen), "tcp://127.0.0.1:*", 0, 0, NULL,
     "Where each worker takes envelopes from routers; port * for any free one."},
    {"link", "advertise", OPTION_STRING, AT(link_advertise), "", 0, 0, NULL,
     "Host by which routers reach it. Empty: the host of link.listen, or gateway.node where that is a wildcard."},
    {"link", "envelope_max", OPTION_SIZE, AT(inbox.envelope_max), "8MiB", 65536, 256 << 20, NULL,
     "Longest envelope taken from a router."},
    {"link", "hwm", OPTION_INT, AT(inbox.hwm), "10000", 1, 1000000, NULL,
     "Envelopes from one router that may wait to be taken."},
    {"link", "peers_max", OPTION_INT, AT(peers.peers_max), "256", 1, 10000, NULL, "Routers known at the most."},
    {"link", "silence", OPTION_DURATION, AT(peers.silence_ms), "10s", 2000, 600000, NULL,
     "A router that has not said hello for so long is dropped."},
    {"link", "results_delay", OPTION_DURATION, AT(peers.results_delay_ms), "3ms", 0, 1000, NULL,
     "`written` and `acked` results wait so long at most for others to go with to the router; failures never wait"},
    {"link", "batch_max", OPTION_SIZE, AT(peers.envelope_max), "256KiB", 1024, 8 << 20, NULL,
     "Results for a router leave before the end of the turn when they grow beyond."},
    {"link", "held_max", OPTION_SIZE, AT(peers.held_max), "1MiB", 65536, 8 << 20, NULL,
     "Results kept for a router while the connection to it is not up; what is more is lost, and covered by its "
     "deadlines."},
    {"link", "return_hwm", OPTION_INT, AT(peers.hwm), "10000", 1, 1000000, NULL,
     "Envelopes to one router that may wait to be sent; what is more is lost, and covered by its deadlines."},
    {"link", "box_fates_max", OPTION_INT, AT(box_fates_max), "16384", 1, 1000000, NULL,
     "Ends of mailbox entries that routers have not answered for, in each worker; more are counted as lost."},
    {"upstream", "timeout", OPTION_DURATION, AT(upstream.timeout_ms), "5s", 100, 600000, NULL,
     "A client's message that no router has answered for so long is answered with 503."},
    {"upstream", "requests_max", OPTION_INT, AT(upstream.requests_max), "10000", 1, 1000000, NULL,
     "Clients' messages under way in a worker; more are answered with 503."},
    {"canary", "enabled", OPTION_BOOL, AT(canary.is_enabled), "true", 0, 0, NULL,
     "Each worker sends itself a message through Kafka again and again, and is ready only while they come through."},
    {"canary", "interval", OPTION_DURATION, AT(canary.interval_ms), "5s", 100, 600000, NULL,
     "Time between two of them, once the first came through."},
    {"canary", "timeout", OPTION_DURATION, AT(canary.timeout_ms), "20s", 500, 3600000, NULL,
     "A worker through which none came for so long is not ready. Above canary.interval."},
    MEMORY_OPTION_ROWS(struct gateway_settings, relief) REDIS_OPTION_ROWS(struct gateway_settings, redis),
    {0},
};

static void complete_node(struct gateway_settings *settings)
{
    char name[NET_HOST_MAX + 1] = "";
    if (*settings->node)
        return;
    free(settings->node);
    settings->node = gethostname(name, sizeof name - 1) == 0 && *name ? xstrdup(name) : xstrdup("gateway");
}

/* Instances stand in keys, in routes (separated by spaces) and in channels. */
static const char *check_node(const char *node)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (strlen(node) > NODE_LEN_MAX)
        return "gateway.node is longer than 64 bytes";
    return node[strspn(node, allowed)] ? "gateway.node may have letters, digits, '.', '_' and '-'" : NULL;
}

static const char *check_levels(const int64_t at[])
{
    if (at[PRESSURE_REFUSE] < at[PRESSURE_TRIM])
        return "memory.refuse is below memory.trim";
    return at[PRESSURE_SHED] < at[PRESSURE_REFUSE] ? "memory.shed is below memory.refuse" : NULL;
}

static const char *check(const struct gateway_settings *settings)
{
    char host[NET_HOST_MAX + 1];
    uint16_t port;
    const char *why = check_node(settings->node);
    if (why)
        return why;
    if (net_split(settings->ws_listen, host, &port) != ERR_OK)
        return "ws.listen is not host:port";
    if (port == 0 && settings->workers > 1)
        return "ws.listen with port 0 is for one worker only: each would get another port";
    if (strncmp(settings->inbox.listen, "tcp://", 6) != 0 || !strrchr(settings->inbox.listen + 6, ':'))
        return "link.listen is not tcp://host:port";
    if (settings->workers > 1 && settings->inbox.listen[strlen(settings->inbox.listen) - 1] != '*' &&
        strcmp(strrchr(settings->inbox.listen, ':'), ":0") != 0)
        return "link.listen with a fixed port is for one worker only: use port *";
    if (settings->session.unwritten_max > settings->conn.queue_max_bytes)
        return "session.unwritten_max is above limit.queue_bytes";
    if (settings->conn.idle_timeout_ms <= settings->conn.ping_interval_ms)
        return "ws.idle_timeout is not above ws.ping_interval: who only answers pings would be closed";
    if (settings->canary.timeout_ms <= settings->canary.interval_ms)
        return "canary.timeout is not above canary.interval";
    return check_levels(settings->relief.pressure.at);
}

enum err settings_complete(struct gateway_settings *settings)
{
    complete_node(settings);
    if (settings->workers == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        settings->workers = cores > 0 ? cores : 1;
    }
    const char *why = check(settings);
    if (!why)
        return ERR_OK;
    log_error("the configuration cannot work", F_STR("why", why));
    return ERR_INVALID;
}
