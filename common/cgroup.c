#include "cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

enum { LINE_MAX_LEN = 4096 + 256, STAT_MAX = 16384 };
static const uint64_t UNLIMITED = UINT64_C(1) << 60; /* version 1 says a number near 2^63 */

/* What the two versions call the same things. */
struct names {
    const char *limit, *usage, *reclaimable;
};
static const struct names names_v1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "\ntotal_inactive_file "};
static const struct names names_v2 = {"memory.max", "memory.current", "\ninactive_file "};

struct cgroup {
    const struct names *names;
    char *top;  /* where the file system is mounted */
    char *path; /* the group's folder, below top */
};

/* --- finding it ------------------------------------------------------------------------------------------------------
 */

static FILE *open_below(const char *root, const char *path)
{
    char full[PATH_MAX];
    snprintf(full, sizeof full, "%s%s", root, path);
    return fopen(full, "re");
}

/* "4:memory,cpu:/a/b" or, of version 2, "0::/a/b". */
static bool is_memory_line(const char *line, bool is_v2, char group_r[PATH_MAX])
{
    char controllers[256] = "";
    const char *first = strchr(line, ':'), *second = first ? strchr(first + 1, ':') : NULL;
    if (!second || (size_t)(second - first) >= sizeof controllers)
        return false;
    controllers[0] = ',';
    memcpy(controllers + 1, first + 1, (size_t)(second - first - 1));
    controllers[second - first] = ',';
    snprintf(group_r, PATH_MAX, "%s", second + 1);
    group_r[strcspn(group_r, "\n")] = '\0';
    return is_v2 ? strncmp(line, "0::", 3) == 0 : strstr(controllers, ",memory,") != NULL;
}

static bool find_group(const char *root, bool is_v2, char group_r[PATH_MAX])
{
    char line[LINE_MAX_LEN];
    bool is_found = false;
    FILE *file = open_below(root, "/proc/self/cgroup");
    while (file && !is_found && fgets(line, sizeof line, file))
        is_found = is_memory_line(line, is_v2, group_r);
    if (file)
        fclose(file);
    return is_found;
}

/* "31 23 0:26 /its-root /mounted-at options [...] - cgroup2 source super,options" */
static bool is_mount(const char *line, bool is_v2, char its_root_r[PATH_MAX], char top_r[PATH_MAX])
{
    char type[32], super[1024] = ",";
    const char *rest = strstr(line, " - ");
    if (!rest || sscanf(line, "%*s %*s %*s %4095s %4095s", its_root_r, top_r) != 2 ||
        sscanf(rest, " - %31s %*s %1000s", type, super + 1) != 2)
        return false;
    strncat(super, ",", 2);
    return is_v2 ? strcmp(type, "cgroup2") == 0 : strcmp(type, "cgroup") == 0 && strstr(super, ",memory,");
}

static bool find_mount(const char *root, bool is_v2, char its_root_r[PATH_MAX], char top_r[PATH_MAX])
{
    char line[2 * LINE_MAX_LEN];
    bool is_found = false;
    FILE *file = open_below(root, "/proc/self/mountinfo");
    while (file && !is_found && fgets(line, sizeof line, file))
        is_found = is_mount(line, is_v2, its_root_r, top_r);
    if (file)
        fclose(file);
    return is_found;
}

/* The number in a file of a group's folder; UINT64_MAX: there is none, or it says "max". */
static uint64_t read_number(const char *folder, const char *name)
{
    char path[PATH_MAX + 64], text[32] = "";
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return UINT64_MAX;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    char *end = text;
    uint64_t number = len > 0 ? strtoull(text, &end, 10) : 0;
    return end == text ? UINT64_MAX : number;
}

static struct cgroup *find(const char *root, bool is_v2)
{
    char group[PATH_MAX], its_root[PATH_MAX], top[PATH_MAX], folder[3 * PATH_MAX];
    if (!find_group(root, is_v2, group) || !find_mount(root, is_v2, its_root, top))
        return NULL;
    /* in a container the mount may show only the part of the tree that the group's name begins with */
    size_t prefix = strcmp(its_root, "/") == 0 ? 0 : strlen(its_root);
    bool is_inside = prefix == 0 || (strncmp(group, its_root, prefix) == 0 && (group[prefix] == '/' || !group[prefix]));
    const char *below = is_inside ? group + prefix : "";
    if (strcmp(below, "/") == 0 || strstr(below, "/.."))
        below = "";
    snprintf(folder, sizeof folder, "%s%s%s", root, top, below);
    if (strlen(folder) >= PATH_MAX)
        return NULL;
    struct cgroup *cgroup = xcalloc(1, sizeof *cgroup);
    cgroup->names = is_v2 ? &names_v2 : &names_v1;
    cgroup->path = xstrdup(folder);
    cgroup->top = xstrndup(folder, strlen(folder) - strlen(below));
    return cgroup;
}

struct cgroup *cgroup_new(const char *root)
{
    struct cgroup *cgroup = find(root, false); /* where both are mounted, version 1 may have the controller */
    return cgroup ? cgroup : find(root, true);
}

void cgroup_free(struct cgroup **cgroup)
{
    if (!*cgroup)
        return;
    free((*cgroup)->top);
    free((*cgroup)->path);
    free(*cgroup);
    *cgroup = NULL;
}

/* --- reading it ------------------------------------------------------------------------------------------------------
 */

static uint64_t read_reclaimable(const struct cgroup *cgroup, const char *folder)
{
    char path[PATH_MAX + 64], text[STAT_MAX] = "\n";
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, text + 1, sizeof text - 2);
    close(fd);
    text[len > 0 ? len + 1 : 1] = '\0';
    const char *at = strstr(text, cgroup->names->reclaimable);
    return at ? strtoull(at + strlen(cgroup->names->reclaimable), NULL, 10) : 0;
}

static uint64_t permille(uint64_t used, uint64_t limit)
{
    return limit == 0 ? UINT64_MAX : (uint64_t)((double)used / (double)limit * 1000);
}

bool cgroup_memory(const struct cgroup *cgroup, uint64_t *used_r, uint64_t *limit_r)
{
    char folder[PATH_MAX];
    size_t top_len = strlen(cgroup->top), len = strlen(cgroup->path);
    uint64_t worst = 0;
    bool is_limited = false;
    memcpy(folder, cgroup->path, len + 1);
    for (;;) {
        uint64_t limit = read_number(folder, cgroup->names->limit);
        uint64_t used = limit < UNLIMITED ? read_number(folder, cgroup->names->usage) : UINT64_MAX;
        if (used != UINT64_MAX) {
            uint64_t cache = used > limit / 2 ? read_reclaimable(cgroup, folder) : 0; /* costs the kernel more */
            used -= cache < used ? cache : used;
            if (!is_limited || permille(used, limit) > worst) {
                worst = permille(used, limit);
                *used_r = used;
                *limit_r = limit;
            }
            is_limited = true;
        }
        if (len <= top_len)
            return is_limited;
        while (len > top_len && folder[--len] != '/')
            ;
        folder[len] = '\0';
    }
}
