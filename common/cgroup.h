/*
 * How much memory the control groups of this process may use, and use: version 2 (memory.max, memory.current) and
 * version 1 (memory.limit_in_bytes, memory.usage_in_bytes), at every level from the process's own group up to what is
 * mounted, as in a container. Limits may be changed while the process runs: each reading looks at them again.
 */
#ifndef HERALD_COMMON_CGROUP_H
#define HERALD_COMMON_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

struct cgroup;

/* The memory group of this process. root: "" for the system; a test's folder that looks like one. NULL: there is none.
 */
struct cgroup *cgroup_new(const char *root);
void cgroup_free(struct cgroup **cgroup);
/* Of the level that is nearest to its limit. Page cache that the kernel can drop at once is not counted as used.
 * False: no level has a limit, or none can be read. */
bool cgroup_memory(const struct cgroup *cgroup, uint64_t *used_r, uint64_t *limit_r);

#endif
