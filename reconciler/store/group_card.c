// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/group_card.c — the card's text, in and out of its file.
#include "reconciler/store/group_card.h"

#include <fcntl.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

#define CARD_BYTES_MAX (16 * KIB)
#define WORDS_MAX 6
#define TITLE "muster group card "

// --- out ---

static const char *id_word(const struct id *id) {
    return id_is_none(id) ? "-" : id->text;
}

static bool is_word(const char *text) {
    for (const char *p = text; *p != '\0'; p++) {
        if (*p <= ' ' || *p == 0x7F) {
            return false;
        }
    }
    return true;
}

int group_card_format(const struct group_card *card, struct buf *out, struct error *err) {
    AUTO_BUF text = {0};
    buf_addf(&text, TITLE "1\ncluster %s\nnode %s\nraft %016llx\nepoch %lld\n", id_word(&card->cluster_id),
             id_word(&card->node_id), (unsigned long long)card->raft_id, (long long)card->epoch);
    for (size_t i = 0; i < card->members.count; i++) {
        const struct member *member = &card->members.items[i];
        if (!is_word(member->address)) {
            return error_set(err, ERR_INVALID, "an address with blanks");
        }
        buf_addf(&text, "member %016llx %s %s %s\n", (unsigned long long)member->raft_id,
                 id_word(&member->node_id), member->is_voter ? "voter" : "learner",
                 member->address[0] == '\0' ? "-" : member->address);
    }
    if (!str_is_empty(card->outdated_by)) {
        if (!is_word(card->outdated_by)) {
            return error_set(err, ERR_INVALID, "an address with blanks");
        }
        buf_addf(&text, "outdated %s\n", card->outdated_by);
    }
    uint32_t crc = crc32c(0, text.data, text.len);
    buf_addf(&text, "crc32c %08x\n", crc);
    buf_add(out, text.data, text.len);
    return 0;
}

int group_card_write(const char *dir, const struct group_card *card, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/" GROUP_CARD_FILE, dir);
    AUTO_BUF text = {0};
    int rc = group_card_format(card, &text, err);
    rc = rc < 0 ? rc : fs_replace(AT_FDCWD, path, text.data, text.len, 0600, /*sync=*/true, err);
    return error_wrap(err, rc, "write the group's card");
}

// --- in ---

struct line {
    size_t count;
    const char *words[WORDS_MAX];
};

// Takes one line off the front of a text that ends in NUL; cuts it into words. false at the end, or at bytes
// without an end of line.
static bool take_line(char **at, struct line *out) {
    char *end = strchr(*at, '\n');
    if (end == NULL) {
        return false;
    }
    *end = '\0';
    char *rest = *at, *word;
    *at = end + 1;
    *out = (struct line){0};
    while (out->count < WORDS_MAX && (word = strsep(&rest, " ")) != NULL) {
        out->words[out->count++] = word;
    }
    return true;
}

static bool hex_word(const char *word, size_t digits, uint64_t *out) {
    static const char all[] = "0123456789abcdef";
    if (strlen(word) != digits || strspn(word, all) != digits) {
        return false;
    }
    *out = 0;
    for (const char *p = word; *p != '\0'; p++) {
        *out = *out << 4 | (uint64_t)(strchr(all, *p) - all);
    }
    return true;
}

static bool read_id(const char *word, struct id *out) {
    *out = (struct id){""};
    return str_equal(word, "-") || id_parse(word, out);
}

static bool read_member(const struct line *line, struct group_card *card, struct arena *arena) {
    struct member member = {.address = ""};
    uint64_t raft_id;
    if (line->count < 5 || card->members.count >= RAFT_MEMBERS_MAX ||
        !hex_word(line->words[1], 16, &raft_id) || !read_id(line->words[2], &member.node_id)) {
        return false;
    }
    member.raft_id = (int64_t)raft_id;
    member.is_voter = str_equal(line->words[3], "voter");
    if (!str_equal(line->words[4], "-")) {
        member.address = arena_strdup(arena, line->words[4]);
    }
    *ARENA_PUSH(arena, &card->members) = member;
    return member.is_voter || str_equal(line->words[3], "learner");
}

// A line of the card, or one of a later version.
static bool read_line(const struct line *line, struct group_card *card, struct arena *arena) {
    const char *name = line->words[0], *value = line->count > 1 ? line->words[1] : "";
    if (str_equal(name, "cluster")) {
        return read_id(value, &card->cluster_id);
    }
    if (str_equal(name, "node")) {
        return read_id(value, &card->node_id);
    }
    if (str_equal(name, "raft")) {
        return hex_word(value, 16, &card->raft_id);
    }
    if (str_equal(name, "epoch")) {
        return str_to_int(value, &card->epoch);
    }
    if (str_equal(name, "outdated")) {
        card->outdated_by = arena_strdup(arena, value);
        return value[0] != '\0';
    }
    return !str_equal(name, "member") || read_member(line, card, arena);
}

static int read_title(char **at, struct error *err) {
    int64_t version = 0;
    size_t len = strlen(TITLE);
    char *end = strchr(*at, '\n');
    if (end == NULL || strncmp(*at, TITLE, len) != 0) {
        return error_set(err, ERR_CORRUPT, "no group's card");
    }
    *end = '\0';
    if (!str_to_int(*at + len, &version) || version < 1) {
        return error_set(err, ERR_CORRUPT, "no group's card");
    }
    *at = end + 1;
    return version == 1 ? 0
                        : error_set(err, ERR_UNSUPPORTED, "a group's card of version %lld, by a newer muster",
                                    (long long)version);
}

// The checksum stands on the last line and is of all before it; what is before it ends in NUL then.
static bool check_sum(char *text, size_t len) {
    const size_t last_len = sizeof "crc32c 01234567\n" - 1;
    uint64_t crc;
    char word[9] = "";
    if (len < last_len || strlen(text) != len) {
        return false;
    }
    char *last = text + len - last_len;
    if (strncmp(last, "crc32c ", 7) != 0 || text[len - 1] != '\n') {
        return false;
    }
    memcpy(word, last + 7, 8);
    bool good = hex_word(word, 8, &crc) && crc == crc32c(0, text, len - last_len);
    *last = '\0';
    return good;
}

int group_card_parse(struct bytes text, struct group_card *out, struct arena *arena, struct error *err) {
    struct group_card card = {.outdated_by = ""};
    struct line line;
    char *copy = arena_strndup(arena, (const char *)text.data, text.len), *at = copy;
    if (text.len > CARD_BYTES_MAX || !check_sum(copy, text.len)) {
        return error_set(err, ERR_CORRUPT, "the group's card is damaged");
    }
    int rc = read_title(&at, err);
    while (rc == 0 && take_line(&at, &line)) {
        if (!read_line(&line, &card, arena)) {
            rc = error_set(err, ERR_CORRUPT, "malformed line '%s' of the group's card", line.words[0]);
        }
    }
    if (rc == 0) {
        *out = card;
    }
    return rc;
}

int group_card_read(const char *dir, struct group_card *out, struct arena *arena, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/" GROUP_CARD_FILE, dir);
    AUTO_BUF text = {0};
    int rc = fs_read(AT_FDCWD, path, CARD_BYTES_MAX, &text, err);
    rc = rc == -ERR_LIMIT ? error_set(err, ERR_CORRUPT, "'%s' is too large to be a group's card", path) : rc;
    rc = rc < 0 ? rc : group_card_parse(buf_bytes(&text), out, arena, err);
    return error_wrap(err, rc, "read the group's card");
}
