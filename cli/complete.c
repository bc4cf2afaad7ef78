// SPDX-License-Identifier: Apache-2.0
//
// cli/complete.c — walks the words that are there as the reader would, and lists what fits at the end.
#include "cli/complete.h"

#include <string.h>

#include "base/str.h"
#include "specs/object.h"

static const char bash_script[] =
    "# bash completion for muster; load it with: source <(muster completion bash)\n"
    "_muster() {\n"
    "    local IFS=$'\\n' line words=() cur=${COMP_WORDS[COMP_CWORD]}\n"
    "    COMPREPLY=()\n"
    "    # = and : split words in bash: join them again\n"
    "    local head=${COMP_LINE:0:COMP_POINT} typed\n"
    "    IFS=$' \\t' read -r -a words <<<\"$head\"\n"
    "    [[ $head == *[[:space:]] ]] && words+=('')\n"
    "    typed=${words[-1]}\n"
    "    while IFS= read -r line; do\n"
    "        line=${line%%$'\\t'*}\n"
    "        if [[ $line == :files ]]; then\n"
    "            compopt -o filenames 2>/dev/null\n"
    "            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "        else\n"
    "            COMPREPLY+=(\"${line:$((${#typed} - ${#cur}))}\")\n"
    "        fi\n"
    "    done < <(\"${words[0]}\" complete-words -- \"${words[@]:1}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _muster muster\n";

static const char zsh_script[] =
    "#compdef muster\n"
    "# zsh completion for muster; put it into a directory of $fpath as _muster\n"
    "_muster() {\n"
    "    local line\n"
    "    local -a candidates\n"
    "    while IFS= read -r line; do\n"
    "        if [[ $line == :files ]]; then\n"
    "            _files\n"
    "        else\n"
    "            candidates+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
    "        fi\n"
    "    done < <(${words[1]} complete-words -- \"${(@)words[2,$CURRENT]}\" 2>/dev/null)\n"
    "    _describe muster candidates\n"
    "}\n"
    "if [[ $funcstack[1] == _muster ]]; then _muster \"$@\"; else compdef _muster muster; fi\n";

static const char fish_script[] =
    "# fish completion for muster; put it into ~/.config/fish/completions/muster.fish\n"
    "function __muster_complete\n"
    "    set -l words (commandline -opc)\n"
    "    for line in ($words[1] complete-words -- $words[2..-1] (commandline -ct) 2>/dev/null)\n"
    "        if test \"$line\" = ':files'\n"
    "            __fish_complete_path (commandline -ct)\n"
    "        else\n"
    "            echo $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c muster -f -a '(__muster_complete)'\n";

const char *complete_script(const char *shell) {
    static const struct {
        const char *shell, *script;
    } scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        if (str_equal(scripts[i].shell, shell)) {
            return scripts[i].script;
        }
    }
    return NULL;
}

struct completing {
    const struct command_table *table;
    const struct command_group *group;
    const struct command *command;
    const char *last; // the word to complete
    complete_names_fn names;
    void *context;
    struct buf *out;
};

static void offer(const struct completing *c, const char *before, const char *word, const char *text) {
    AUTO_BUF whole = {0};
    buf_addf(&whole, "%s%s", before, word);
    if (str_starts(buf_text(&whole), c->last)) {
        buf_addf(c->out, "%s\t%s\n", buf_text(&whole), text);
    }
}

static void offer_names(const struct completing *c, const char *before, enum option_names names,
                        const char *kind) {
    if (names == NAMES_FILE) {
        buf_adds(c->out, ":files\n");
        return;
    }
    if (names == NAMES_KIND && kind == NULL) {
        for (int i = KIND_NONE + 1; i < KIND_END; i++) {
            offer(c, before, object_kind_name((enum object_kind)i), "");
        }
        return;
    }
    if (names == NAMES_NOTHING || c->names == NULL) {
        return;
    }
    AUTO_BUF lines = {0};
    c->names(c->context, names, kind, &lines);
    for (const char *p = buf_text(&lines); *p != '\0';) {
        AUTO_ARENA arena = {0};
        size_t len = strcspn(p, "\n");
        const char *line = arena_strndup(&arena, p, len);
        size_t word = strcspn(line, "\t");
        offer(c, before, arena_strndup(&arena, line, word), line[word] == '\t' ? line + word + 1 : "");
        p += len + (p[len] == '\n');
    }
}

static void offer_commands(const struct completing *c) {
    for (size_t i = 0; i < c->table->count; i++) {
        const struct command_group *group = c->table->groups[i];
        if (c->group == NULL && group->noun != NULL) {
            offer(c, "", group->noun, group->summary);
        }
        for (size_t j = 0;
             str_equal(group->noun, c->group != NULL ? c->group->noun : NULL) && j < group->count; j++) {
            if (!group->commands[j].is_hidden) {
                offer(c, "", group->commands[j].name, group->commands[j].summary);
            }
        }
    }
}

// --- options ---

struct rows {
    const struct option_row *rows;
    size_t count;
    uint32_t set;
};

static struct rows rows_of(const struct completing *c, int which) {
    const struct command *command = c->command;
    if (which == 0) {
        return command != NULL ? (struct rows){command->options, command->option_count, 0} : (struct rows){0};
    }
    return (struct rows){shared_rows, shared_row_count,
                         SHARED_ALWAYS | (command != NULL ? command->shared : 0)};
}

static bool is_taken(struct rows rows, const struct option_row *row) {
    return row->set == 0 || (row->set & rows.set) != 0;
}

// The row of "--name", "--name=…" or "-n", NULL when the word is none of them.
static const struct option_row *row_of(const struct completing *c, const char *word) {
    if (word[0] != '-' || word[1] == '\0') {
        return NULL;
    }
    size_t len = strcspn(word, "=");
    for (int which = 0; which < 2; which++) {
        struct rows rows = rows_of(c, which);
        for (size_t i = 0; i < rows.count; i++) {
            const struct option_row *row = &rows.rows[i];
            bool is_long =
                word[1] == '-' && strlen(row->name) == len - 2 && strncmp(row->name, word + 2, len - 2) == 0;
            bool is_letter = word[1] != '-' && word[2] == '\0' && row->letter == word[1];
            if (is_taken(rows, row) && (is_long || is_letter)) {
                // cppcheck-suppress returnDanglingLifetime ; the rows stand in const tables
                return row;
            }
        }
    }
    return NULL;
}

static void offer_options(const struct completing *c) {
    for (int which = 0; which < 2; which++) {
        struct rows rows = rows_of(c, which);
        for (size_t i = 0; i < rows.count; i++) {
            if (is_taken(rows, &rows.rows[i]) && !rows.rows[i].is_hidden) {
                offer(c, "--", rows.rows[i].name, rows.rows[i].help);
            }
        }
    }
}

static void offer_value(const struct completing *c, const char *before, const struct option_row *row) {
    for (size_t i = 0; row->words != NULL && row->words[i] != NULL; i++) {
        offer(c, before, row->words[i], "");
    }
    offer_names(c, before, row->names, NULL);
}

// --- walking ---

struct walk {
    size_t words;                  // that are no options, after the command
    const char *first;             // of them
    const struct option_row *open; // an option whose value is the last word
    bool options_are_over;
};

static bool takes_next(const struct option_row *row, const char *word) {
    return row != NULL && row->kind != OPTION_FLAG && strchr(word, '=') == NULL;
}

// Nouns and verbs become group and command; what comes after is counted.
static void walk_word(struct completing *c, struct walk *walk, const char *word) {
    if (c->command != NULL) {
        walk->first = walk->words++ == 0 ? word : walk->first;
        walk->options_are_over = walk->options_are_over || c->command->options_first;
    } else if (c->group != NULL) {
        c->command = command_find(c->table, c->group->noun, word);
    } else {
        c->group = command_noun(c->table, word);
        c->command = c->group == NULL ? command_find(c->table, NULL, word) : NULL;
    }
}

static struct walk walk_words(struct completing *c, char *const *words, size_t count) {
    struct walk walk = {0};
    for (size_t i = 0; i + 1 < count; i++) {
        const struct option_row *row = walk.options_are_over ? NULL : row_of(c, words[i]);
        walk.open = NULL;
        if (takes_next(row, words[i])) {
            walk.open = row;
            i++; // its value
            walk.open = i + 1 < count ? NULL : row;
        } else if (!walk.options_are_over && str_equal(words[i], "--")) {
            walk.options_are_over = true;
        } else if (walk.options_are_over || words[i][0] != '-') {
            walk_word(c, &walk, words[i]);
        }
    }
    return walk;
}

static void offer_argument(const struct completing *c, const struct walk *walk) {
    if (c->command->names == NAMES_COMMAND) {
        const struct completing again = {.table = c->table,
                                         .group =
                                             walk->words > 0 ? command_noun(c->table, walk->first) : NULL,
                                         .last = c->last,
                                         .out = c->out};
        offer_commands(&again);
    } else if (walk->words < c->command->max) {
        const char *kind = walk->words > 0 ? walk->first : NULL;
        offer_names(c, "", c->command->names, kind);
    }
}

void complete_words(const struct command_table *table, char *const *words, size_t count,
                    complete_names_fn names, void *context, struct buf *out) {
    struct completing c = {.table = table,
                           .last = count > 0 ? words[count - 1] : "",
                           .names = names,
                           .context = context,
                           .out = out};
    struct walk walk = walk_words(&c, words, count);
    const struct option_row *own = strchr(c.last, '=') != NULL ? row_of(&c, c.last) : NULL;
    if (walk.open != NULL) {
        offer_value(&c, "", walk.open);
    } else if (own != NULL && !walk.options_are_over) {
        AUTO_BUF before = {0};
        buf_addf(&before, "--%s=", own->name);
        offer_value(&c, buf_text(&before), own);
    } else if (c.last[0] == '-' && !walk.options_are_over) {
        offer_options(&c);
    } else if (c.command == NULL) {
        offer_commands(&c);
    } else {
        offer_argument(&c, &walk);
    }
}
