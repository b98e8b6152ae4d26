#include "err.h"

#include <stddef.h>

static const char *const names[] = {
#define X(name, text) text,
    ERR_LIST(X)
#undef X
};

const char *err_name(enum err err)
{
    return (size_t)err < sizeof(names) / sizeof(names[0]) ? names[err] : "unknown";
}
