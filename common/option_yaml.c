#include "option_yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "buf.h"
#include "check.h"
#include "option_set.h"
#include "option_value.h"

/* What the next event means: how deep it stands, and whether a key or its value is due. */
enum place { PLACE_TOP, PLACE_SECTION_KEY, PLACE_SECTION, PLACE_KEY, PLACE_VALUE, PLACE_ITEM, PLACE_END };

struct reader {
    const struct option_set *set;
    const char *file;
    FILE *errors;
    enum err err;
    enum place place;
    char *section, *key;
    unsigned skip_depth;        /* > 0: inside something that was refused as a whole */
    struct option_list items;   /* of the sequence under way */
    const struct option **seen; /* rows set so far, to refuse the second */
    size_t seen_count;
    size_t key_line;
};

static void complain(struct reader *r, size_t line, const char *why)
{
    r->err = ERR_INVALID;
    fprintf(r->errors, "%s: %s:%zu: ", r->set->program, r->file, line);
    if (r->section && r->key)
        fprintf(r->errors, "%s.%s: ", r->section, r->key);
    else if (r->section)
        fprintf(r->errors, "%s: ", r->section);
    fprintf(r->errors, "%s\n", why);
}

static void set_name(char **name, const char *text)
{
    free(*name);
    *name = text ? xstrdup(text) : NULL;
}

static void clear_items(struct reader *r)
{
    for (size_t i = 0; i < r->items.count; i++)
        free(r->items.items[i]);
    free(r->items.items);
    r->items = (struct option_list){0};
}

/* The row of the current section and key, if it may be set now. */
static const struct option *row_to_set(struct reader *r)
{
    const struct option *row = option_set_find(r->set, r->section, r->key);
    if (!row) {
        complain(r, r->key_line, option_set_has_section(r->set, r->section) ? "unknown option" : "unknown section");
        return NULL;
    }
    for (size_t i = 0; i < r->seen_count; i++) {
        if (r->seen[i] == row) {
            complain(r, r->key_line, "given twice");
            return NULL;
        }
    }
    r->seen = xrealloc(r->seen, (r->seen_count + 1) * sizeof *r->seen);
    r->seen[r->seen_count++] = row;
    return row;
}

static void set_scalar(struct reader *r, const char *text)
{
    const struct option *row = row_to_set(r);
    if (!row)
        return;
    struct buf why;
    buf_init(&why);
    if (option_value_parse(row, r->set->settings, text, &why) != ERR_OK)
        complain(r, r->key_line, why.bytes);
    buf_release(&why);
}

static void set_items(struct reader *r)
{
    const struct option *row = row_to_set(r);
    if (row && row->kind != OPTION_LIST)
        complain(r, r->key_line, "takes one value, not a list");
    else if (row)
        option_value_set_list(row, r->set->settings, (const char *const *)r->items.items, r->items.count);
    clear_items(r);
}

static void on_scalar(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t line = event->start_mark.line + 1;
    if (strlen(text) != event->data.scalar.length) {
        complain(r, line, "contains a zero byte");
        text = "";
    }
    switch (r->place) {
    case PLACE_SECTION_KEY:
        set_name(&r->section, text);
        r->place = PLACE_SECTION;
        break;
    case PLACE_SECTION: /* "section:" with nothing in it */
        if (*text || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
            complain(r, line, "a section holds keys, not a value");
        set_name(&r->section, NULL);
        r->place = PLACE_SECTION_KEY;
        break;
    case PLACE_KEY:
        set_name(&r->key, text);
        r->key_line = line;
        r->place = PLACE_VALUE;
        break;
    case PLACE_VALUE:
        set_scalar(r, text);
        set_name(&r->key, NULL);
        r->place = PLACE_KEY;
        break;
    case PLACE_ITEM:
        r->items.items = xrealloc(r->items.items, (r->items.count + 1) * sizeof *r->items.items);
        r->items.items[r->items.count++] = xstrdup(text);
        break;
    default: /* a document that is one scalar; an empty one is how "---" alone arrives */
        if (*text)
            complain(r, line, "expected sections with keys");
        break;
    }
}

/* Refuses a mapping or a sequence where none belongs, with all that is in it. */
static void refuse(struct reader *r, const yaml_event_t *event, const char *why)
{
    complain(r, event->start_mark.line + 1, why);
    r->skip_depth = 1;
}

static void on_mapping_start(struct reader *r, const yaml_event_t *event)
{
    if (r->place == PLACE_TOP)
        r->place = PLACE_SECTION_KEY;
    else if (r->place == PLACE_SECTION)
        r->place = PLACE_KEY;
    else
        refuse(r, event, "keys are flat inside their section; this is nested deeper");
}

static void on_mapping_end(struct reader *r)
{
    set_name(&r->section, NULL);
    r->place = r->place == PLACE_KEY ? PLACE_SECTION_KEY : PLACE_END;
}

static void on_sequence_start(struct reader *r, const yaml_event_t *event)
{
    if (r->place == PLACE_VALUE)
        r->place = PLACE_ITEM;
    else
        refuse(r, event, "a list is not expected here");
}

static void on_sequence_end(struct reader *r)
{
    set_items(r);
    set_name(&r->key, NULL);
    r->place = PLACE_KEY;
}

/* After a refused collection its owner is complete: as if its value had been read. */
static void leave_skipped(struct reader *r)
{
    if (r->place == PLACE_VALUE) {
        set_name(&r->key, NULL);
        r->place = PLACE_KEY;
    } else if (r->place == PLACE_SECTION) {
        set_name(&r->section, NULL);
        r->place = PLACE_SECTION_KEY;
    } else if (r->place == PLACE_SECTION_KEY) {
        r->place = PLACE_SECTION;
    } else if (r->place == PLACE_KEY) {
        set_name(&r->key, "?");
        r->place = PLACE_VALUE;
    }
}

static void skip_event(struct reader *r, const yaml_event_t *event)
{
    if (event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT)
        r->skip_depth++;
    else if (event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT)
        r->skip_depth--;
    if (r->skip_depth == 0)
        leave_skipped(r);
}

/* False at the end of what is to be read. */
static bool on_event(struct reader *r, const yaml_event_t *event)
{
    if (r->skip_depth > 0) {
        skip_event(r, event);
        return true;
    }
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        on_scalar(r, event);
        return true;
    case YAML_MAPPING_START_EVENT:
        on_mapping_start(r, event);
        return true;
    case YAML_MAPPING_END_EVENT:
        on_mapping_end(r);
        return true;
    case YAML_SEQUENCE_START_EVENT:
        on_sequence_start(r, event);
        return true;
    case YAML_SEQUENCE_END_EVENT:
        on_sequence_end(r);
        return true;
    case YAML_ALIAS_EVENT:
        complain(r, event->start_mark.line + 1, "YAML aliases are not supported");
        return false;
    case YAML_DOCUMENT_START_EVENT:
        if (r->place == PLACE_END)
            complain(r, event->start_mark.line + 1, "only one YAML document is expected");
        return r->place != PLACE_END;
    case YAML_DOCUMENT_END_EVENT:
        r->place = PLACE_END;
        return true;
    case YAML_STREAM_END_EVENT:
        return false;
    default:
        return true;
    }
}

static void read_events(struct reader *r, yaml_parser_t *parser)
{
    bool has_more = true;
    while (has_more) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            set_name(&r->section, NULL);
            complain(r, parser->problem_mark.line + 1, parser->problem ? parser->problem : "broken YAML");
            return;
        }
        has_more = on_event(r, &event);
        yaml_event_delete(&event);
    }
}

static void reader_release(struct reader *r)
{
    clear_items(r);
    free(r->section);
    free(r->key);
    free(r->seen);
}

enum err option_yaml_load(const struct option_set *set, const char *file, FILE *errors)
{
    FILE *input = fopen(file, "re");
    if (!input) {
        fprintf(errors, "%s: %s: cannot be read: %s\n", set->program, file, strerror(errno));
        return ERR_INVALID;
    }
    yaml_parser_t parser;
    CHECK(yaml_parser_initialize(&parser)); /* fails only without memory */
    yaml_parser_set_input_file(&parser, input);
    struct reader r = {.set = set, .file = file, .errors = errors};
    read_events(&r, &parser);
    reader_release(&r);
    yaml_parser_delete(&parser);
    fclose(input);
    return r.err;
}
