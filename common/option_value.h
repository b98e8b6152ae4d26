/* The values of options: text to field and back. Private to option*.c; everybody else uses option.h. */
#ifndef HERALD_COMMON_OPTION_VALUE_H
#define HERALD_COMMON_OPTION_VALUE_H

#include "buf.h"
#include "option.h"

/* Sets the field from text. On ERR_INVALID the field is as before, and the reason stands in `why`
 * ("900 is out of range (1..256)"), which never repeats the text of a SECRET. */
enum err option_value_parse(const struct option *row, void *settings, const char *text, struct buf *why) MUST_CHECK;
/* LIST only: the items as they are, commas and blanks included. Copies. */
void option_value_set_list(const struct option *row, void *settings, const char *const *items, size_t count);
/* Frees what the field owns and zeroes it. */
void option_value_release(const struct option *row, void *settings);

/* The value as option_value_parse() reads it; a SECRET as "(set)" or "(not set)". */
void option_value_format(const struct option *row, const void *settings, struct buf *out);
/* The same for a number of this kind: 65536 as 64KiB, 90000 as 90s. */
void option_value_format_number(enum option_kind kind, int64_t number, struct buf *out);
/* What may be given: "integer, 1..256", "text|json", "true or false". */
void option_value_format_range(const struct option *row, struct buf *out);

/* Appends s as a YAML double-quoted scalar. */
void option_value_quote(struct buf *out, const char *s);

#endif
