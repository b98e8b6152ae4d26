#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/jwt_sign.h"
#include "registry/ctl/command.h"

static const char *find_secret(const struct arguments *arguments)
{
    const char *secret = arguments->values[ARGUMENT_SECRET];
    if (!secret)
        secret = getenv("HERALD_AUTH_SECRET");
    if (secret && *secret)
        return secret;
    fprintf(stderr, "heraldctl: signed with the secret of local development clusters\n");
    return JWT_DEV_SECRET;
}

static void print_json(const char *token, const struct jwt_claims *claims)
{
    json_t *document = json_pack("{s:s, s:s, s:s, s:I}", "token", token, "user", claims->user, "device",
                                 claims->device ? claims->device : "", "expires", (json_int_t)claims->expires_s);
    json_dumpf(document, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(document);
}

enum status cmd_token(const struct arguments *arguments)
{
    enum { TTL_MS = 3600000, MS = 1000 };
    const uint64_t ttl_max_ms = 3650ull * 86400000;
    uint64_t ttl_ms;
    const char *user = arguments->values[ARGUMENT_USER];
    if (!user || !*user) {
        fprintf(stderr, "heraldctl: token needs --user ID\n");
        return STATUS_USAGE;
    }
    if (argument_time(arguments, ARGUMENT_TTL, TTL_MS, MS, ttl_max_ms, &ttl_ms) != ERR_OK)
        return STATUS_USAGE;
    uint64_t now_s = clock_wall_ms() / MS;
    struct jwt_claims claims = {.user = user,
                                .device = arguments->values[ARGUMENT_DEVICE],
                                .issued_s = now_s,
                                .expires_s = now_s + ttl_ms / MS};
    const char *secret = find_secret(arguments);
    char *token = jwt_sign_hs256(&claims, secret, strlen(secret));
    if (!token) {
        fprintf(stderr, "heraldctl: user and device must be UTF-8\n");
        return STATUS_USAGE;
    }
    if (argument_is_given(arguments, ARGUMENT_JSON))
        print_json(token, &claims);
    else
        printf("%s\n", token);
    free(token);
    return STATUS_OK;
}
