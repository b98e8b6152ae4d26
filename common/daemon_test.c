#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon.h"
#include "log.h"

struct settings {
    struct daemon_settings daemon;
    int64_t workers;
};

static const struct option own_options[] = {
    {"admin", "listen", OPTION_STRING, offsetof(struct settings, daemon.admin.listen), "127.0.0.1:0", 0, 0, NULL,
     "Where."},
    {"test", "workers", OPTION_INT, offsetof(struct settings, workers), "1", 1, 8, NULL, "How many."},
    {0},
};
static const struct option *const tables[] = {daemon_options, own_options, NULL};
static const struct metric metrics[] = {{"herald_test_total", METRIC_COUNTER, "All.", NULL, NULL, NULL}, {0}};

static struct settings settings;

/* Seven is a number that does not work. */
static enum err complete(void *arg)
{
    const struct settings *given = arg;
    if (given->workers == 7)
        log_error("the configuration cannot work");
    return given->workers == 7 ? ERR_INVALID : ERR_OK;
}

static const struct daemon_program program = {
    {tables, &settings, "herald-test", "a test."}, sizeof settings, metrics, "test", complete};
static char out[8192], err[8192];

static void read_back(FILE *file, int saved, int fd, char *text, size_t size)
{
    fflush(fd == STDOUT_FILENO ? stdout : stderr);
    dup2(saved, fd);
    close(saved);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* argv is ended by NULL; what was printed is in out and err. */
static int start(char **argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    option_release(&program.options);
    settings = (struct settings){0};
    fflush(stdout);
    FILE *out_file = tmpfile(), *err_file = tmpfile();
    int saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO);
    dup2(fileno(out_file), STDOUT_FILENO);
    dup2(fileno(err_file), STDERR_FILENO);
    int status = daemon_start(&program, argc, argv);
    read_back(out_file, saved_out, STDOUT_FILENO, out, sizeof out);
    read_back(err_file, saved_err, STDERR_FILENO, err, sizeof err);
    return status;
}

#define START(...) start((char **)(const char *[]){"herald-test", ##__VA_ARGS__, NULL})

static void runs_with_settings(void **state)
{
    (void)state;
    assert_int_equal(START("--set", "test.workers=3", "--set=log.level=debug"), -1);
    assert_int_equal(settings.workers, 3);
    assert_int_equal(settings.daemon.log_level, 3);
    assert_string_equal(settings.daemon.admin.listen, "127.0.0.1:0");
    assert_string_equal(out, "");
    assert_string_equal(err, "");
    assert_null(daemon_config_file());
    struct sigaction pipe_action;
    assert_int_equal(sigaction(SIGPIPE, NULL, &pipe_action), 0);
    assert_ptr_equal(pipe_action.sa_handler, SIG_IGN);
}

/* What SIGHUP does, with the lines that it logs. */
static void reload(char text_r[4096])
{
    FILE *file = tmpfile();
    log_set_fd(fileno(file));
    daemon_reload_log();
    log_debug("mark");
    log_set_fd(STDERR_FILENO);
    rewind(file);
    text_r[fread(text_r, 1, 4095, file)] = '\0';
    fclose(file);
}

static void the_log_follows_the_configuration(void **state)
{
    (void)state;
    char path[] = "/tmp/daemon_test.XXXXXX", text[4096];
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "test: {workers: 2}\n", 19), 19);
    assert_int_equal(START("--config", path, "--set", "log.format=json"), -1);
    assert_int_equal(settings.workers, 2);
    assert_string_equal(daemon_config_file(), path);
    daemon_set_instance("t-0");
    assert_int_equal(pwrite(fd, "test: {workers: 5}\nlog: {level: debug}\n", 39, 0), 39);
    reload(text);
    assert_non_null(strstr(text, "\"instance\":\"t-0\""));
    assert_non_null(strstr(text, "\"msg\":\"mark\"")); /* debug is on; --set holds as before */
    assert_int_equal(settings.workers, 2);
    assert_int_equal(pwrite(fd, "test: {workers: 9}\n", 19, 0), 19);
    FILE *lost = tmpfile();
    int saved = dup(STDERR_FILENO);
    dup2(fileno(lost), STDERR_FILENO);
    reload(text);
    dup2(saved, STDERR_FILENO);
    close(saved);
    fclose(lost);
    assert_non_null(strstr(text, "it has mistakes"));
    assert_non_null(strstr(text, "\"msg\":\"mark\""));
    close(fd);
    unlink(path);
}

static void prints_and_ends(void **state)
{
    (void)state;
    static const struct {
        const char *flag;
        const char *part;
    } cases[] = {
        {"--help", "test.workers  (integer, 1..8; default 1)"},
        {"--version", "herald-test "},
        {"--check-config", "valid"},
        {"--print-config", "test:\n  workers: 1\n"},
        {"--config-doc", "| `log.level` |"},
        {"--metrics-doc", "| `herald_test_total` | counter |"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(START(cases[i].flag), 0);
        assert_non_null(strstr(out, cases[i].part));
        assert_string_equal(err, "");
    }
    assert_int_equal(START("--set", "test.workers=4", "--print-config"), 0);
    assert_non_null(strstr(out, "workers: 4\n"));
}

static void mistakes_end_with_2(void **state)
{
    (void)state;
    assert_int_equal(START("--set", "test.workers=9"), 2);
    assert_non_null(strstr(err, "--set: test.workers: 9 is out of range (1..8)"));
    assert_int_equal(START("--check-config", "--set", "test.workers=9"), 2);
    assert_string_equal(out, "");
    assert_int_equal(START("--set", "test.workers=7"), 2);
    assert_non_null(strstr(err, "the configuration cannot work"));
    assert_int_equal(START("--check-config", "--set", "test.workers=7"), 2);
    assert_non_null(strstr(err, "the configuration cannot work"));
    assert_string_equal(out, "");
    assert_int_equal(START("--config"), 2);
    assert_non_null(strstr(err, "a value is missing after --config"));
    assert_int_equal(START("--config", "/nonexistent"), 2);
    assert_int_equal(START("--configure"), 2);
    assert_non_null(strstr(err, "unknown argument --configure"));
    assert_int_equal(START("more"), 2);
}

static void assert_notified(const struct sockaddr_un *address, socklen_t len, const char *name)
{
    char text[64];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)address, len), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    daemon_notify("READY=1\nSTATUS=up");
    ssize_t n = recv(fd, text, sizeof text, MSG_DONTWAIT);
    assert_int_equal(n, 17);
    assert_memory_equal(text, "READY=1\nSTATUS=up", 17);
    close(fd);
}

static void tells_the_service_manager(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    snprintf(name, sizeof name, "/tmp/daemon_test.%d", getpid());
    memcpy(address.sun_path, name, strlen(name) + 1);
    assert_notified(&address, sizeof address, name);
    unlink(name);
    snprintf(name, sizeof name, "@herald/daemon_test.%d", getpid());
    memcpy(address.sun_path, name, strlen(name));
    address.sun_path[0] = '\0';
    assert_notified(&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name)), name);
    unsetenv("NOTIFY_SOCKET");
    daemon_notify("READY=1"); /* nobody to tell */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_with_settings),        cmocka_unit_test(the_log_follows_the_configuration),
        cmocka_unit_test(prints_and_ends),           cmocka_unit_test(mistakes_end_with_2),
        cmocka_unit_test(tells_the_service_manager),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    option_release(&program.options);
    return failed;
}
