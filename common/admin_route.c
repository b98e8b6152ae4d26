#include "admin_route.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

void admin_routes_release(struct admin_routes *routes)
{
    for (size_t i = 0; i < routes->count; i++)
        free(routes->rows[i].path);
    routes->count = 0;
}

void admin_routes_add(struct admin_routes *routes, const char *method, const char *path, admin_fn *fn, void *arg)
{
    size_t len = strlen(path);
    CHECK(routes->count < ADMIN_ROUTE_MAX && path[0] == '/');
    routes->rows[routes->count++] = (struct admin_route){
        .method = method,
        .path = xstrdup(path),
        .prefix_len = len > 1 && path[len - 1] == '/' ? len : 0,
        .fn = fn,
        .arg = arg,
    };
}

/* 0 when the path does not match. */
static size_t strength(const struct admin_route *route, const char *path)
{
    if (route->prefix_len)
        return strncmp(route->path, path, route->prefix_len) == 0 ? route->prefix_len : 0;
    return strcmp(route->path, path) == 0 ? SIZE_MAX : 0;
}

static bool has_method(const struct admin_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 || (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

const struct admin_route *admin_routes_find(const struct admin_routes *routes, const char *method, const char *path,
                                            struct buf *allowed)
{
    size_t best = 0;
    for (size_t i = 0; i < routes->count; i++)
        if (strength(&routes->rows[i], path) > best)
            best = strength(&routes->rows[i], path);
    for (size_t i = 0; i < routes->count; i++) {
        const struct admin_route *route = &routes->rows[i];
        if (best == 0 || strength(route, path) != best)
            continue;
        if (has_method(route, method))
            return route;
        buf_printf(allowed, "%s%s", allowed->len ? ", " : "",
                   strcmp(route->method, "GET") ? route->method : "GET, HEAD");
    }
    return NULL;
}
