// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/check.c — is every byte of a store what was written? Asked in a child process at each
// opening.
//
// Model        First the pages as they lie on the disk (pages.h), then every record of every table: its
//              checksum, the order of its key, that a look-up finds it; then what must agree: index entries
//              with objects, both ways by counting; counters of the state with what is there; the log
//              without a gap, its terms never falling. Of the tables that are there twice the live set: what
//              is in the other is thrown away.
// Failure      The child may die of SIGBUS, SIGSEGV or SIGABRT inside LMDB: that is damage too. It gets no
//              core, a bound on memory and a time that grows with the file.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fs.h"
#include "base/mem.h"
#include "reconciler/store/index.h"
#include "reconciler/store/membership.h"
#include "reconciler/store/pages.h"
#include "reconciler/store/planted.h"
#include "reconciler/store/store_handle.h"
#include "reconciler/store/upgrade.h"

#define CHECK_MEMORY_BYTES ((rlim_t)1024 * MIB)
#define CHECK_SECONDS_MIN 30
#define CHECK_BYTES_PER_SECOND ((off_t)4 * MIB) // a slow disk; a child that hangs is ended after that

// Sanitizers need address space without end.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#define IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define IS_SANITIZED false
#endif

struct check {
    struct environment environment;
    MDB_txn *txn;
    struct store_state state;
    struct store_local local;
    bool is_version_1;
    struct store_state counted;              // what was found
    int64_t entries[TABLE_END];              // index entries that the objects want
    int64_t records[TABLE_END];              // records found
    uint64_t log_index, log_term, log_bytes; // of the last entry found, and of all
    struct arena arena;
    struct error *err;
};

static int damaged(const struct check *check, enum table table, struct bytes key, const char *what) {
    char text[KEY_TEXT_BYTES];
    return error_set(check->err, ERR_CORRUPT, "%s: %s", key_describe(table, key, text), what);
}

// --- tables ---

static int check_log(struct check *check, struct bytes key, struct bytes payload) {
    struct log_entry entry;
    if (key.len != 8 || (uint64_t)key_number_at(key, 0) != check->log_index + 1) {
        return damaged(check, TABLE_LOG, key, "not the entry that follows");
    }
    int rc = check->is_version_1 ? format_entry_read_1(payload, &entry, check->err)
                                 : format_entry_read(payload, &entry, check->err);
    if (rc < 0) {
        return rc;
    }
    if (entry.term < check->log_term || entry.term > check->local.term) {
        return damaged(check, TABLE_LOG, key, "of a term that cannot be here");
    }
    check->log_index++;
    check->log_term = entry.term;
    check->log_bytes += check->is_version_1 ? payload.len : entry.payload.len;
    return 0;
}

static int check_entries(struct check *check, const struct index_view *tables) {
    struct index_entry entries[INDEX_ENTRIES_MAX];
    size_t count = index_entries(tables, entries);
    for (size_t i = 0; i < count; i++) {
        struct bytes payload;
        struct bytes key = key_bytes(&entries[i].key);
        int rc = environment_get(&check->environment, check->txn, entries[i].table, &entries[i].key, &payload,
                                 check->err);
        if (rc < 0) {
            return rc;
        }
        if (rc == STORE_ABSENT) {
            return damaged(check, entries[i].table, key, "entry misses");
        }
        if (!id_is_none(&entries[i].id) &&
            (payload.len != ID_LEN || memcmp(payload.data, entries[i].id.text, ID_LEN) != 0)) {
            return damaged(check, entries[i].table, key, "entry leads to another object");
        }
        check->entries[entries[i].table]++;
    }
    return 0;
}

static int check_object(struct check *check, struct bytes key, struct bytes payload) {
    struct id id;
    enum object_kind kind = key.len > 0 ? (enum object_kind)key.data[0] : KIND_NONE;
    const struct schema *schema = object_schema(kind);
    if (schema == NULL || key.len != 1 + ID_LEN || !key_id_at(key, 1, &id)) {
        return damaged(check, TABLE_OBJECTS, key, "not a key of an object");
    }
    struct index_view view;
    arena_clear(&check->arena);
    void *object = arena_alloc(&check->arena, schema->bytes);
    int rc = wire_decode(schema, payload, object, &check->arena, check->err);
    rc = rc < 0 ? rc : index_view_of(kind, payload, &view, check->err);
    if (rc < 0) {
        return error_wrap(check->err, rc, "%s %s", object_kind_name(kind), id.text);
    }
    if (!id_equal(&view.id, &id) || view.version > check->state.applied) {
        return damaged(check, TABLE_OBJECTS, key, "holds another object");
    }
    check->counted.objects[kind]++;
    return check_entries(check, &view);
}

static int check_history(struct check *check, struct bytes key, struct bytes payload) {
    struct history_item item;
    if (key.len != 16 || (uint64_t)key_number_at(key, 0) > check->local.last_index) {
        return damaged(check, TABLE_HISTORY, key, "not a key of an event");
    }
    if (key_number_at(key, 0) > check->state.applied) { // ahead: it will be cut off
        return 0;
    }
    check->counted.history_count++;
    check->counted.history_bytes += (int64_t)(key.len + payload.len);
    return format_history_read(payload, &item, check->err);
}

static int check_request(struct check *check, struct bytes key, struct bytes payload) {
    struct request_memory memory;
    struct bytes id;
    int rc = format_request_read(payload, &memory, check->err);
    if (rc < 0) {
        return rc;
    }
    struct key order = key_number(memory.revision);
    rc = environment_get(&check->environment, check->txn, TABLE_REQUEST_ORDER, &order, &id, check->err);
    if (rc < 0) {
        return rc;
    }
    if (rc == STORE_ABSENT || id.len != key.len || memcmp(id.data, key.data, key.len) != 0) {
        return damaged(check, TABLE_REQUESTS, key, "has no place in the order");
    }
    check->counted.request_count++;
    check->entries[TABLE_REQUEST_ORDER]++;
    return 0;
}

typedef int (*check_record_fn)(struct check *check, struct bytes key, struct bytes payload);
static const check_record_fn checks[TABLE_END] = {
    [TABLE_LOG] = check_log,
    [TABLE_OBJECTS] = check_object,
    [TABLE_HISTORY] = check_history,
    [TABLE_REQUESTS] = check_request,
};

static int found_by_key(struct check *check, enum table table, struct bytes key, struct bytes payload) {
    struct key copy = key_from(key);
    struct bytes found;
    int rc = environment_get(&check->environment, check->txn, table, &copy, &found, check->err);
    if (rc < 0) {
        return rc;
    }
    return rc == STORE_ABSENT || found.data != payload.data
               ? damaged(check, table, key, "not found by its key")
               : 0;
}

static int check_one(struct check *check, enum table table, const struct key *last, struct bytes key,
                     struct bytes payload) {
    if (key.len == 0 || key.len > KEY_BYTES_MAX) {
        return damaged(check, table, key, "key of a wrong length");
    }
    size_t shorter = key.len < last->len ? key.len : last->len;
    int order = memcmp(key.data, last->data, shorter);
    if (order < 0 || (order == 0 && key.len <= last->len)) {
        return damaged(check, table, key, "out of order");
    }
    check->records[table]++;
    int rc = found_by_key(check, table, key, payload);
    return rc == 0 && checks[table] != NULL ? checks[table](check, key, payload) : rc;
}

static int check_table(struct check *check, enum table table) {
    MDB_cursor *cursor;
    struct bytes key, payload;
    struct key last = {.len = 0};
    int rc = environment_cursor(&check->environment, check->txn, table, &cursor, check->err);
    if (rc < 0) {
        return rc;
    }
    while ((rc = environment_move(cursor, table, MDB_NEXT, NULL, &key, &payload, check->err)) == 0) {
        rc = check_one(check, table, &last, key, payload);
        if (rc < 0) {
            break;
        }
        last = key_from(key);
    }
    mdb_cursor_close(cursor);
    return rc == STORE_END ? 0 : rc;
}

// --- what must agree ---

static int check_counts(struct check *check) {
    static const enum table counted[] = {TABLE_NAMES, TABLE_TASKS_BY_SERVICE, TABLE_TASKS_BY_NODE,
                                         TABLE_REVISIONS, TABLE_REQUEST_ORDER};
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        if (check->records[counted[i]] != check->entries[counted[i]]) {
            return error_set(check->err, ERR_CORRUPT, "%s: %lld entries for %lld objects",
                             table_name(counted[i]), (long long)check->records[counted[i]],
                             (long long)check->entries[counted[i]]);
        }
    }
    const struct store_state *state = &check->state, *found = &check->counted;
    if (memcmp(state->objects, found->objects, sizeof state->objects) != 0 ||
        state->history_count != found->history_count || state->history_bytes != found->history_bytes ||
        state->request_count != found->request_count || check->local.log_bytes != check->log_bytes ||
        check->local.last_index != check->log_index) {
        return error_set(check->err, ERR_CORRUPT,
                         "records miss: the counters of the store do not fit what is there");
    }
    return 0;
}

// --- what is in table meta ---

static int check_membership(struct check *check) {
    struct membership membership;
    struct bytes wire;
    uint64_t index;
    int rc = meta_membership_get(&(struct tables){&check->environment, check->txn, NULL}, &index, &wire,
                                 check->err);
    rc = rc < 0 ? rc : membership_read(wire, &membership, &check->arena, check->err);
    if (rc == 0 && index > (uint64_t)check->state.applied) {
        rc = error_set(check->err, ERR_CORRUPT, "the membership is of entry %llu, which is not applied",
                       (unsigned long long)index);
    }
    return rc;
}

static int read_local(struct check *check) {
    if (check->is_version_1) {
        check->local = upgrade_local(&check->state);
        return 0;
    }
    int rc = check->environment.has_shadows
                 ? meta_local_get(&check->environment, check->txn, &check->local, check->err)
                 : error_set(check->err, ERR_CORRUPT, "the second set of tables misses");
    if (rc == 0) {
        environment_show(&check->environment, check->local.generation);
        rc = check_membership(check);
    }
    return rc;
}

static int check_meta(struct check *check) {
    struct format_head head;
    int rc = meta_head_get(&check->environment, check->txn, &head, check->err);
    check->is_version_1 = rc == 0 && upgrade_is_of_version_1(&head);
    rc = rc < 0 ? rc : meta_state_get(&check->environment, check->txn, &check->state, check->err);
    rc = rc < 0 ? rc : read_local(check);
    if (rc < 0) {
        return rc;
    }
    const struct store_local *local = &check->local;
    if (!STORE_PLANTED(TXN_NOT_CHECKED) && mdb_txn_id(check->txn) != local->txn_id) {
        return error_set(check->err, ERR_CORRUPT,
                         "LMDB shows transaction %llu, the store was written by %llu",
                         (unsigned long long)mdb_txn_id(check->txn), (unsigned long long)local->txn_id);
    }
    if (local->base_index > (uint64_t)check->state.applied ||
        (uint64_t)check->state.applied > local->last_index) {
        return error_set(check->err, ERR_CORRUPT, "applied up to %lld, with a log from %llu to %llu",
                         (long long)check->state.applied, (unsigned long long)local->base_index + 1,
                         (unsigned long long)local->last_index);
    }
    check->log_index = local->base_index;
    check->log_term = check->is_version_1 ? 0 : local->base_term;
    return 0;
}

static int check_all(struct check *check) {
    int rc = environment_begin(&check->environment, /*write=*/false, &check->txn, check->err);
    if (rc < 0) {
        return rc;
    }
    rc = check_meta(check);
    for (int table = TABLE_NONE + 1; rc == 0 && table < TABLE_END; table++) {
        rc = check_table(check, (enum table)table);
    }
    rc = rc < 0 ? rc : check_counts(check);
    mdb_txn_abort(check->txn);
    return rc;
}

int check_directory(const char *dir, struct error *err) {
    AUTO_FREE char *file = xasprintf("%s/" ENVIRONMENT_FILE, dir);
    struct check check = {.err = err};
    int rc = pages_check(file, err);
    // The map is as large as the file needs: LMDB takes the size from the file.
    rc = rc < 0 ? rc : environment_open(dir, 0, ENVIRONMENT_READ, &check.environment, err);
    if (rc < 0) {
        return rc;
    }
    rc = check_all(&check);
    environment_close(&check.environment);
    arena_free(&check.arena);
    return rc;
}

// --- the child ---

struct verdict {
    int code;
    char text[ERROR_ROOT_BYTES];
};

static void limit_child(const char *dir, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    for (int number = 1; number < NSIG; number++) { // the parent's handlers are not for this process
        signal(number, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    AUTO_FREE char *file = xasprintf("%s/" ENVIRONMENT_FILE, dir);
    struct stat st = {0};
    off_t bytes = stat(file, &st) == 0 ? st.st_size : 0;
    alarm((unsigned)(CHECK_SECONDS_MIN + bytes / CHECK_BYTES_PER_SECOND));
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (!IS_SANITIZED) {
        setrlimit(RLIMIT_DATA, &(struct rlimit){CHECK_MEMORY_BYTES, CHECK_MEMORY_BYTES});
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC); // LMDB prints before it aborts
    if (null >= 0) {
        dup2(null, STDERR_FILENO);
    }
}

_Noreturn static void run_child(const char *dir, pid_t parent, int fd) {
    struct verdict verdict = {0};
    struct error err = {0};
    limit_child(dir, parent);
    verdict.code = check_directory(dir, &err);
    error_text(&err, verdict.text, sizeof verdict.text);
    _exit(fs_write_all(fd, &verdict, sizeof verdict) == 0 ? 0 : 1);
}

static bool read_verdict(int fd, struct verdict *out) {
    size_t len = 0;
    while (len < sizeof *out) {
        ssize_t got = read(fd, (char *)out + len, sizeof *out - len);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        len += got > 0 ? (size_t)got : 0;
    }
    out->text[sizeof out->text - 1] = '\0';
    return true;
}

static int damage(const char *dir, const char *what, struct error *err) {
    return error_set(err, ERR_CORRUPT,
                     "'%s/" ENVIRONMENT_FILE
                     "' is damaged (%s); nothing was changed: restore the directory from a backup, or "
                     "move it away and let this manager join again",
                     dir, what);
}

// The child died, or ended without a word as sanitizers make it.
static int judge_death(const char *dir, int status, struct error *err) {
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : SIGABRT;
    switch (number) {
    case SIGBUS:
        return damage(dir, "cut short", err);
    case SIGSEGV:
    case SIGABRT:
    case SIGFPE:
    case SIGILL:
        return damage(dir, "reading it ends the process that tries", err);
    case SIGALRM:
        return error_set(err, ERR_TIMEOUT, "checking '%s/" ENVIRONMENT_FILE "' did not end", dir);
    default: // the memory killer, an operator
        return error_set(err, ERR_SYSTEM,
                         "the process that checks '%s/" ENVIRONMENT_FILE "' was killed by signal %d", dir,
                         number);
    }
}

static int judge(const char *dir, const struct verdict *verdict, struct error *err) {
    if (verdict->code == -ERR_CORRUPT || verdict->code == -ERR_LIMIT) {
        return damage(dir, verdict->text, err);
    }
    return verdict->code == 0 ? 0 : error_set(err, (enum error_code) - verdict->code, "%s", verdict->text);
}

int check_in_process(const char *dir, struct error *err) {
    struct verdict verdict = {0};
    struct error reason = {0};
    verdict.code = check_directory(dir, &reason);
    error_text(&reason, verdict.text, sizeof verdict.text);
    return judge(dir, &verdict, err);
}

int check_in_child(const char *dir, struct error *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return error_sys(err, errno, "make a pipe");
    }
    AUTO_CLOSE int in = ends[0];
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        int sys = errno;
        close(ends[1]);
        return error_sys(err, sys, "start a process to check the store");
    }
    if (child == 0) {
        run_child(dir, parent, ends[1]);
    }
    close(ends[1]);
    struct verdict verdict;
    bool has_verdict = read_verdict(in, &verdict);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return has_verdict ? judge(dir, &verdict, err) : judge_death(dir, status, err);
}
