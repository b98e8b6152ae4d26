/*
 * Text in aligned columns, separated by two blanks, under a line of titles. Cells are cleaned of control characters
 * (what users are called must not steer a terminal) and of broken UTF-8; widths are counted in characters.
 */
#ifndef HERALD_REGISTRY_CTL_TABLE_PRINT_H
#define HERALD_REGISTRY_CTL_TABLE_PRINT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

struct table_column {
    const char *title;
    bool is_right; /* numbers */
};

struct table_print;

/* The columns are borrowed. */
struct table_print *table_print_new(const struct table_column *columns, size_t count);
void table_print_free(struct table_print **table);
/* The next cell, from left to right, row by row. */
void table_print_cell(struct table_print *table, const char *text);
void table_print_cellf(struct table_print *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends the titles and all rows, each line ended. Unfilled cells of the last row are empty. */
void table_print_text(const struct table_print *table, struct buf *out);

/* Appends text with control characters and broken UTF-8 as '?'. Returns its width in characters. */
size_t text_clean(const char *text, struct buf *out);

#endif
