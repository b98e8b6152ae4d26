#include "registry/ctl/table_print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/utf8.h"

struct cell {
    char *text;
    size_t width;
};

struct table_print {
    const struct table_column *columns;
    size_t *widths;
    size_t column_count;
    struct cell *cells;
    size_t count, size;
};

size_t text_clean(const char *text, struct buf *out)
{
    size_t len = strlen(text), width = 0;
    for (size_t at = 0; at < len; width++) {
        size_t char_len = utf8_char_len(text + at, len - at);
        unsigned char first = (unsigned char)text[at];
        /* C1 control characters are two bytes: C2 80 to C2 9F */
        bool is_control = first < 0x20 || first == 0x7f || (first == 0xc2 && (unsigned char)text[at + 1] < 0xa0);
        if (char_len == 0 || is_control)
            buf_add_char(out, '?');
        else
            buf_add(out, text + at, char_len);
        at += char_len ? char_len : 1;
    }
    return width;
}

struct table_print *table_print_new(const struct table_column *columns, size_t count)
{
    struct table_print *t = xcalloc(1, sizeof(*t));
    t->columns = columns;
    t->column_count = count;
    t->widths = xcalloc(count, sizeof(*t->widths));
    for (size_t i = 0; i < count; i++)
        t->widths[i] = strlen(columns[i].title);
    return t;
}

void table_print_free(struct table_print **table)
{
    struct table_print *t = *table;
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i].text);
    free(t->cells);
    free(t->widths);
    free(t);
    *table = NULL;
}

void table_print_cell(struct table_print *t, const char *text)
{
    if (t->count == t->size) {
        t->size = t->size ? t->size * 2 : 64;
        t->cells = xrealloc(t->cells, t->size * sizeof(*t->cells));
    }
    struct buf clean;
    buf_init(&clean);
    size_t width = text_clean(text, &clean);
    size_t column = t->count % t->column_count;
    t->cells[t->count++] = (struct cell){xstrndup(clean.bytes ? clean.bytes : "", clean.len), width};
    if (width > t->widths[column])
        t->widths[column] = width;
    buf_release(&clean);
}

void table_print_cellf(struct table_print *t, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    table_print_cell(t, text);
}

static void pad(struct buf *out, size_t count)
{
    while (count-- > 0)
        buf_add_char(out, ' ');
}

static void add_cell(const struct table_print *t, size_t column, const char *text, size_t width, struct buf *out)
{
    bool is_last = column + 1 == t->column_count;
    size_t space = t->widths[column] - width;
    if (t->columns[column].is_right)
        pad(out, space);
    buf_add_str(out, text);
    if (is_last) {
        buf_add_char(out, '\n');
        return;
    }
    if (!t->columns[column].is_right)
        pad(out, space);
    pad(out, 2);
}

void table_print_text(const struct table_print *t, struct buf *out)
{
    for (size_t i = 0; i < t->column_count; i++)
        add_cell(t, i, t->columns[i].title, strlen(t->columns[i].title), out);
    size_t rounded = (t->count + t->column_count - 1) / t->column_count * t->column_count;
    for (size_t i = 0; i < rounded; i++) {
        const struct cell *cell = i < t->count ? &t->cells[i] : &(struct cell){(char *)"", 0};
        add_cell(t, i % t->column_count, cell->text, cell->width, out);
    }
}
