// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster_trouble.c — what goes wrong, and when; and healing.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "test/sim/cluster_world.h"

#define FILE_BYTES_MAX ((size_t)64 * MIB)

static struct cluster_manager *any_manager(struct cluster_sim *c) {
    return &c->managers[cluster_below(c, c->count)];
}

static int64_t short_or_long_ms(struct cluster_sim *c, int64_t short_ms, int64_t long_ms) {
    return cluster_about(c, cluster_below(c, 6) == 0 ? long_ms : short_ms);
}

// --- the network ---

static void cut_some(struct cluster_sim *c) {
    unsigned a = (unsigned)cluster_below(c, c->count), b = (unsigned)cluster_below(c, c->count);
    bool is_island = cluster_below(c, 2) == 0, is_one_way = cluster_below(c, 3) == 0;
    for (unsigned i = 0; i < c->count; i++) {
        if (is_island || i == b) {
            c->cut[a][i] = true;
            c->cut[i][a] = c->cut[i][a] || !is_one_way;
        }
    }
    c->cut_until_ms = c->now_ms + short_or_long_ms(c, 3000, 20000);
    cluster_note(c, "m%u is cut from %s%s", a, is_island ? "all" : c->managers[b].name,
                 is_one_way ? ", one way" : "");
}

static void mend(struct cluster_sim *c) {
    memset(c->cut, 0, sizeof c->cut);
    c->cut_until_ms = NEVER;
}

// --- processes ---

static void crash(struct cluster_sim *c, struct cluster_manager *m) {
    if (m->replica != NULL) {
        cluster_note(c, "%s is killed", m->name);
        // A service manager starts it again at once, or a person much later.
        cluster_manager_kill(m, cluster_below(c, 3) == 0 ? 5 : short_or_long_ms(c, 1000, 15000));
    }
}

static void crash_later(struct cluster_sim *c, struct cluster_manager *m, enum cluster_death death) {
    if (m->replica != NULL && m->death == ALIVE) {
        m->death = death;
        m->die_in = 1 + (int64_t)cluster_below(c, 8);
    }
}

static void crash_installing(struct cluster_sim *c) {
    for (unsigned i = 0; i < c->count; i++) {
        struct cluster_manager *m = &c->managers[i];
        if (m->replica != NULL && m->replica->incoming.from != 0 && m->death == ALIVE) {
            m->death = cluster_below(c, 2) == 0 ? DIES_IN_COMMIT : DIES_AFTER_COMMIT;
            m->die_in = 1 + (int64_t)cluster_below(c, 3);
            return;
        }
    }
}

static void restart_all(struct cluster_sim *c) {
    cluster_note(c, "power is lost");
    for (unsigned i = 0; i < c->count; i++) {
        if (c->managers[i].replica != NULL) {
            cluster_manager_kill(&c->managers[i], cluster_about(c, 500));
        }
    }
    cluster_drop_parcels(c);
}

static void stop(struct cluster_sim *c, struct cluster_manager *m) {
    int64_t ms = short_or_long_ms(c, 2000, 60000);
    if (m->replica != NULL && m->stopped_until_ms <= c->now_ms) {
        m->stopped_until_ms = c->now_ms + ms;
        cluster_note(c, "%s is stopped for %lld ms", m->name, (long long)ms);
    }
}

// --- disks ---

static void fill(struct cluster_sim *c, struct cluster_manager *m) {
    m->disk = CLUSTER_DISK_FULL;
    m->full_until_ms = c->now_ms + short_or_long_ms(c, 3000, 20000);
    cluster_note(c, "the disk of %s is full", m->name);
}

static void slow_down(struct cluster_sim *c, struct cluster_manager *m) {
    m->slow_ms = short_or_long_ms(c, 30, 500);
    m->slow_until_ms = c->now_ms + short_or_long_ms(c, 5000, 30000);
    cluster_note(c, "the disk of %s takes %lld ms", m->name, (long long)m->slow_ms);
}

static void data_path(const struct cluster_manager *m, const char *name, char out[160]) {
    snprintf(out, 160, "%s/%s", m->store_dir, name);
}

static void flip_bytes(struct cluster_sim *c, const char *path) {
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t len = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    for (int i = 0; i < 4 && len > 0; i++) {
        off_t at = (off_t)cluster_below(c, (uint64_t)len);
        uint8_t bytes[64];
        ssize_t got = pread(fd, bytes, sizeof bytes, at);
        for (ssize_t j = 0; j < got; j++) {
            bytes[j] ^= (uint8_t)cluster_below(c, 256);
        }
        ssize_t put = pwrite(fd, bytes, got > 0 ? (size_t)got : 0, at);
        ASSERT(put == got);
    }
}

static void damage(struct cluster_sim *c, struct cluster_manager *m) {
    char path[160];
    if (m->is_away || m->raft_id == 0 || !cluster_may_lose_store(c, m)) {
        return;
    }
    if (m->replica != NULL) {
        cluster_manager_kill(m, cluster_about(c, 1000));
    }
    data_path(m, "data.mdb", path);
    flip_bytes(c, path);
    m->is_damaged = true;
    cluster_note(c, "the store of %s is damaged", m->name);
}

static void copy_file(struct cluster_sim *c, const char *from, const char *to) {
    AUTO_BUF bytes = buf_make(FILE_BYTES_MAX);
    int rc = fs_read(AT_FDCWD, from, FILE_BYTES_MAX, &bytes, &c->err);
    rc = rc < 0 ? rc : fs_replace(AT_FDCWD, to, bytes.data, bytes.len, 0600, /*sync=*/false, &c->err);
    ASSERT(rc == 0);
}

// First an old state is kept, some time later it is put back.
static void roll_back(struct cluster_sim *c, struct cluster_manager *m) {
    char data[160], copy[160];
    if (m->is_away || m->raft_id == 0 || m->is_damaged || !cluster_may_lose_store(c, m)) {
        return;
    }
    int64_t index = m->replica != NULL ? (int64_t)replica_applied(m->replica) : 0;
    if (m->replica != NULL) {
        cluster_manager_kill(m, cluster_about(c, 1000));
    }
    data_path(m, "data.mdb", data);
    data_path(m, "copy", copy);
    copy_file(c, m->copy_index == 0 ? data : copy, m->copy_index == 0 ? copy : data);
    cluster_note(c, "the store of %s is %s", m->name, m->copy_index == 0 ? "copied" : "put back");
    m->copy_index = m->copy_index == 0 ? index : 0;
}

// --- the rest ---

static void disturb_executor(struct cluster_sim *c, struct cluster_manager *m) {
    switch (cluster_below(c, 3)) {
    case 0:
        fake_machine_set_faults(m->machine, 20, 20);
        break;
    case 1:
        fake_machine_set_faults(m->machine, 0, 0);
        break;
    default: // with the machine goes the daemon
        if (m->replica != NULL) {
            cluster_manager_kill(m, cluster_about(c, 3000));
        }
        fake_machine_reboot(m->machine);
        cluster_note(c, "the machine of %s reboots", m->name);
        break;
    }
}

static void transfer(struct cluster_sim *c) {
    struct cluster_manager *leader = cluster_leader(c);
    if (leader != NULL) {
        (void)replica_transfer(leader->replica, any_manager(c)->raft_id, NULL);
        leader->wake_ms = c->now_ms;
    }
}

static void make(struct cluster_sim *c, enum cluster_trouble trouble) {
    struct cluster_manager *m = any_manager(c);
    cluster_totals->troubles[trouble]++;
    switch (trouble) {
    case TROUBLE_LOSS:
    case TROUBLE_DUPLICATE:
    case TROUBLE_DELAY:
    case TROUBLE_END:
        return;
    case TROUBLE_CUT:
        cut_some(c);
        return;
    case TROUBLE_CRASH:
        crash(c, m);
        return;
    case TROUBLE_CRASH_BEFORE:
        crash_later(c, m, DIES_IN_COMMIT);
        return;
    case TROUBLE_CRASH_AFTER:
        crash_later(c, m, DIES_AFTER_COMMIT);
        return;
    case TROUBLE_CRASH_INSTALL:
        crash_installing(c);
        return;
    case TROUBLE_RESTART_ALL:
        restart_all(c);
        return;
    case TROUBLE_STOP:
        stop(c, m);
        return;
    case TROUBLE_FULL:
        fill(c, m);
        return;
    case TROUBLE_BROKEN:
        m->disk = m->disk == CLUSTER_DISK_GOOD && m->replica != NULL ? CLUSTER_DISK_BROKEN : m->disk;
        return;
    case TROUBLE_SLOW:
        slow_down(c, m);
        return;
    case TROUBLE_CLOCK:
        m->wall_offset_ms = (int64_t)cluster_below(c, 20000) - 10000;
        return;
    case TROUBLE_DAMAGE:
        damage(c, m);
        return;
    case TROUBLE_MEMBERS:
        cluster_operator_disturb(c);
        return;
    case TROUBLE_TRANSFER:
        transfer(c);
        return;
    case TROUBLE_EXECUTOR:
        disturb_executor(c, m);
        return;
    case TROUBLE_ROLLBACK:
        roll_back(c, m);
        return;
    }
}

static void pass(struct cluster_sim *c) {
    if (c->cut_until_ms <= c->now_ms) {
        mend(c);
    }
    for (unsigned i = 0; i < c->count; i++) {
        struct cluster_manager *m = &c->managers[i];
        if (m->disk == CLUSTER_DISK_FULL && m->full_until_ms <= c->now_ms) {
            m->disk = CLUSTER_DISK_GOOD;
        }
    }
}

void cluster_troubles_begin(struct cluster_sim *c) {
    c->cut_until_ms = NEVER;
    for (int i = 0; i < TROUBLE_END; i++) {
        bool is_on = c->knobs.every_ms[i] > 0 && (c->run.without >> i & 1) == 0;
        c->trouble_ms[i] = is_on ? c->now_ms + cluster_about(c, c->knobs.every_ms[i]) : NEVER;
    }
    c->look_ms = c->now_ms;
}

int64_t cluster_troubles_next_ms(const struct cluster_sim *c) {
    int64_t next_ms = c->look_ms;
    for (int i = 0; i < TROUBLE_END; i++) {
        next_ms = c->trouble_ms[i] < next_ms ? c->trouble_ms[i] : next_ms;
    }
    return next_ms;
}

void cluster_troubles_step(struct cluster_sim *c) {
    if (c->look_ms <= c->now_ms) {
        c->look_ms = c->now_ms + 200;
        pass(c);
        cluster_operator_retire(c);
        cluster_check_quiet(c);
    }
    for (int i = 0; i < TROUBLE_END; i++) {
        if (c->trouble_ms[i] <= c->now_ms) {
            c->trouble_ms[i] = c->now_ms + cluster_about(c, c->knobs.every_ms[i]);
            make(c, (enum cluster_trouble)i);
        }
    }
}

void cluster_heal(struct cluster_sim *c) {
    cluster_note(c, "healed");
    c->is_healing = true;
    c->user_ms = c->operator_ms = c->now_ms;
    mend(c);
    for (int i = 0; i < TROUBLE_END; i++) {
        c->trouble_ms[i] = NEVER;
    }
    for (unsigned i = 0; i < c->count; i++) {
        struct cluster_manager *m = &c->managers[i];
        m->disk = CLUSTER_DISK_GOOD;
        m->stopped_until_ms = m->stopped_until_ms < c->now_ms ? m->stopped_until_ms : c->now_ms;
        m->slow_until_ms = m->wall_offset_ms = 0;
        m->death = m->death == DIES_NOW ? DIES_NOW : ALIVE;
        fake_machine_set_faults(m->machine, 0, 0);
        if (m->is_away) {
            m->is_away = false;
            m->start_ms = c->now_ms;
        }
        m->start_ms = m->replica == NULL ? c->now_ms : NEVER;
    }
}
