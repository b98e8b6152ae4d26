#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "router/box/durability.h"

static void says(const char *appendonly, const char *appendfsync, const char *policy, const char *crash,
                 const char *evicted)
{
    const struct durability_settings settings = {appendonly, appendfsync, policy};
    assert_non_null(strstr(durability_of_crash(&settings), crash));
    assert_int_equal(*durability_of_eviction(&settings) != '\0', *evicted != '\0');
    assert_non_null(strstr(durability_of_eviction(&settings), evicted));
}

static void test_each_setting_says_what_it_loses(void **state)
{
    (void)state;
    says("yes", "always", "noeviction", "loses nothing", "");
    says("yes", "everysec", "noeviction", "the last second", "");
    says("yes", "no", "noeviction", "the kernel", "");
    says("no", "everysec", "noeviction", "since its last snapshot", "");
    says("yes", "always", "allkeys-lru", "loses nothing", "evicted is lost");
    says(NULL, NULL, NULL, "does not tell", "");
    says("yes", NULL, "volatile-ttl", "does not tell", "evicted is lost");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_setting_says_what_it_loses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
