/* The YAML side of option_load(), over libyaml. Private to option*.c. */
#ifndef HERALD_COMMON_OPTION_YAML_H
#define HERALD_COMMON_OPTION_YAML_H

#include "option.h"

/* Reads `section:\n  key: value` from the file. Tells every mistake as "file:line: section.key: why" on errors, not
 * only the first; only broken YAML ends the reading. Aliases, deeper nesting and a key given twice are mistakes. */
enum err option_yaml_load(const struct option_set *set, const char *file, FILE *errors) MUST_CHECK;

#endif
