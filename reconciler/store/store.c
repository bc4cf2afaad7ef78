// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/store.c — opening, making and closing a store; how full it is.
//
// Making       A new store is made whole in DIR/new and moved into place, so that an empty or half data.mdb
//              is always damage and never a beginning.
// Locks        DIR/lock is ours, with the pid of its owner; LMDB's own lock.mdb serves only its list of
//              readers.
#include "reconciler/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/store/pages.h"
#include "reconciler/store/planted.h"
#include "reconciler/store/turn.h"
#include "reconciler/store/upgrade.h"

#define LOCK_WAIT_MS 10000
#define LOCK_LIVING_WAIT_MS 1000
#define LOCK_STEP_MS 20
#define STAT_MAX_BYTES 4096
#define HELD_PART 16                   // of the reserve: 4 MiB of 64
#define SHORT_WRITE_BYTES (32LL * MIB) // more than the pages of any turn

// --- the lock ---

// The process that wrote its number there; 0 = nobody has yet.
static int64_t owner_of(int fd) {
    char text[32] = "";
    int64_t pid = 0;
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    text[len > 0 ? strspn(text, "0123456789") : 0] = '\0';
    return str_to_int(text, &pid) ? pid : 0;
}

static int busy(const char *dir, int fd, struct error *err) {
    int64_t owner = owner_of(fd);
    return owner > 0 ? error_set(err, ERR_BUSY, "'%s' is in use by process %lld", dir, (long long)owner)
                     : error_set(err, ERR_BUSY, "'%s' is in use by another process", dir);
}

// Whether the process has ended and only waits to be reaped: signals still reach it.
static bool is_zombie(int64_t pid) {
    char path[48];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    AUTO_BUF stat = {0};
    struct error err;
    if (fs_read(AT_FDCWD, path, STAT_MAX_BYTES, &stat, &err) < 0) {
        return true; // it went meanwhile
    }
    const char *state = strrchr(buf_text(&stat), ')'); // the name before it may hold anything
    return state != NULL && (strncmp(state, ") Z", 3) == 0 || strncmp(state, ") X", 3) == 0);
}

// A daemon that was killed may leave a child that has not become another program yet: it holds the lock for a
// moment more, also while nobody has reaped the daemon. And a daemon dies a moment after the signal: who
// holds the lock and seems to live is waited for too, only not for long.
static bool is_owner_dead(int fd) {
    int64_t owner = owner_of(fd);
    return owner > 0 && ((kill((pid_t)owner, 0) != 0 && errno == ESRCH) || is_zombie(owner));
}

static bool lock_file(int fd) {
    bool is_locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    int sys = errno;
    for (int waited_ms = 0; !is_locked && sys == EWOULDBLOCK &&
                            waited_ms < (is_owner_dead(fd) ? LOCK_WAIT_MS : LOCK_LIVING_WAIT_MS);
         waited_ms += LOCK_STEP_MS) {
        (void)poll(NULL, 0, LOCK_STEP_MS);
        is_locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        sys = errno;
    }
    errno = sys;
    return is_locked;
}

int store_lock_directory(const char *dir, int *out_fd, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/lock", dir);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_sys(err, errno, "open '%s'", path);
    }
    if (!lock_file(fd)) {
        return errno == EWOULDBLOCK ? busy(dir, fd, err) : error_sys(err, errno, "lock '%s'", path);
    }
    // For the message above only: a full disk must not keep a store from being opened.
    char pid[32];
    int len = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)len, 0) < 0) {
        errno = 0;
    }
    *out_fd = take_fd(&fd);
    return 0;
}

// --- making ---

static int sync_directory(const char *dir, struct error *err) {
    AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) != 0 ? error_sys(err, errno, "sync '%s'", dir) : 0;
}

static int fill_new(const struct environment *environment, const struct id *cluster_id, struct error *err) {
    MDB_txn *txn;
    int rc = environment_begin(environment, /*write=*/true, &txn, err);
    if (rc < 0) {
        return rc;
    }
    struct format_head head = {
        .write_version = FORMAT_VERSION, .read_version_min = FORMAT_VERSION, .cluster_id = *cluster_id};
    struct store_state state = {0};
    struct store_local local = {0};
    rc = meta_head_put(environment, txn, &head, err);
    rc = rc < 0 ? rc : meta_state_put(environment, txn, &state, err);
    rc = rc < 0 ? rc : meta_local_put(environment, txn, &local, err);
    if (rc < 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return environment_commit(txn, err);
}

static int make_in(const char *new_dir, const struct store_options *options, struct error *err) {
    struct environment environment = {0};
    int rc = fs_make_dirs(new_dir, 0700, err);
    rc = rc < 0 ? rc : environment_open(new_dir, options->map_bytes, ENVIRONMENT_CREATE, &environment, err);
    rc = rc < 0 ? rc : fill_new(&environment, &options->cluster_id, err);
    environment_close(&environment);
    return rc < 0 ? rc : sync_directory(new_dir, err);
}

static int make(const struct store_options *options, const char *file, struct error *err) {
    AUTO_FREE char *new_dir = xasprintf("%s/new", options->dir);
    AUTO_FREE char *new_file = xasprintf("%s/" ENVIRONMENT_FILE, new_dir);
    AUTO_FREE char *parent = xasprintf("%s/..", options->dir);
    int rc = fs_remove_tree(AT_FDCWD, new_dir, err);
    rc = rc < 0 ? rc : make_in(new_dir, options, err);
    if (rc == 0 && rename(new_file, file) != 0) {
        rc = error_sys(err, errno, "move '%s' into place", new_file);
    }
    rc = rc < 0 ? rc : sync_directory(options->dir, err);
    rc = rc < 0 ? rc : sync_directory(parent, err); // which may have been made just now too
    return rc < 0 ? rc : fs_remove_tree(AT_FDCWD, new_dir, err);
}

// --- opening ---

static int own_cluster(struct store *store, MDB_txn *txn, struct format_head *head, const struct id *wanted,
                       bool *changed, struct error *err) {
    if (id_is_none(wanted) || id_equal(&head->cluster_id, wanted)) {
        return 0;
    }
    if (!id_is_none(&head->cluster_id)) {
        return error_set(err, ERR_CONFLICT, "belongs to cluster %s, not %s", head->cluster_id.text,
                         wanted->text);
    }
    head->cluster_id = *wanted;
    *changed = true;
    return meta_head_put(&store->environment, txn, head, err);
}

// Brings the store up to this version and reads what it holds.
static int take_over(struct store *store, MDB_txn *txn, struct format_head *head, bool *changed,
                     struct error *err) {
    struct environment *environment = &store->environment;
    int rc = meta_state_get(environment, txn, &store->state, err);
    bool is_due = rc == 0 && upgrade_is_due(head);
    *changed |= is_due;
    if (is_due && upgrade_is_of_version_1(head)) {
        return upgrade_from_1(environment, txn, head, &store->state, &store->local, err);
    }
    rc = is_due ? upgrade_from_2(environment, txn, head, err) : rc;
    rc = rc < 0 ? rc : meta_local_get(environment, txn, &store->local, err);
    if (rc == 0 && !environment->has_shadows) {
        rc = error_set(err, ERR_CORRUPT, "the second set of tables misses");
    }
    if (rc == 0) {
        environment_show(environment, store->local.generation);
    }
    return rc;
}

static int load(struct store *store, const struct id *cluster_id, struct error *err) {
    MDB_txn *txn;
    struct format_head head;
    bool changed = false;
    int rc = environment_begin(&store->environment, /*write=*/true, &txn, err);
    if (rc < 0) {
        return rc;
    }
    rc = meta_head_get(&store->environment, txn, &head, err);
    rc = rc < 0 ? rc : own_cluster(store, txn, &head, cluster_id, &changed, err);
    rc = rc < 0 ? rc : take_over(store, txn, &head, &changed, err);
    if (rc < 0 || !changed) {
        mdb_txn_abort(txn);
        return rc;
    }
    struct store_local local = store->local;
    return store_commit(store, txn, NULL, &local, err);
}

int store_empty_other(struct store *store, struct error *err) {
    ASSERT(store->turn == NULL);
    MDB_txn *txn;
    bool had_any = false;
    if (STORE_PLANTED(LEFTOVERS_KEPT)) {
        return 0;
    }
    struct environment other = environment_other(&store->environment);
    int rc = environment_begin(&store->environment, /*write=*/true, &txn, err);
    if (rc < 0) {
        return rc;
    }
    rc = environment_empty_set(&other, txn, &had_any, err);
    if (rc < 0 || !had_any) {
        mdb_txn_abort(txn);
        return rc;
    }
    struct store_local local = store->local;
    return store_commit(store, txn, NULL, &local, err);
}

// What lies in the set of tables that is not live was meant for a snapshot that never was complete. A full
// disk keeps it there, but does not keep the store from being opened.
static int drop_leftovers(struct store *store, struct error *err) {
    struct error failure = {0};
    int rc = store_empty_other(store, &failure);
    if (rc < 0 && rc != -ERR_NO_SPACE) {
        return error_set(err, failure.code, "%s", failure.root);
    }
    return 0;
}

static struct store_options with_defaults(const struct store_options *options) {
    struct store_options all = *options;
    all.map_bytes = all.map_bytes == 0 ? STORE_MAP_BYTES : all.map_bytes;
    all.history_bytes = all.history_bytes == 0 ? HISTORY_BYTES_MAX : all.history_bytes;
    all.history_age_ms = all.history_age_ms == 0 ? HISTORY_AGE_MS_MAX : all.history_age_ms;
    all.reserve_bytes = all.reserve_bytes == 0 ? (int64_t)STORE_RESERVE_BYTES : all.reserve_bytes;
    return all;
}

static int open_locked(struct store *store, const struct store_options *options, struct error *err) {
    AUTO_FREE char *file = xasprintf("%s/" ENVIRONMENT_FILE, options->dir);
    int rc = !fs_exists(file)      ? make(options, file, err)
             : options->skip_check ? 0
             : options->check_here ? check_in_process(options->dir, err)
                                   : check_in_child(options->dir, err);
    rc = rc < 0 ? rc
                : environment_open(options->dir, options->map_bytes, ENVIRONMENT_WRITE, &store->environment,
                                   err);
    rc = rc < 0 ? rc : load(store, &options->cluster_id, err);
    return rc < 0 ? rc : drop_leftovers(store, err);
}

int store_open(const struct store_options *options, struct store **out, struct error *err) {
    struct store_options all = with_defaults(options);
    int rc = fs_make_dirs(all.dir, 0700, err);
    if (rc < 0) {
        return error_wrap(err, rc, "open the store");
    }
    struct store *store = NEW(struct store);
    store->lock_fd = -1;
    store->dir = xstrdup(all.dir);
    store->faults = all.faults;
    store->map_bytes = (int64_t)all.map_bytes;
    store->is_history_ahead = true; // who wrote it may have ended between a sync and a commit
    store->history_bytes = all.history_bytes;
    store->history_age_ms = all.history_age_ms;
    store->reserve_bytes = all.reserve_bytes < 0 ? 0 : all.reserve_bytes;
    rc = store_lock_directory(all.dir, &store->lock_fd, err);
    rc = rc < 0 ? rc : open_locked(store, &all, err);
    if (rc < 0) {
        store_close(store);
        return error_wrap(err, rc, "open the store in '%s'", all.dir);
    }
    store_hold_blocks(store);
    *out = store;
    return 0;
}

void store_close(struct store *store) {
    if (store == NULL) {
        return;
    }
    ASSERT(store->reads == 0 && store->turn == NULL);
    if (store->idle != NULL) {
        mdb_txn_abort(store->idle->txn);
        xfree(store->idle);
    }
    memtable_free(&store->effects);
    environment_close(&store->environment);
    if (store->lock_fd >= 0) {
        close(store->lock_fd);
    }
    xfree(store->dir);
    xfree(store);
}

int store_check(const char *dir, struct error *err) {
    AUTO_CLOSE int lock = -1;
    int rc = store_lock_directory(dir, &lock, err);
    return rc < 0 ? rc : check_directory(dir, err);
}

// --- committing ---

// LMDB says EIO when a write was cut short, as a full disk does it; and somebody may have made room before we
// look. Either way the pages of this transaction are free pages of the one before, which is whole.
static int commit_durably(struct store *store, MDB_txn *txn, struct error *err) {
    struct error failure = {0};
    int rc = environment_commit(txn, &failure);
    bool was_short = store->was_short;
    store->was_short = rc < 0 && store_disk_free_bytes(store) < SHORT_WRITE_BYTES;
    if (rc < 0 && failure.sys == EIO && (store->was_short || was_short)) {
        return error_sys(err, ENOSPC, "commit to the store: a write was cut short");
    }
    if (rc < 0 && err != NULL) {
        *err = failure;
    }
    return rc;
}

int store_commit(struct store *store, MDB_txn *txn, const struct store_state *state,
                 struct store_local *local, struct error *err) {
    const struct store_faults *faults = store->faults;
    int rc = state == NULL ? 0 : meta_state_put(&store->environment, txn, state, err);
    if (STORE_PLANTED(APPLIED_WITHOUT_DATA) && state != NULL &&
        (uint64_t)state->applied < local->last_index) {
        struct store_state early = *state;
        early.applied++;
        rc = meta_state_put(&store->environment, txn, &early, err);
    }
    rc = rc < 0 ? rc : meta_local_put(&store->environment, txn, local, err);
    rc = rc < 0 || faults == NULL ? rc : faults->before_commit(faults->context, err);
    if (rc < 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    if (STORE_PLANTED(ACK_BEFORE_SYNC) && store->turn != NULL && store_planted_each(7)) {
        mdb_txn_abort(txn);
    } else {
        rc = commit_durably(store, txn, err);
    }
    if (rc == 0) {
        store->state = state == NULL ? store->state : *state;
        store->local = *local;
        store_hold_blocks(store);
    }
    return rc;
}

// --- how full it is ---

int64_t store_revision(const struct store *store) {
    return store->turn != NULL ? store->turn->state.applied : store->state.applied;
}

int64_t store_time_unix_ms(const struct store *store) {
    return store->turn != NULL ? store->turn->state.time_unix_ms : store->state.time_unix_ms;
}

int store_can_go_on(const struct store *store, struct error *err) {
    MDB_txn *txn;
    int rc = environment_begin(&store->environment, /*write=*/true, &txn, err);
    if (rc == 0) {
        mdb_txn_abort(txn);
    }
    return rc;
}

int64_t store_disk_free_bytes(const struct store *store) {
    struct statvfs fs;
    if (fstatvfs(store->lock_fd, &fs) != 0) {
        return 0;
    }
    return fs.f_bavail > (uint64_t)INT64_MAX / fs.f_frsize ? INT64_MAX : (int64_t)(fs.f_bavail * fs.f_frsize);
}

// Pages that were ever taken, whether in use now or free again.
static int64_t taken_bytes(const struct store *store, int64_t *page_bytes) {
    MDB_envinfo info;
    MDB_stat stat;
    mdb_env_info(store->environment.env, &info);
    mdb_env_stat(store->environment.env, &stat);
    *page_bytes = stat.ms_psize;
    return (int64_t)(info.me_last_pgno + 1) * (int64_t)stat.ms_psize;
}

// LMDB does not say where its map is; the kernel does.
static bool find_map(const struct store *store, void **out_start, size_t *out_bytes) {
    struct stat st;
    int fd;
    char line[512];
    bool is_found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL || mdb_env_get_fd(store->environment.env, &fd) != 0 || fstat(fd, &st) != 0) {
        st.st_ino = 0;
    }
    while (maps != NULL && !is_found && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t start, end;
        unsigned long long inode;
        is_found = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %llu", &start, &end, &inode) == 3 &&
                   inode == st.st_ino && inode != 0;
        if (is_found) {
            *out_start = (void *)start;
            *out_bytes = end - start;
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return is_found;
}

void store_trim(struct store *store) {
    void *start;
    size_t bytes;
    if (store->turn == NULL) {
        memtable_free(&store->effects);
    }
    if (find_map(store, &start, &bytes)) {
        (void)madvise(start, bytes, MADV_DONTNEED);
    }
}

void store_hold_blocks(struct store *store) {
    int64_t page_bytes;
    int64_t held = store->reserve_bytes / HELD_PART;
    int64_t end = taken_bytes(store, &page_bytes);
    if (end + held / 2 <= store->held_to_bytes || held == 0) {
        return;
    }
    int fd;
    if (mdb_env_get_fd(store->environment.env, &fd) == 0 &&
        fallocate(fd, FALLOC_FL_KEEP_SIZE, end, held) == 0) {
        store->held_to_bytes = end + held;
    } // else the disk is full, or knows no such thing
}

static int64_t free_page_bytes(const struct store *store, int64_t page_bytes) {
    MDB_txn *txn;
    if (environment_begin(&store->environment, /*write=*/false, &txn, NULL) < 0) {
        return 0;
    }
    int64_t bytes = pages_free_count(txn) * page_bytes;
    mdb_txn_abort(txn);
    return bytes;
}

int64_t store_headroom(const struct store *store) {
    int64_t page_bytes;
    int64_t map_free = store->map_bytes - taken_bytes(store, &page_bytes);
    if (map_free < store->reserve_bytes) { // counting free pages takes a walk over their list
        map_free += free_page_bytes(store, page_bytes);
    }
    int64_t disk_free = store_disk_free_bytes(store);
    return (map_free < disk_free ? map_free : disk_free) - store->reserve_bytes;
}

static int64_t first_in_history(const struct store *store) {
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct bytes key, payload;
    int64_t first = store->state.applied + 1;
    if (environment_begin(&store->environment, /*write=*/false, &txn, NULL) < 0) {
        return first;
    }
    if (environment_cursor(&store->environment, txn, TABLE_HISTORY, &cursor, NULL) == 0) {
        if (environment_move(cursor, TABLE_HISTORY, MDB_FIRST, NULL, &key, &payload, NULL) == 0 &&
            key.len == 16) {
            first = key_number_at(key, 0);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return first;
}

void store_usage(struct store *store, struct store_usage *out) {
    int64_t page_bytes;
    int64_t taken = taken_bytes(store, &page_bytes);
    *out = (struct store_usage){
        .map_bytes = store->map_bytes,
        .used_bytes = taken - free_page_bytes(store, page_bytes),
        .disk_free_bytes = store_disk_free_bytes(store),
        .history_first_revision = first_in_history(store),
        .history_bytes = store->state.history_bytes,
    };
    for (int kind = 0; kind < KIND_END; kind++) {
        out->objects += store->state.objects[kind];
    }
}
