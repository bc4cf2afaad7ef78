// SPDX-License-Identifier: Apache-2.0
//
// test/tidy.c — the tree's own rules, checked: arrows between folders, pure folders, banned calls, lengths,
// heads.
//
//     build/tidy [TREE]        prints path:line: what is wrong; exit status 1 when something is
//
// Model        Each file is held twice: as it is, for the rules about text, and as `code`, with comments,
//              literals and preprocessor lines blanked out, for the rules about C. Rules are rows of the
//              tables below; a row says why, or what to use instead, because that is what the reader of the
//              message wants to know.
// Exceptions   `// tidy: table` or `// tidy: flat switch` on the line before a function lifts its length
//              limit. The shim is freestanding: calls are not checked there.
// Proof        test/tidy_test.sh plants one violation of each rule.
// Not here     That a header compiles alone (`make hdr-check`), layout (.clang-format).
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

#define LINE_COLUMNS_MAX 120
#define FUNCTION_LINES_MAX 70
#define FILE_LINES_MAX 1000
#define HEADER_LINES_MAX 400
#define FILE_BYTES_MAX ((size_t)4 * 1024 * 1024)

struct file {
    const char *path;
    const char *text;
    char *code; // same length and line ends as text
    size_t len;
};

struct run {
    struct arena arena; // of the file in work
    int files;
    int problems;
};

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

static void complain(struct run *run, const struct file *file, size_t at, const char *what,
                     const char *detail) {
    size_t line = 1;
    for (size_t i = 0; i < at; i++) {
        line += file->text[i] == '\n';
    }
    printf("%s:%zu: %s%s\n", file->path, line, what, detail);
    run->problems++;
}

// --- arrows ---

// The first row whose `from` begins the path holds. `may` is a list of beginnings of what may be included.
static const struct {
    const char *from, *may[8];
} arrows[] = {
    {"base/", {"base/"}},
    {"specs/", {"base/", "specs/"}},
    {"transport/", {"base/", "specs/", "transport/"}},
    {"cli/main.", {"base/", "specs/", "transport/", "cli/", "tui/"}},
    {"cli/", {"base/", "specs/", "transport/", "cli/"}},
    {"tui/", {"base/", "specs/", "transport/", "tui/"}},
    {"reconciler/raft/", {"base/", "reconciler/raft/"}},
    {"reconciler/plan/", {"base/", "specs/", "reconciler/plan/"}},
    {"reconciler/schedule/",
     {"base/", "specs/", "reconciler/plan/", "reconciler/schedule/"}}, // the view is plan's
    {"reconciler/store/", {"base/", "specs/", "transport/", "reconciler/raft/", "reconciler/store/"}},
    {"reconciler/dispatch/", {"base/", "specs/", "transport/", "reconciler/store/", "reconciler/dispatch/"}},
    {"reconciler/agent/", {"base/", "specs/", "transport/", "reconciler/agent/"}},
    {"reconciler/", {"base/", "specs/", "transport/", "reconciler/"}},
    {"test/", {""}},
};

static const struct {
    const char *header, *only_in, *why;
} gates[] = {
    {"lmdb.h", "reconciler/store/", "only reconciler/store includes <lmdb.h>"},
    {"nng/", "transport/", "only transport includes <nng/…>"},
    {"ncurses", "tui/term.c", "only tui/term.c includes <ncurses.h>"},
    {"curses.h", "tui/term.c", "only tui/term.c includes <ncurses.h>"},
    {"openssl/ssl.h", "transport/tls.c",
     "only transport/tls.c includes <openssl/ssl.h>: the CLI carries no TLS"},
    {"assert.h", "", "use ASSERT of base/assert.h: it stays on in release builds"},
};

static bool arrow_allows(const char *path, const char *header) {
    for (size_t i = 0; i < sizeof arrows / sizeof *arrows; i++) {
        if (!str_starts(path, arrows[i].from)) {
            continue;
        }
        for (size_t j = 0; j < 8 && arrows[i].may[j] != NULL; j++) {
            if (str_starts(header, arrows[i].may[j])) {
                return true;
            }
        }
        return false;
    }
    return true;
}

static void check_quoted_include(struct run *run, const struct file *file, size_t at, const char *header) {
    if (!fs_exists(header)) {
        complain(run, file, at, "includes are written from the repository root: ", header);
    } else if (!arrow_allows(file->path, header)) {
        complain(run, file, at, "this folder must not include ", header);
    }
}

static void check_system_include(struct run *run, const struct file *file, size_t at, const char *header) {
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
        if (str_starts(header, gates[i].header) && !str_starts(file->path, "test/") &&
            (gates[i].only_in[0] == '\0' || !str_starts(file->path, gates[i].only_in))) {
            complain(run, file, at, gates[i].why, "");
            return;
        }
    }
}

static void check_includes(struct run *run, const struct file *file) {
    char *own = arena_strdup(&run->arena, file->path);
    own[strlen(own) - 1] = 'h';
    bool wants_own = str_ends(file->path, ".c") && fs_exists(own);
    for (const char *p = file->text; (p = strstr(p, "#include ")) != NULL; p++) {
        size_t at = (size_t)(p - file->text);
        char open = p[9];
        size_t len = strcspn(p + 10, open == '<' ? ">\n" : "\"\n");
        if ((p > file->text && p[-1] != '\n') || (open != '"' && open != '<')) {
            continue;
        }
        const char *header = arena_strndup(&run->arena, p + 10, len);
        if (wants_own && !str_equal(header, own)) {
            complain(run, file, at, "the first include of a .c file is its own header: ", own);
        }
        wants_own = false;
        if (open == '"') {
            check_quoted_include(run, file, at, header);
        } else {
            check_system_include(run, file, at, header);
        }
    }
}

// --- calls and words ---

struct ban {
    const char *name, *why;
};

// tidy: table
static const struct ban banned_calls[] = {
    {"strcpy", "str_copy, or memcpy with a known length"},
    {"strcat", "struct buf"},
    {"strncpy", "str_copy"},
    {"strncat", "struct buf"},
    {"sprintf", "snprintf, buf_addf or arena_printf"},
    {"vsprintf", "vsnprintf or buf_addv"},
    {"strtok", "strchr and lengths"},
    {"atoi", "str_to_int"},
    {"atol", "str_to_int"},
    {"atoll", "str_to_int"},
    {"atof", "str_to_double"},
    {"strtol", "str_to_int"},
    {"strtoul", "str_to_int"},
    {"strtoll", "str_to_int"},
    {"strtoull", "str_to_int"},
    {"strtod", "str_to_double"},
    {"gets", "fs_read or fgets"},
    {"localtime", "clock_format_rfc3339, or localtime_r"},
    {"gmtime", "gmtime_r"},
    {"ctime", "clock_format_rfc3339"},
    {"asctime", "clock_format_rfc3339"},
    {"rand", "prng_next with a prng that is handed in"},
    {"srand", "prng_seed"},
    {"random", "prng_next with a prng that is handed in"},
    {"sleep", "a timer of the loop; in tests, wait for the event"},
    {"usleep", "a timer of the loop; in tests, wait for the event"},
    {"system", "posix_spawn without a shell"},
    {"popen", "posix_spawn without a shell"},
    {"alloca", "an arena, or a fixed array"},
    {"assert", "ASSERT of base/assert.h"},
    {"malloc", "an arena, or xmalloc"},
    {"calloc", "an arena, or xcalloc"},
    {"realloc", "struct buf, or xrealloc"},
    {"strdup", "arena_strdup or xstrdup"},
    {"strndup", "arena_strndup"},
    {"asprintf", "arena_printf or xasprintf"},
    {"vasprintf", "arena_vprintf"},
};

static const char *const pure_paths[] = {"reconciler/raft/",
                                         "reconciler/plan/",
                                         "reconciler/schedule/",
                                         "reconciler/agent/taskrun.",
                                         "reconciler/agent/session.",
                                         "tui/model.",
                                         "tui/grid.",
                                         "tui/view"};

// tidy: table
static const struct ban impure_calls[] = {
    {"time", "the time is a parameter"},
    {"clock", "the time is a parameter"},
    {"gettimeofday", "the time is a parameter"},
    {"clock_gettime", "the time is a parameter"},
    {"clock_unix_ms", "the time is a parameter"},
    {"clock_unix_ns", "the time is a parameter"},
    {"clock_mono_ms", "the time is a parameter"},
    {"clock_mono_ns", "the time is a parameter"},
    {"getenv", "settings are parameters"},
    {"secure_getenv", "settings are parameters"},
    {"getrandom", "the prng is a parameter"},
    {"id_random", "use id_from_prng"},
    {"xmalloc", "use the arena"},
    {"xcalloc", "use the arena"},
    {"xrealloc", "use the arena"},
    {"xstrdup", "use the arena"},
    {"xasprintf", "use the arena"},
    {"NEW", "use the arena"},
    {"free", "use the arena"},
    {"printf", "return a value instead"},
    {"fprintf", "return a value instead"},
    {"dprintf", "return a value instead"},
    {"puts", "return a value instead"},
    {"fputs", "return a value instead"},
    {"putchar", "return a value instead"},
    {"fopen", "contents are parameters"},
    {"open", "contents are parameters"},
    {"read", "contents are parameters"},
    {"write", "return a value instead"},
    {"fs_read", "contents are parameters"},
    {"socket", "messages are parameters and results"},
    {"connect", "messages are parameters and results"},
    {"send", "messages are parameters and results"},
    {"recv", "messages are parameters and results"},
    {"log_event", "return the reason; the rim logs"},
    {"log_failure", "return the reason; the rim logs"},
    {"log_write", "return the reason; the rim logs"},
};

// They trade the promise of the store for speed.
static const char *const banned_flags[] = {"MDB_NOSYNC", "MDB_NOMETASYNC", "MDB_MAPASYNC", "MDB_WRITEMAP"};

// Notes to oneself do not go into the tree. Spelt in two halves, for this file is checked too.
static const char *const banned_words[] = {"TO"
                                           "DO",
                                           "FIX"
                                           "ME",
                                           "XX"
                                           "X"};

static bool is_pure(const char *path) {
    for (size_t i = 0; i < sizeof pure_paths / sizeof *pure_paths; i++) {
        if (str_starts(path, pure_paths[i])) {
            return true;
        }
    }
    return false;
}

// The next place at or after `from` where `word` stands alone; NULL when there is none.
static const char *find_word(const char *text, const char *from, const char *word) {
    size_t len = strlen(word);
    for (const char *p = from; (p = strstr(p, word)) != NULL; p++) {
        if ((p == text || !is_word(p[-1])) && !is_word(p[len])) {
            return p;
        }
    }
    return NULL;
}

// A call of the function, not of a member with its name, and not its declaration in a table.
static bool is_call(const char *code, const char *p, size_t len) {
    bool is_member = p > code && (p[-1] == '.' || (p - code > 1 && p[-1] == '>' && p[-2] == '-'));
    return !is_member && p[len + strspn(p + len, " ")] == '(';
}

static void check_calls(struct run *run, const struct file *file, const struct ban *bans, size_t count,
                        const char *label) {
    for (size_t i = 0; i < count; i++) {
        for (const char *p = file->code; (p = find_word(file->code, p, bans[i].name)) != NULL; p++) {
            if (is_call(file->code, p, strlen(bans[i].name))) {
                complain(run, file, (size_t)(p - file->code),
                         arena_printf(&run->arena, "%s %s(): ", label, bans[i].name), bans[i].why);
            }
        }
    }
}

// `static` data is const, down to the last pointer: anything else is state that a pure folder must not have.
static void check_static_data(struct run *run, const struct file *file) {
    for (const char *p = file->code; (p = find_word(file->code, p, "static")) != NULL; p++) {
        size_t len = strcspn(p, "=;{(");
        const char *declared = arena_strndup(&run->arena, p, len);
        const char *star = strrchr(declared, '*');
        const char *last = star != NULL ? star : declared;
        if (p[len] != '(' && find_word(last, last, "const") == NULL) {
            complain(run, file, (size_t)(p - file->code), "a pure file has no static mutable data", "");
        }
    }
}

static void check_code(struct run *run, const struct file *file) {
    bool is_shim = str_starts(file->path, "reconciler/agent/shim");
    bool is_door = str_equal(file->path, "base/mem.c"); // the one that may
    if (!is_shim && !is_door) {
        check_calls(run, file, banned_calls, sizeof banned_calls / sizeof *banned_calls, "banned call");
    }
    if (is_pure(file->path)) {
        check_calls(run, file, impure_calls, sizeof impure_calls / sizeof *impure_calls,
                    "a pure file must not call");
        check_static_data(run, file);
    }
    for (size_t i = 0; i < sizeof banned_flags / sizeof *banned_flags; i++) {
        const char *p = find_word(file->code, file->code, banned_flags[i]);
        if (p != NULL) {
            complain(run, file, (size_t)(p - file->code), "forbidden LMDB flag ", banned_flags[i]);
        }
    }
}

// --- functions ---

static size_t line_start(const char *text, size_t at) {
    while (at > 0 && text[at - 1] != '\n') {
        at--;
    }
    return at;
}

// Is the line before `at` one of the annotations?
static bool is_exempt(const char *text, size_t at) {
    size_t start = line_start(text, at);
    size_t before = start > 0 ? line_start(text, start - 1) : 0;
    return str_starts(text + before, "// tidy: table\n") ||
           str_starts(text + before, "// tidy: flat switch\n");
}

static void check_function(struct run *run, const struct file *file, size_t declared, size_t open,
                           size_t close) {
    int lines = 1;
    for (size_t i = open; i < close; i++) {
        lines += file->text[i] == '\n';
    }
    if (lines > FUNCTION_LINES_MAX && !is_exempt(file->text, declared)) {
        complain(run, file, declared,
                 arena_printf(&run->arena, "a function of %d lines; at most %d", lines, FUNCTION_LINES_MAX),
                 "");
    }
}

// A brace at depth 0 after a closing parenthesis opens a function.
static void check_functions(struct run *run, const struct file *file) {
    int depth = 0;
    size_t declared = 0; // where the declaration in work begins
    size_t open = 0;
    bool is_function = false;
    char last = ';';
    for (size_t i = 0; i < file->len; i++) {
        char c = file->code[i];
        if (isspace((unsigned char)c)) {
            continue;
        }
        if (depth == 0 && (last == ';' || last == '}')) {
            declared = i;
        }
        if (c == '{' && depth++ == 0) {
            is_function = last == ')';
            open = i;
        } else if (c == '}' && depth > 0 && --depth == 0 && is_function) {
            check_function(run, file, declared, open, i);
        }
        last = c;
    }
}

// --- text ---

static void check_line(struct run *run, const struct file *file, size_t at, size_t len) {
    const char *line = arena_strndup(&run->arena, file->text + at, len);
    if (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r')) {
        complain(run, file, at, "blanks at the end of a line", "");
    }
    if (memchr(line, '\t', len) != NULL) {
        complain(run, file, at, "a tab; indent with four blanks", "");
    }
    if (str_columns(line) > LINE_COLUMNS_MAX && (str_ends(file->path, ".c") || str_ends(file->path, ".h"))) {
        complain(run, file, at, "a line of more than 120 columns", "");
    }
    for (size_t i = 0; i < sizeof banned_words / sizeof *banned_words; i++) {
        if (find_word(line, line, banned_words[i]) != NULL) {
            complain(run, file, at, "a note to oneself: ", banned_words[i]);
        }
    }
}

static void check_text(struct run *run, const struct file *file) {
    int lines = 0;
    for (size_t at = 0; at < file->len; lines++) {
        const char *end = memchr(file->text + at, '\n', file->len - at);
        size_t len = end != NULL ? (size_t)(end - file->text) - at : file->len - at;
        check_line(run, file, at, len);
        at += len + 1;
    }
    int max = str_ends(file->path, ".h") ? HEADER_LINES_MAX : FILE_LINES_MAX;
    if (lines > max) {
        complain(run, file, 0, arena_printf(&run->arena, "%d lines; at most %d", lines, max), "");
    }
    if (file->len > 0 && file->text[file->len - 1] != '\n') {
        complain(run, file, file->len - 1, "no line end at the end", "");
    }
}

static void check_head(struct run *run, const struct file *file) {
    const char *head =
        arena_printf(&run->arena, "// SPDX-License-Identifier: Apache-2.0\n//\n// %s — ", file->path);
    if (!str_starts(file->text, head)) {
        complain(
            run, file, 0,
            "a file begins with its licence, an empty comment line, and its path, a dash, and what it is",
            "");
    }
}

static void check_guard(struct run *run, const struct file *file) {
    char *guard = arena_printf(&run->arena, "MUSTER_%s", file->path);
    for (char *p = guard; *p != '\0'; p++) {
        *p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
    }
    const char *wanted = arena_printf(&run->arena, "\n#ifndef %s\n#define %s\n", guard, guard);
    if (strstr(file->text, wanted) == NULL) {
        complain(run, file, 0, "the header guard is ", guard);
    }
}

// --- code without what is not code ---

static void blank(char *code, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        code[i] = code[i] == '\n' ? '\n' : ' ';
    }
}

static size_t end_of_comment(const char *text, size_t at) {
    const char *end = strstr(text + at, text[at + 1] == '/' ? "\n" : "*/");
    return end == NULL ? at + strlen(text + at) : (size_t)(end - text) + (text[at + 1] == '/' ? 0 : 2);
}

static size_t end_of_literal(const char *text, size_t at) {
    size_t i = at + 1;
    while (text[i] != '\0' && text[i] != text[at] && text[i] != '\n') {
        i += text[i] == '\\' && text[i + 1] != '\0' ? 2 : 1;
    }
    return text[i] == text[at] ? i + 1 : i;
}

static size_t end_of_directive(const char *text, size_t at) {
    size_t i = at;
    while (text[i] != '\0' && (text[i] != '\n' || text[i - 1] == '\\')) {
        i++;
    }
    return i;
}

// Directives go last and only for the brace counter's sake: calls inside macros are calls.
static void blank_comments_and_literals(char *code, const char *text) {
    for (size_t i = 0; text[i] != '\0';) {
        size_t end = i + 1;
        if (text[i] == '/' && (text[i + 1] == '/' || text[i + 1] == '*')) {
            end = end_of_comment(text, i);
            blank(code, i, end);
        } else if (text[i] == '"' || text[i] == '\'') {
            end = end_of_literal(text, i);
            blank(code, i + 1, end - 1);
        }
        i = end;
    }
}

static void blank_directives(char *code) {
    for (size_t i = 0; code[i] != '\0'; i++) {
        if (code[i] == '#' && line_start(code, i) == i) {
            size_t end = end_of_directive(code, i);
            blank(code, i, end);
        }
    }
}

// --- the tree ---

static void check_file(struct run *run, const char *path) {
    AUTO_BUF text = buf_make(FILE_BYTES_MAX);
    struct error err = {0};
    if (fs_read(AT_FDCWD, path, FILE_BYTES_MAX - 1, &text, &err) != 0) {
        printf("%s\n", err.root);
        run->problems++;
        return;
    }
    struct file file = {.path = path, .text = buf_text(&text), .len = text.len};
    run->files++;
    check_text(run, &file);
    if (str_ends(path, ".c") || str_ends(path, ".h")) {
        file.code = arena_strdup(&run->arena, file.text);
        blank_comments_and_literals(file.code, file.text);
        check_head(run, &file);
        check_includes(run, &file);
        check_code(run, &file);
        blank_directives(file.code);
        check_functions(run, &file);
    }
    if (str_ends(path, ".h")) {
        check_guard(run, &file);
    }
    arena_clear(&run->arena);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static bool is_checked(const char *path) {
    return str_ends(path, ".c") || str_ends(path, ".h") || str_ends(path, ".sh") || str_ends(path, ".bats") ||
           str_ends(path, ".bash");
}

static void check_folder(struct run *run, const char *folder) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        AUTO_FREE char *path = xasprintf("%s/%s", folder, entries[i]->d_name);
        struct stat st;
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            check_folder(run, path);
        } else if (S_ISREG(st.st_mode) && is_checked(path)) {
            check_file(run, path);
        }
        xfree(entries[i]);
    }
    xfree(entries);
}

int main(int argc, char **argv) {
    static const char *const folders[] = {"base", "specs", "transport", "reconciler",
                                          "cli",  "tui",   "examples",  "test"};
    if (argc > 2 || (argc == 2 && chdir(argv[1]) != 0)) {
        fprintf(stderr, "usage: tidy [TREE]\n");
        return 2;
    }
    struct run run = {0};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        check_folder(&run, folders[i]);
    }
    arena_free(&run.arena);
    printf("%d files, %d problems\n", run.files, run.problems);
    return run.problems == 0 ? 0 : 1;
}
