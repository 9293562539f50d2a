#ifndef OS_DIMENSION_WORDS_H
#define OS_DIMENSION_WORDS_H

/* What may stand in names, keywords and contexts, wherever they come from. */

#include <stdbool.h>
#include <stdint.h>

/* 1..31 characters of [A-Za-z0-9_-]. */
bool dim_name_ok(const char *text, uint64_t bytes);

/* 1..DIM_MAX_KEYWORD_BYTES bytes of UTF-8 without control characters and commas, no blank at either end. */
bool dim_keyword_ok(const char *text, uint64_t bytes);

/* 0..DIM_MAX_LINE_BYTES bytes of UTF-8 without control characters. */
bool dim_line_ok(const char *text, uint64_t bytes);

/* Lines as above, each ended by a line feed; nothing at all is no line. */
bool dim_contexts_ok(const uint8_t *text, uint64_t bytes);

#endif
