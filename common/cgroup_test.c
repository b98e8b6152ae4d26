#include "cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "check.h"

static char root[64];

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/herald-cgroup-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* Writes a file below the root, with its folders. */
static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        (void)mkdir(full, 0700);
        *at = '/';
    }
    FILE *file = fopen(full, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
}

#define MOUNTS_V2 "22 1 0:20 / /proc rw - proc proc rw\n30 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw\n"
#define MOUNTS_V1                                                                                                      \
    "30 22 0:25 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"                                                      \
    "31 22 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"                                                \
    "32 22 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"

static void version_2_takes_the_tightest_level(void **state)
{
    uint64_t used = 0, limit = 0;
    (void)state;
    put("/proc/self/cgroup", "0::/slice/unit\n");
    put("/proc/self/mountinfo", MOUNTS_V2);
    put("/sys/fs/cgroup/slice/unit/memory.max", "max\n");
    put("/sys/fs/cgroup/slice/unit/memory.current", "900\n");
    struct cgroup *cgroup = cgroup_new(root);
    assert_non_null(cgroup);
    assert_false(cgroup_memory(cgroup, &used, &limit)); /* no level has one */
    put("/sys/fs/cgroup/slice/memory.max", "2000\n");
    put("/sys/fs/cgroup/slice/memory.current", "1000\n");
    assert_true(cgroup_memory(cgroup, &used, &limit));
    assert_int_equal(used, 1000);
    assert_int_equal(limit, 2000);
    put("/sys/fs/cgroup/slice/unit/memory.max", "1000\n"); /* changed while it runs */
    put("/sys/fs/cgroup/slice/unit/memory.stat", "anon 600\ninactive_file 100\nfile 300\n");
    assert_true(cgroup_memory(cgroup, &used, &limit));
    assert_int_equal(used, 800); /* the cache can go */
    assert_int_equal(limit, 1000);
    cgroup_free(&cgroup);
    assert_null(cgroup);
}

static void version_1_beside_a_version_2_without_memory(void **state)
{
    uint64_t used = 0, limit = 0;
    (void)state;
    put("/proc/self/cgroup", "9:name=systemd:/\n4:cpuacct,memory:/box\n1:cpu:/\n0::/\n");
    put("/proc/self/mountinfo", MOUNTS_V1);
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "5000\n");
    put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "4000\n");
    put("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", "3000\n");
    put("/sys/fs/cgroup/memory/box/memory.stat", "cache 1\ninactive_file 7\ntotal_inactive_file 500\n");
    struct cgroup *cgroup = cgroup_new(root);
    assert_non_null(cgroup);
    assert_true(cgroup_memory(cgroup, &used, &limit));
    assert_int_equal(used, 2500);
    assert_int_equal(limit, 4000);
    put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712\n");
    assert_false(cgroup_memory(cgroup, &used, &limit));
    cgroup_free(&cgroup);
}

/* Where the mount shows a part of the tree only, and the group's name is that of outside. */
static void inside_a_container(void **state)
{
    static const char *const groups[] = {"5:memory:/pod/one\n", "5:memory:/pod/one/below\n", "5:memory:/elsewhere\n",
                                         "5:memory:/../other\n"};
    (void)state;
    put("/proc/self/mountinfo", "31 22 0:26 /pod/one /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "4096\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1024\n");
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        uint64_t used = 0, limit = 0;
        put("/proc/self/cgroup", groups[i]);
        struct cgroup *cgroup = cgroup_new(root);
        assert_non_null(cgroup);
        assert_true(cgroup_memory(cgroup, &used, &limit));
        assert_int_equal(used, 1024);
        assert_int_equal(limit, 4096);
        cgroup_free(&cgroup);
    }
}

static void none(void **state)
{
    (void)state;
    assert_null(cgroup_new(root));
    put("/proc/self/cgroup", "nonsense\n::::\n3:memory\n");
    put("/proc/self/mountinfo", "nonsense\n - cgroup2\n");
    assert_null(cgroup_new(root));
    struct cgroup *cgroup = NULL;
    cgroup_free(&cgroup);
}

static void of_this_machine(void **state)
{
    uint64_t used = 1, limit = 1;
    (void)state;
    struct cgroup *cgroup = cgroup_new("");
    if (cgroup && cgroup_memory(cgroup, &used, &limit))
        assert_true(used > 0 && limit > 0);
    cgroup_free(&cgroup);
}

#define CGROUP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CGROUP_TEST(version_2_takes_the_tightest_level),
        CGROUP_TEST(version_1_beside_a_version_2_without_memory),
        CGROUP_TEST(inside_a_container),
        CGROUP_TEST(none),
        CGROUP_TEST(of_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
