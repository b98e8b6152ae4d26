#include "registry/ctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/utf8.h"

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"
#define HOME "\033[H"
#define LINE_END "\033[K\r\n"
#define REST "\033[J"

struct screen {
    struct termios before;
    bool has_keys; /* standard input is a terminal, too */
};

/* Set by signal handlers: there is no other way to hear of them. */
static volatile sig_atomic_t is_ending, is_resized;

static void on_signal(int signo)
{
    if (signo == SIGWINCH)
        is_resized = 1;
    else
        is_ending = 1;
}

static void put(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            is_ending = 1; /* the terminal is gone */
            return;
        }
    }
}

static void put_str(const char *text)
{
    put(text, strlen(text));
}

struct screen *screen_new(void)
{
    if (!isatty(STDOUT_FILENO))
        return NULL;
    struct screen *s = xcalloc(1, sizeof(*s));
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: poll() has to come back */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGWINCH, &action, NULL);
    s->has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &s->before) == 0;
    if (s->has_keys) {
        struct termios keys = s->before;
        keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    }
    put_str(ENTER);
    return s;
}

void screen_free(struct screen **screen)
{
    struct screen *s = *screen;
    if (!s)
        return;
    put_str(LEAVE);
    if (s->has_keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &s->before);
    free(s);
    *screen = NULL;
}

/* The bytes of the first `columns` characters of a line. */
static size_t cut(const char *line, size_t len, size_t columns)
{
    size_t at = 0;
    for (size_t width = 0; at < len && width < columns; width++) {
        size_t char_len = utf8_char_len(line + at, len - at);
        at += char_len ? char_len : 1;
    }
    return at;
}

void screen_draw(struct screen *s, const struct buf *text, char mark)
{
    (void)s;
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    struct buf out;
    buf_init(&out);
    buf_add_str(&out, HOME);
    const char *at = text->bytes, *end = text->bytes + text->len;
    for (int row = 0; at < end && row < size.ws_row - 1; row++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline ? newline : end) - at);
        bool is_bold = len > 0 && *at == mark;
        const char *line = at + is_bold;
        buf_add_str(&out, is_bold ? BOLD : "");
        buf_add(&out, line, cut(line, len - is_bold, size.ws_col));
        buf_add_str(&out, is_bold ? PLAIN LINE_END : LINE_END);
        at += len + 1;
    }
    buf_add_str(&out, REST);
    put(out.bytes, out.len);
    buf_release(&out);
}

/* True when q (or the end of the input) was read. */
static bool reads_quit(struct screen *s)
{
    char keys[32];
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
    if (n <= 0) {
        s->has_keys = n < 0 && errno == EINTR;
        return n == 0;
    }
    return memchr(keys, 'q', (size_t)n) || memchr(keys, 'Q', (size_t)n);
}

enum screen_event screen_wait(struct screen *s, uint64_t wait_ms)
{
    uint64_t until_ms = clock_mono_ms() + wait_ms;
    for (;;) {
        uint64_t now_ms = clock_mono_ms();
        if (is_ending)
            return SCREEN_QUIT;
        if (is_resized) {
            is_resized = 0;
            return SCREEN_RESIZED;
        }
        if (now_ms >= until_ms)
            return SCREEN_TIME;
        struct pollfd keys = {.fd = s->has_keys ? STDIN_FILENO : -1, .events = POLLIN};
        if (poll(&keys, 1, (int)(until_ms - now_ms)) > 0 && reads_quit(s))
            return SCREEN_QUIT;
    }
}
