#include "bench/instructions/count.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/log.h"

/* In place of the C library's: the keys of hash tables, so that every run probes the same. */
ssize_t getrandom(void *bytes, size_t len, unsigned flags)
{
    (void)flags;
    memset(bytes, 0x5a, len);
    return (ssize_t)len;
}

int count_main(int argc, char **argv, const struct script *scripts, uint32_t script_count)
{
    long rounds = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "count", NULL);
    for (uint32_t i = 0; i < script_count && rounds > 0; i++) {
        if (strcmp(argv[1], scripts[i].name) != 0)
            continue;
        scripts[i].start();
        for (long round = 0; round < WARM_ROUNDS + rounds; round++)
            scripts[i].round();
        printf("%ld\n", rounds * (long)scripts[i].units);
        return 0;
    }
    fprintf(stderr, "usage: %s SCRIPT ROUNDS; scripts:", argv[0]);
    for (uint32_t i = 0; i < script_count; i++)
        fprintf(stderr, " %s", scripts[i].name);
    fprintf(stderr, "\n");
    return 2;
}
