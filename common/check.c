#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

_Noreturn void check_failed(const char *expr, const char *file, int line)
{
    log_error("check failed", F_STR("expr", expr), F_STR("file", file), F_INT("line", line));
    abort();
}

/* Nothing that allocates may report this one. */
static void *must_have(void *p)
{
    if (!p)
        check_failed("memory", __FILE__, __LINE__);
    return p;
}

void *xmalloc(size_t size)
{
    return must_have(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return must_have(count && size ? calloc(count, size) : calloc(1, 1));
}

void *xrealloc(void *p, size_t size)
{
    return must_have(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
    return must_have(strdup(s));
}

char *xstrndup(const char *s, size_t len)
{
    return must_have(strndup(s, len));
}
