/* Walking and searching the rows of an option_set. Private to option*.c. */
#ifndef HERALD_COMMON_OPTION_SET_H
#define HERALD_COMMON_OPTION_SET_H

#include "buf.h"
#include "option.h"

/* Where a walk over all rows of all tables stands; zeroed at its start. */
struct option_cursor {
    size_t table, row;
};

/* NULL at the end. */
const struct option *option_set_next(const struct option_set *set, struct option_cursor *cursor);
/* NULL when there is no such option. */
const struct option *option_set_find(const struct option_set *set, const char *section, const char *key);
bool option_set_has_section(const struct option_set *set, const char *section);
/* Is this the first row of its section? Tables may share sections; whoever prints groups by them. */
bool option_set_opens_section(const struct option_set *set, const struct option *row);
/* HERALD_<SECTION>_<KEY> */
void option_set_variable(const struct option *row, struct buf *out);

#endif
