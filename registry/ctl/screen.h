/*
 * The terminal while watch redraws: the alternate screen, keys without Enter. It is given back as it was at
 * screen_free(), also after Ctrl-C or SIGTERM, which only make screen_wait() say SCREEN_QUIT.
 */
#ifndef HERALD_REGISTRY_CTL_SCREEN_H
#define HERALD_REGISTRY_CTL_SCREEN_H

#include <stdint.h>

#include "common/buf.h"

struct screen;
enum screen_event { SCREEN_TIME, SCREEN_RESIZED, SCREEN_QUIT };

/* NULL when standard output is not a terminal. */
struct screen *screen_new(void);
void screen_free(struct screen **screen);
/* Draws lines of text, cut to the size of the screen; lines that begin with `mark` without it, and bold. */
void screen_draw(struct screen *screen, const struct buf *text, char mark);
/* Waits until time has passed, the size has changed, or q was typed. */
enum screen_event screen_wait(struct screen *screen, uint64_t wait_ms);

#endif
