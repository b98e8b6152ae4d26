#include "gateway/ws/http_status.h"

#include "common/check.h"

static const struct {
    int code;
    const char *phrase;
} rows[] = {
#define X(code, phrase) {code, phrase},
    HTTP_STATUS_LIST(X)
#undef X
};

const char *const http_status_names[] = {
#define X(code, phrase) #code,
    HTTP_STATUS_LIST(X)
#undef X
        NULL,
};

unsigned http_status_index(int status)
{
    unsigned i = 0;
    while (rows[i].code != status) {
        i++;
        CHECK(i < sizeof(rows) / sizeof(rows[0]));
    }
    return i;
}

const char *http_status_phrase(int status)
{
    return rows[http_status_index(status)].phrase;
}
