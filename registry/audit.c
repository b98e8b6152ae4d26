#include "registry/audit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"

struct account {
    char *router;
    json_t *document; /* NULL: not heard yet */
    json_int_t timestamp;
    uint64_t heard_ms; /* when it was last new */
    bool is_named;
};

struct audit {
    struct account *accounts;
    size_t count;
};

/* The numbers of one row. */
struct sums {
    json_int_t accepted, finished, abandoned, in_flight;
};

struct audit *audit_new(void)
{
    return xcalloc(1, sizeof(struct audit));
}

static void account_release(struct account *account)
{
    free(account->router);
    json_decref(account->document);
}

void audit_free(struct audit **audit)
{
    if (!*audit)
        return;
    for (size_t i = 0; i < (*audit)->count; i++)
        account_release(&(*audit)->accounts[i]);
    free((*audit)->accounts);
    free(*audit);
    *audit = NULL;
}

static struct account *find(struct audit *audit, const char *router)
{
    for (size_t i = 0; i < audit->count; i++)
        if (strcmp(audit->accounts[i].router, router) == 0)
            return &audit->accounts[i];
    return NULL;
}

static int order(const void *left, const void *right)
{
    return strcmp(((const struct account *)left)->router, ((const struct account *)right)->router);
}

void audit_begin(struct audit *audit)
{
    for (size_t i = 0; i < audit->count; i++)
        audit->accounts[i].is_named = false;
}

void audit_name(struct audit *audit, const char *router)
{
    struct account *account = find(audit, router);
    if (account) {
        account->is_named = true;
        return;
    }
    audit->accounts = xrealloc(audit->accounts, (audit->count + 1) * sizeof(*audit->accounts));
    audit->accounts[audit->count++] = (struct account){.router = xstrdup(router), .is_named = true};
    qsort(audit->accounts, audit->count, sizeof(*audit->accounts), order);
}

void audit_end(struct audit *audit)
{
    size_t kept = 0;
    for (size_t i = 0; i < audit->count; i++) {
        if (audit->accounts[i].is_named)
            audit->accounts[kept++] = audit->accounts[i];
        else
            account_release(&audit->accounts[i]);
    }
    audit->count = kept;
}

/* Every number is there and not negative. */
static bool is_row(const json_t *row)
{
    static const char *const numbers[] = {"accepted", "abandoned", "inFlight"};
    const json_t *outcomes = json_object_get(row, "outcomes"), *partition = json_object_get(row, "partition");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (!json_is_integer(json_object_get(row, numbers[i])) ||
            json_integer_value(json_object_get(row, numbers[i])) < 0)
            return false;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)outcomes, key, value)
    {
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return false;
    }
    return json_is_object(outcomes) && (json_is_integer(partition) || json_is_string(partition));
}

static bool is_account(const json_t *document)
{
    const json_t *rows = json_object_get(document, "partitions");
    if (!json_is_array(rows))
        return false;
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (!is_row(json_array_get(rows, i)))
            return false;
    return true;
}

enum err audit_put(struct audit *audit, const char *router, const char *text, size_t len, uint64_t now_ms)
{
    struct account *account = find(audit, router);
    json_t *document = account ? json_loadb(text, len, 0, NULL) : NULL;
    if (!document || !is_account(document)) {
        json_decref(document);
        return ERR_INVALID;
    }
    json_int_t timestamp = json_integer_value(json_object_get(document, "timestamp"));
    if (!account->document || timestamp != account->timestamp)
        account->heard_ms = now_ms;
    account->timestamp = timestamp;
    json_decref(account->document);
    account->document = document;
    return ERR_OK;
}

/* --- adding up --- */

static json_int_t number(const json_t *row, const char *name)
{
    return json_integer_value(json_object_get(row, name));
}

static struct sums sums_of(const json_t *row)
{
    struct sums sums = {.accepted = number(row, "accepted"),
                        .abandoned = number(row, "abandoned"),
                        .in_flight = number(row, "inFlight")};
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(row, "outcomes"), key, value)
    {
        sums.finished += json_integer_value(value);
    }
    return sums;
}

static json_int_t imbalance_of(const struct sums *sums)
{
    return sums->accepted - sums->finished - sums->abandoned - sums->in_flight;
}

static uint64_t account_imbalance(const struct account *account)
{
    const json_t *rows = json_object_get(account->document, "partitions");
    uint64_t total = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct sums sums = sums_of(json_array_get(rows, i));
        total += (uint64_t)llabs(imbalance_of(&sums));
    }
    return total;
}

uint64_t audit_imbalance(const struct audit *audit)
{
    uint64_t total = 0;
    for (size_t i = 0; i < audit->count; i++)
        total += account_imbalance(&audit->accounts[i]);
    return total;
}

static bool is_fresh(const struct account *account, uint64_t now_ms)
{
    return account->document && now_ms < account->heard_ms + AUDIT_STALE_MS;
}

size_t audit_unheard(const struct audit *audit, uint64_t now_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < audit->count; i++)
        count += !is_fresh(&audit->accounts[i], now_ms);
    return count;
}

/* --- the document --- */

static void add_fault(json_t *faults, const char *router, const json_t *row, const struct sums *sums)
{
    json_int_t off = imbalance_of(sums);
    const json_t *partition = json_object_get(row, "partition");
    struct buf text;
    char name[24];
    buf_init(&text);
    if (json_is_integer(partition))
        snprintf(name, sizeof(name), "%" JSON_INTEGER_FORMAT, json_integer_value(partition));
    else
        snprintf(name, sizeof(name), "%s", json_string_value(partition));
    buf_printf(&text, "partition %s of %s: accepted %lld, but outcomes %lld + abandoned %lld + in flight %lld", name,
               router, (long long)sums->accepted, (long long)sums->finished, (long long)sums->abandoned,
               (long long)sums->in_flight);
    if (off > 0)
        buf_printf(&text, ": %lld without a fate", (long long)off);
    else
        buf_printf(&text, ": %lld fates too many", (long long)-off);
    json_array_append_new(faults, json_string(text.bytes));
    buf_release(&text);
}

static void add_rows(const struct account *account, json_t *rows_to, json_t *faults, struct sums *total)
{
    const json_t *rows = json_object_get(account->document, "partitions");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        struct sums sums = sums_of(row);
        json_t *copy = json_copy((json_t *)(uintptr_t)row);
        json_object_set_new(copy, "router", json_string(account->router));
        json_object_set_new(copy, "imbalance", json_integer(imbalance_of(&sums)));
        json_array_append_new(rows_to, copy);
        if (imbalance_of(&sums) != 0)
            add_fault(faults, account->router, row, &sums);
        total->accepted += sums.accepted;
        total->finished += sums.finished;
        total->abandoned += sums.abandoned;
        total->in_flight += sums.in_flight;
    }
}

static json_t *router_row(const struct account *account, uint64_t now_ms)
{
    json_t *row = json_object();
    json_object_set_new(row, "router", json_string(account->router));
    json_object_set_new(row, "isFresh", json_boolean(is_fresh(account, now_ms)));
    if (account->document)
        json_object_set_new(row, "ageMs", json_integer((json_int_t)(now_ms - account->heard_ms)));
    json_object_set_new(row, "imbalance", json_integer((json_int_t)account_imbalance(account)));
    return row;
}

json_t *audit_document(const struct audit *audit, uint64_t now_ms)
{
    json_t *routers = json_array(), *rows = json_array(), *faults = json_array();
    struct sums total = {0};
    for (size_t i = 0; i < audit->count; i++) {
        json_array_append_new(routers, router_row(&audit->accounts[i], now_ms));
        add_rows(&audit->accounts[i], rows, faults, &total);
    }
    uint64_t imbalance = audit_imbalance(audit);
    return json_pack("{s:b, s:b, s:I, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:I}}", "balanced", imbalance == 0, "complete",
                     audit_unheard(audit, now_ms) == 0, "imbalance", (json_int_t)imbalance, "faults", faults, "routers",
                     routers, "partitions", rows, "total", "accepted", total.accepted, "finished", total.finished,
                     "abandoned", total.abandoned, "inFlight", total.in_flight);
}
