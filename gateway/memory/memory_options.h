/* The option rows of memory pressure, section "memory", for the gateway's table (settings.c). */
#ifndef HERALD_GATEWAY_MEMORY_MEMORY_OPTIONS_H
#define HERALD_GATEWAY_MEMORY_MEMORY_OPTIONS_H

/* X(type, field, key, kind, member of struct relief_settings, fallback, min, max, help) */
#define MEMORY_OPTION_LIST(X, type, field)                                                                             \
    X(type, field, "limit", SIZE, meter.limit, "0", 0, INT64_C(1) << 50,                                               \
      "Private memory of all workers together, each having its share; 0: only what the system sets (control group, "   \
      "RLIMIT_AS, RLIMIT_DATA), which counts in any case.")                                                            \
    X(type, field, "frames", SIZE, meter.frames, "1GiB", 1 << 20, INT64_C(1) << 50,                                    \
      "Bytes of frames that may wait in one worker; beyond, nothing more is queued for clients that read too slowly. " \
      "At most half of a worker's share of any limit.")                                                                \
    X(type, field, "trim", INT, pressure.at[PRESSURE_TRIM], "70", 1, 100,                                              \
      "Percent of a limit at which a worker gives back what it only keeps for speed, and slow clients may hold half.") \
    X(type, field, "refuse", INT, pressure.at[PRESSURE_REFUSE], "80", 1, 100,                                          \
      "Percent at which new connections are answered with 503, and /readyz says so. Not below memory.trim.")           \
    X(type, field, "shed", INT, pressure.at[PRESSURE_SHED], "90", 1, 100,                                              \
      "Percent at which the slowest clients are closed with 1013. Not below memory.refuse.")                           \
    X(type, field, "slack", INT, pressure.slack, "5", 0, 50, "A level ends so many percent below where it begins.")    \
    X(type, field, "interval", DURATION, interval_ms, "100ms", 10, 60000, "Time between two looks at the memory.")

#define MEMORY_OPTION_ROW(type, field, key, kind, member, fallback, min, max, help)                                    \
    {"memory", key, OPTION_##kind, offsetof(type, field.member), fallback, min, max, NULL, help},
/* Ends with a comma. */
#define MEMORY_OPTION_ROWS(type, field) MEMORY_OPTION_LIST(MEMORY_OPTION_ROW, type, field)

#endif
