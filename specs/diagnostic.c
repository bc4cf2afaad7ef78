// SPDX-License-Identifier: Apache-2.0
//
// specs/diagnostic.c — the table of codes, the snippets with carets, and the two ways to print what was
// found.
//
// Source lines come from files that nobody vouches for: all that is shown passes str_escape, and a long
// line is cut around the place.
#include "specs/diagnostic.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"

#define SNIPPET_COLUMNS_MAX 96 // of source text
#define SNIPPET_BEFORE 40      // shown before the place when a line is cut
#define CARETS_MAX 48

const struct diagnostic_code diagnostic_codes[] = {
    {"E0101", "a tab in the indentation",
     "YAML allows only blanks in front of a line. Replace the tab by blanks."},
    {"E0102", "not YAML",
     "The text breaks YAML's grammar. The place is where the reader gave up; the cause is often the line "
     "before it."},
    {"E0103", "nested too deep", "Lists and maps may lie at most 64 deep in each other."},
    {"E0104", "too many values", "One file may hold at most 200,000 values. Split it."},
    {"E0105", "too many anchors or aliases", "One file may hold at most 1,000 anchors and 1,000 aliases."},
    {"E0106", "a value is too long",
     "One value may hold at most 256 KiB. Put larger content into a file and name it in a config."},
    {"E0107", "a key is given twice",
     "YAML readers silently keep one of the two. Both places are shown: take one away."},
    {"E0108", "a key is not a word",
     "The keys of spec files are words; YAML's lists and maps as keys have no meaning here."},
    {"E0109", "an alias without its anchor",
     "*name stands for the value that was marked with &name earlier in the same document."},
    {"E0110", "a control character",
     "NUL and other control characters are refused; write those that are meant as an escape."},
    {"E0111", "not UTF-8", "Spec files are UTF-8 text. Convert the file."},
    {"E0112", "a merge key without a map", "<<: takes the alias of a map, or a list of such."},
    {"E0113", "a list or map is too long", "One list or map may hold at most 10,000 items."},
    {"E0114", "a file is too large", "One spec file may hold at most 4 MiB."},
    {"E0115", "an unknown tag",
     "What a value is follows from its field, so YAML's tags are not needed; only the standard ones are "
     "accepted."},
    {"E0116", "aliases expand to too much",
     "Aliases of aliases multiply. With all of them expanded a file may hold 200,000 values."},
    {"E0117", "too many directives",
     "Lines that start with % are YAML directives; a file may hold 16 of them."},
    {"E0118", "a file needs too much memory",
     "What the file declares is larger than what one apply may send. Split it."},
    {"E0201", "not a spec",
     "A document is a typed one, with kind: and name:, or a Compose file, with services:."},
    {"E0202", "an unknown kind",
     "kind: is one of service, node, network, secret, config, volume, cluster, source."},
    {"E0204", "a kind that is not declared",
     "Tasks, rollouts and revisions are made by the cluster, never by a file."},
    {"E0205", "declared twice", "Two documents declare an object of the same kind and name. Only one may."},
    {"E0206", "too many objects", "One apply is one transaction of at most 2,000 objects."},
    {"E0207", "an old Compose version",
     "Compose files of version 2 and before mean other things. Take away version: and check the file."},
    {"E0208", "not a stack name",
     "A stack's name goes before the names of its services. Give one with name: or --stack."},
    {"E0231", "an unknown field", "The object has no such field. Fields of your own start with x-."},
    {"E0232", "a field of the system", "The field is written by the cluster; take it away."},
    {"E0233", "a field that is not accepted",
     "Compose knows the field, but it has no meaning in a cluster, or a better place."},
    {"E0234", "a field is missing", "The object cannot do without it."},
    {"E0301", "the wrong shape",
     "The field needs a single value, a list or a map, and got another of the three."},
    {"E0302", "not true or false", "Only true and false are booleans; yes, no, on and off are words."},
    {"E0303", "not a whole number",
     "Numbers are decimal, without blanks, signs, leading zeros or separators."},
    {"E0304", "not a duration", "Write a number with its unit: 500ms, 10s, 1m30s, 2h."},
    {"E0311", "not a size", "Write bytes with a binary unit: 4096, 64M, 1.5G."},
    {"E0312", "not a number of CPUs", "Write a decimal number: 0.5, 2."},
    {"E0313", "not one of the words", "The field takes one of a few words; they are listed in the message."},
    {"E0314", "not a time", "Write 2026-01-31T12:00:00Z."},
    {"E0315", "not a mode", "Permissions are octal, like 0444."},
    {"E0316", "not a fraction", "Write a decimal number, like 0.25."},
    {"E0317", "not the short form",
     "The one-line form of the struct could not be read. The long form, a map, always works."},
    {"E0318", "not NAME=VALUE", "The list form takes NAME=VALUE, the map form NAME: VALUE."},
    {"E0319", "not base64", "Binary content is written in base64."},
    {"E0320", "quotes do not match",
     "A command in one line is split as a shell would; a quote or backslash is left open. Or write a list."},
    {"E0330", "a rule is broken",
     "Each value is well written, but out of range or at odds with another one."},
    {"E0401", "not a variable",
     "Variables are $NAME, ${NAME}, ${NAME:-default}, ${NAME:?message} or ${NAME:+other}; a plain dollar is "
     "$$."},
    {"E0402", "a needed variable is not set",
     "The file says so with ${NAME:?message}. Set it in the environment or in .env."},
    {"E0411", "a file cannot be read", "The file that the field names is missing, unreadable or too large."},
    {"E0412", "a broken line in an env_file", "Each line is NAME=VALUE, NAME, a comment, or empty."},
    {"E0421", "no content", "A secret or config needs exactly one of file, environment, data (or content)."},
    {"E0431", "nothing to run",
     "Images are not built here: build the image elsewhere, and name it with image:."},
    {"E0501", "a name that is not declared",
     "In a Compose file, what a service refers to stands at the top level, or is marked external there."},
    {"W0601", "not yet acting", "The field is kept and shown, but this version does nothing with it."},
    {"W0602", "ignored", "Compose knows the field; in a cluster it has no meaning."},
    {"W0603", "a variable is not set", "It stands for nothing. Write ${NAME:-} if that is meant."},
};
const size_t diagnostic_code_count = sizeof diagnostic_codes / sizeof *diagnostic_codes;

const struct diagnostic_code *diagnostic_code_find(const char *code) {
    for (size_t i = 0; i < diagnostic_code_count; i++) {
        if (str_equal_nocase(diagnostic_codes[i].code, code)) {
            return &diagnostic_codes[i];
        }
    }
    return NULL;
}

// --- snippets ---

struct line {
    const char *text;
    size_t len;
};

static struct line find_line(const struct source_text *source, int64_t number) {
    const char *at = source->text;
    const char *end = source->text + source->len;
    for (int64_t line = 1; line < number && at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline != NULL ? newline + 1 : end;
    }
    const char *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    size_t len = (size_t)((newline != NULL ? newline : end) - at);
    return (struct line){at, len > 0 && at[len - 1] == '\r' ? len - 1 : len};
}

// Byte offset of a column (characters, from 1), at most the line's length.
static size_t offset_of_column(struct line line, int64_t column) {
    size_t i = 0;
    for (int64_t at = 1; at < column && i < line.len; at++) {
        for (i++; i < line.len && ((unsigned char)line.text[i] & 0xC0) == 0x80; i++) {
        }
    }
    return i;
}

// Length of the word at the place: up to a blank, a closing bracket or the colon after a key; a quoted text
// as a whole.
static size_t word_bytes(struct line line, size_t start) {
    char quote =
        start < line.len && (line.text[start] == '"' || line.text[start] == '\'') ? line.text[start] : '\0';
    size_t i = start;
    for (; i < line.len; i++) {
        char c = line.text[i];
        bool ends_key = c == ':' && (i + 1 == line.len || line.text[i + 1] == ' ');
        if (quote != '\0' ? i > start && c == quote : c == ' ' || ends_key || strchr(",]}", c) != NULL) {
            i += quote != '\0';
            break;
        }
    }
    return i > start ? i - start : 1;
}

static void add_escaped(struct buf *out, const char *text, size_t len) {
    for (size_t i = 0; i < len;) { // tabs would move the carets
        size_t run = 0;
        while (i + run < len && text[i + run] != '\t') {
            run++;
        }
        str_escape(out, text + i, run, /* keep_newlines= */ false);
        i += run;
        if (i < len) {
            buf_addc(out, ' ');
            i++;
        }
    }
}

static void add_snippet_line(struct buf *out, const struct source_text *source, int64_t number,
                             int64_t column, const char *note) {
    struct line line = find_line(source, number);
    size_t at = offset_of_column(line, column);
    size_t first = at > SNIPPET_COLUMNS_MAX - SNIPPET_BEFORE ? at - SNIPPET_BEFORE : 0;
    while (first > 0 && ((unsigned char)line.text[first] & 0xC0) == 0x80) {
        first--;
    }
    size_t shown = line.len - first > SNIPPET_COLUMNS_MAX ? SNIPPET_COLUMNS_MAX : line.len - first;
    while (first + shown < line.len && ((unsigned char)line.text[first + shown] & 0xC0) == 0x80) {
        shown++;
    }
    AUTO_BUF before = buf_make(8192);
    add_escaped(&before, line.text + first, at > first ? at - first : 0);
    size_t carets = word_bytes(line, at);
    carets = at + carets > first + shown && first + shown > at ? first + shown - at : carets;
    carets = carets > CARETS_MAX ? CARETS_MAX : carets;
    const char *more = first > 0 ? "…" : "";
    buf_addf(out, "%6lld | %s", (long long)number, more);
    add_escaped(out, line.text + first, shown);
    buf_addf(out, "%s\n       | ", first + shown < line.len ? "…" : "");
    buf_pad(out, ' ', str_columns(buf_text(&before)) + (first > 0));
    buf_pad(out, '^', carets);
    buf_addf(out, "%s%s\n", note[0] != '\0' ? " " : "", note);
}

static const char *make_snippet(struct reporter *reporter, struct place at, const char *hint) {
    const struct source_text *source = &reporter->sources[at.source];
    if (reporter->source_count == 0 || source->text == NULL || at.line <= 0) {
        return "";
    }
    AUTO_BUF out = buf_make(64 * KIB);
    if (at.other_line > 0) {
        add_snippet_line(&out, source, at.other_line, at.other_column, "first here");
    }
    add_snippet_line(&out, source, at.line, at.column, hint);
    return arena_strndup(reporter->arena, buf_text(&out), out.len);
}

// --- collecting ---

static size_t kept_of(const struct diagnostics *all, bool is_warning) {
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        count += all->items[i].is_warning == is_warning;
    }
    return count;
}

bool reporter_has_room(const struct reporter *reporter) {
    return reporter->out->error_count < DIAGNOSTICS_MAX;
}

void reporter_add(struct reporter *reporter, struct place at, const char *code, const char *path,
                  const char *hint, const char *format, ...) {
    struct diagnostics *all = reporter->out;
    bool is_warning = code[0] == 'W';
    *(is_warning ? &all->warning_count : &all->error_count) += 1;
    if (kept_of(all, is_warning) >= DIAGNOSTICS_MAX) {
        return;
    }
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(reporter->arena, format, args);
    va_end(args);
    hint = arena_strdup(reporter->arena, hint);
    *ARENA_PUSH(reporter->arena, all) = (struct diagnostic){
        .at = {reporter->source_count > 0 ? reporter->sources[at.source].name : "", at.line, at.column},
        .code = code,
        .path = arena_strdup(reporter->arena, path),
        .text = text,
        .hint = hint,
        .snippet = make_snippet(reporter, at, hint),
        .is_warning = is_warning,
    };
}

// --- printing ---

static void add_safe(struct buf *out, const char *text) {
    str_escape(out, text, strlen(text), /* keep_newlines= */ false);
}

void diagnostic_render(const struct diagnostic *diagnostic, bool color, struct buf *out) {
    const char *bold = color ? "\x1b[1m" : "";
    const char *tint = !color ? "" : diagnostic->is_warning ? "\x1b[33m" : "\x1b[31m";
    const char *plain = color ? "\x1b[0m" : "";
    buf_adds(out, bold);
    add_safe(out, diagnostic->at.file);
    if (diagnostic->at.line > 0) {
        buf_addf(out, ":%lld:%lld", (long long)diagnostic->at.line, (long long)diagnostic->at.column);
    }
    buf_addf(out, ": %s%s %s%s: ", tint, diagnostic->is_warning ? "warning" : "error", diagnostic->code,
             plain);
    add_safe(out, diagnostic->text);
    buf_addc(out, '\n');
    if (diagnostic->snippet[0] != '\0') {
        buf_adds(out, diagnostic->snippet); // escaped when it was made
    } else if (diagnostic->hint[0] != '\0') {
        buf_adds(out, "   ");
        add_safe(out, diagnostic->hint);
        buf_addc(out, '\n');
    }
}

static void json_member(struct buf *out, const char *name, const char *text) {
    buf_addf(out, ",\"%s\":", name);
    json_write_string(out, text);
}

void diagnostics_json(const struct diagnostics *diagnostics, struct buf *out) {
    buf_addf(out, "{\"errors\":%zu,\"warnings\":%zu,\"diagnostics\":[", diagnostics->error_count,
             diagnostics->warning_count);
    for (size_t i = 0; i < diagnostics->count; i++) {
        const struct diagnostic *item = &diagnostics->items[i];
        buf_adds(out, i > 0 ? ",{\"file\":" : "{\"file\":");
        json_write_string(out, item->at.file);
        buf_addf(out, ",\"line\":%lld,\"column\":%lld", (long long)item->at.line, (long long)item->at.column);
        json_member(out, "severity", item->is_warning ? "warning" : "error");
        json_member(out, "code", item->code);
        json_member(out, "path", item->path);
        json_member(out, "text", item->text);
        json_member(out, "hint", item->hint);
        buf_addc(out, '}');
    }
    buf_adds(out, "]}");
}
