#include "registry/ctl/command.h"

#include <string.h>

#define TAKES(argument) (1u << ARGUMENT_##argument)

const struct command commands[] = {
    {"instances", "[--state STATE]", "every instance: gateways' workers, routers, registries",
     "Shows every instance the registry knows, live and dead. Exit status 1 when there is none (in that state).\n",
     TAKES(STATE), 0, 0, cmd_instances},
    {"user", "ID", "one user: devices, where they are connected, mailbox",
     "Shows the user's devices, where each is connected, when it was seen last, and how many messages wait.\n"
     "Exit status 1 when nothing is known of that user; a known user who is offline is no failure.\n",
     0, 1, 1, cmd_user},
    {"users", "--ids ID,ID...", "who of these users is online",
     "Shows who of the given users is online, and where. Exit status 1 when none of them is.\n", TAKES(IDS), 0, 0,
     cmd_users},
    {"stats", "", "the cluster in numbers", "Shows users, sessions, connections, message rates, and who leads.\n", 0, 0,
     0, cmd_stats},
    {"topics", "", "topics with subscribers",
     "Lists topics that have subscribers. Exit status 1 when there are none.\n", 0, 0, 0, cmd_topics},
    {"watch", "[--interval TIME] [--count N]", "stats and instances, again and again",
     "Redraws like top; q ends it. Where the output is not a terminal, prints once per interval.\n",
     TAKES(INTERVAL) | TAKES(COUNT), 0, 0, cmd_watch},
    {"token", "--user ID [--device ID] [--ttl TIME] [--secret TEXT]", "mint a development token",
     "Prints a JWT (HS256) with which a client may connect as that user. Needs no registry.\n"
     "The secret is --secret, else HERALD_AUTH_SECRET, else that of a local development cluster.\n",
     TAKES(USER) | TAKES(DEVICE) | TAKES(TTL) | TAKES(SECRET), 0, 0, cmd_token},
    {"dlq", "list | show OFFSET | replay [--filter K=V,...] [--limit N] [--dry-run]", "dead letters",
     "list shows the newest dead letters (20), show one of them whole: OFFSET is partition/offset, as list shows it.\n"
     "replay produces those that match again, the oldest first, at most 100, with their keys, headers and ids: what\n"
     "was delivered meanwhile arrives under the same id. The registry must allow it (api.write).\n"
     "Exit status 1 when there is none.\n",
     TAKES(FILTER) | TAKES(LIMIT) | TAKES(DRY_RUN), 1, 2, cmd_dlq},
    {"audit", "", "does every accepted message have exactly one fate",
     "Shows the accounts of every live router by partition: accepted = outcomes + abandoned + in flight.\n"
     "Exit status 1, and what does not add up, when that does not hold: that is a fault of Herald.\n",
     0, 0, 0, cmd_audit},
    {"health", "URL", "does this daemon say that it is ready",
     "Asks URL (http://host:port, or with a path; /readyz when it has none) and prints ok when the answer is 200.\n"
     "Else exit status 1, and the reason. Needs no registry; for health checks of containers. Gives up after 2s.\n",
     0, 1, 1, cmd_health},
    {0},
};

const struct command *command_find(const char *name)
{
    for (const struct command *c = commands; c->name; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}

static void print_options(uint32_t options, FILE *out)
{
    for (int i = 0; i < ARGUMENT_COUNT_; i++) {
        const struct argument_row *row = &argument_rows[i];
        char left[40];
        if (!(options >> i & 1))
            continue;
        snprintf(left, sizeof(left), "--%s%s%s", row->name, row->value ? " " : "", row->value ? row->value : "");
        fprintf(out, "  %-18s %s\n", left, row->help);
    }
}

void command_print_help(const struct command *command, FILE *out)
{
    fprintf(out, "Usage: heraldctl %s%s%s\n\n%s\n", command->name, *command->synopsis ? " " : "", command->synopsis,
            command->help);
    if (command->options) {
        fprintf(out, "Options:\n");
        print_options(command->options, out);
        fprintf(out, "\n");
    }
    fprintf(out, "For all commands:\n");
    print_options(ARGUMENTS_FOR_ALL, out);
}

void command_print_overview(FILE *out)
{
    fprintf(out,
            "heraldctl asks a Herald registry what is going on.\n\nUsage: heraldctl COMMAND [OPTIONS]\n\nCommands:\n");
    for (const struct command *c = commands; c->name; c++)
        fprintf(out, "  %-10s %s\n", c->name, c->summary);
    fprintf(out, "\nFor all commands:\n");
    print_options(ARGUMENTS_FOR_ALL, out);
    fprintf(out,
            "\nExit status: 0 done; 1 not found, or a negative answer; 2 wrong usage; 3 no registry could be reached,\n"
            "or it could not answer. `heraldctl COMMAND --help` tells more.\n");
}
