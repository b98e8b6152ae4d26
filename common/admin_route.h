/* Which handler answers a method and a path: the pure part of admin.c, private to it. */
#ifndef HERALD_COMMON_ADMIN_ROUTE_H
#define HERALD_COMMON_ADMIN_ROUTE_H

#include "admin.h"

enum { ADMIN_ROUTE_MAX = 64 };

struct admin_route {
    const char *method; /* "GET" answers HEAD as well */
    char *path;
    size_t prefix_len; /* 0: the path is exact */
    admin_fn *fn;
    void *arg;
};

/* Embedded; zeroed at first. */
struct admin_routes {
    struct admin_route rows[ADMIN_ROUTE_MAX];
    size_t count;
};

void admin_routes_release(struct admin_routes *routes);
/* Copies the path; the method is a literal. */
void admin_routes_add(struct admin_routes *routes, const char *method, const char *path, admin_fn *fn, void *arg);
/* An exact path beats any prefix, a longer prefix a shorter one. NULL when nothing fits: then `allowed` gets the
 * methods that the path has, as in an Allow header, and stays empty when there is no such path. */
const struct admin_route *admin_routes_find(const struct admin_routes *routes, const char *method, const char *path,
                                            struct buf *allowed);

#endif
