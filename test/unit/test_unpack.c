// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_unpack.c — layers, honest and hostile, through the real unpacking child: needs root.
//
// The program is its own child: with "unpack" as first argument it is what musterd is then.
#include "reconciler/agent/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/str.h"
#include "test/lib/check.h"
#include "test/lib/layer.h"
#include "test/lib/scratch.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define OUTPUT_BYTES_MAX 65536

#define DEVICE(major, minor) ((dev_t)((major) << 8 | (minor))) // makedev(3) is no constant

// 64 digits that name a layer in a test.
#define CHAIN(digit) #digit "000000000000000000000000000000000000000000000000000000000000000"

static char *work; // mktemp -d, one a test
static char *self; // this program

struct run {
    int status;
    char *output, *errors;
};

static char *in_work(const char *name) {
    return xasprintf("%s/%s", work, name);
}

static char *slurp(const char *path) {
    struct buf content = buf_make(OUTPUT_BYTES_MAX + 1);
    if (fs_read(AT_FDCWD, path, OUTPUT_BYTES_MAX, &content, NULL) != 0) {
        return NULL;
    }
    return content.data != NULL ? content.data : xstrdup("");
}

static void run_free(struct run *run) {
    xfree(run->output);
    xfree(run->errors);
}
#define AUTO_RUN __attribute__((cleanup(run_free))) struct run

static pid_t spawn(const char *const *arguments) {
    AUTO_FREE char *out = in_work("stdout");
    AUTO_FREE char *errors = in_work("stderr");
    pid_t pid = fork();
    if (pid == 0) {
        const char *argv[400] = {self, "unpack"};
        for (size_t i = 0; arguments[i] != NULL; i++) {
            argv[i + 2] = arguments[i];
        }
        setsid();
        dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
        dup2(open(errors, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
        execv(self, (char *const *)argv);
        _exit(99);
    }
    return pid;
}

static struct run await(pid_t pid) {
    AUTO_FREE char *out = in_work("stdout");
    AUTO_FREE char *errors = in_work("stderr");
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return (struct run){.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
                        .output = slurp(out),
                        .errors = slurp(errors)};
}

// A layer of the blob at `blob`, named `chain` and over the layers named in `lowers` (up to NULL).
static pid_t start(const char *blob, const char *chain, const char *const *lowers, const char *const *more) {
    const char *arguments[400];
    char *paths[128];
    size_t count = 0;
    size_t path_count = 0;
    AUTO_FREE char *tmp = in_work("layers/.new");
    AUTO_FREE char *layers = in_work("layers");
    const char *fixed[] = {"--blob", blob, "--work", tmp, "--layers", layers, "--chain-id", chain};
    for (size_t i = 0; i < COUNT(fixed); i++) {
        arguments[count++] = fixed[i];
    }
    for (size_t i = 0; lowers != NULL && lowers[i] != NULL; i++) {
        arguments[count++] = "--lower";
        arguments[count++] = paths[path_count++] = xasprintf("%s/layers/%s", work, lowers[i]);
    }
    for (size_t i = 0; more != NULL && more[i] != NULL; i++) {
        arguments[count++] = more[i];
    }
    arguments[count] = NULL;
    pid_t pid = spawn(arguments);
    while (path_count > 0) {
        xfree(paths[--path_count]);
    }
    return pid;
}

static struct run unpack(const struct layer_entry *entries, size_t entry_count, const char *chain,
                         const char *const *lowers, const char *const *more) {
    AUTO_FREE char *blob = in_work("blob");
    layer_write(blob, entries, entry_count, LAYER_GZIP);
    return await(start(blob, chain, lowers, more));
}

static void expect(struct run *run, int status) {
    if (run->status != status) {
        print_message("status %d: %s\n", run->status, run->errors);
    }
    assert_int_equal(run->status, status);
    AUTO_FREE char *tmp = in_work("layers/.new");
    assert_false(fs_exists(tmp)); // whatever happened, the work directory is gone
    run_free(run);
    *run = (struct run){0};
}

static void good(const struct layer_entry *entries, size_t count, const char *chain,
                 const char *const *lowers) {
    struct run run = unpack(entries, count, chain, lowers, NULL);
    expect(&run, UNPACK_DONE);
}
#define GOOD(entries, chain, ...)                                                                            \
    good((entries), COUNT(entries), (chain), (const char *const[]){__VA_ARGS__, NULL})

static struct stat look(const char *chain, const char *path) {
    AUTO_FREE char *full = xasprintf("%s/layers/%s/%s", work, chain, path);
    struct stat st = {0};
    if (lstat(full, &st) != 0) {
        print_message("%s: %s\n", full, strerror(errno));
        fail();
    }
    return st;
}

static bool has(const char *chain, const char *path) {
    AUTO_FREE char *full = xasprintf("%s/layers/%s/%s", work, chain, path);
    return fs_exists(full);
}

static char *text_of(const char *chain, const char *path) {
    AUTO_FREE char *full = xasprintf("%s/layers/%s/%s", work, chain, path);
    return slurp(full);
}

static bool is_hidden(const char *chain, const char *path) {
    if (!has(chain, path)) {
        return false;
    }
    struct stat st = look(chain, path);
    return S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

// As a container would see these layers, the lowest first: listed by find, sorted.
static char *merged(const char *const *chains) {
    AUTO_BUF lowers = {0};
    AUTO_FREE char *listing = in_work("listing");
    size_t count = 0;
    while (chains[count] != NULL) {
        count++;
    }
    for (size_t i = count; i > 0; i--) {
        buf_addf(&lowers, "%s%s", i == count ? "" : ":", chains[i - 1]);
    }
    layer_run("mkdir -p %s/mnt && cd %s/layers && unshare -m sh -c 'mount -t overlay -o lowerdir=%s overlay "
              "../mnt && cd ../mnt && find . -printf \"%%P %%y %%m %%U\\n\" | LC_ALL=C sort' >%s",
              work, work, buf_text(&lowers), listing);
    return slurp(listing);
}

static int set_up(void **state) {
    (void)state;
    work = xmalloc(SCRATCH_BYTES);
    scratch_name(work, SCRATCH_BYTES, "unpack");
    assert_non_null(mkdtemp(work));
    layer_run("mkdir %s/layers %s/outside && echo secret >%s/outside/file", work, work, work);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    int rc = fs_remove_tree(AT_FDCWD, work, NULL);
    xfree(work);
    return rc;
}

// --- what layers are for ---

static void modes_owners_times_and_kinds_are_kept(void **state) {
    (void)state;
    static const struct layer_entry entries[] = {
        {'d', "./", 0750, 7, NULL, 0, NULL},
        {'d', "tmp/", 01777, 0, NULL, 0, NULL},
        {'f', "bin/su", 04755, 0, "su", 0, NULL},
        {'f', "home/me/file", 0640, 1000, "mine", 0, "user.note"},
        {'h', "home/me/same", 0, 0, "home/me/file", 0, NULL},
        {'l', "sh", 0, 0, "/bin/su", 0, NULL},
        {'p', "pipe", 0600, 0, NULL, 0, NULL},
        {'c', "null", 0666, 0, NULL, DEVICE(1, 3), NULL},
        {'f', "na\xc3\xafve/\xe6\x97\xa5\xe6\x9c\xac", 0, 0, "utf-8", 0, NULL},
        {'f', "empty", 0, 0, "", 0, NULL},
    };
    GOOD(entries, CHAIN(1), NULL);
    struct stat st = look(CHAIN(1), "home/me/file");
    assert_int_equal(st.st_mode, S_IFREG | 0640);
    assert_int_equal(st.st_uid, 1000);
    assert_int_equal(st.st_mtim.tv_sec, 1000000000);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(look(CHAIN(1), "tmp").st_mode, S_IFDIR | 01777);
    assert_int_equal(look(CHAIN(1), "tmp").st_mtim.tv_sec, 1000000000);
    assert_int_equal(look(CHAIN(1), "bin/su").st_mode, S_IFREG | 04755);
    assert_int_equal(look(CHAIN(1), "bin").st_mode, S_IFDIR | 0755); // not listed
    assert_int_equal(look(CHAIN(1), ".").st_mode, S_IFDIR | 0750);
    assert_int_equal(look(CHAIN(1), ".").st_uid, 7);
    assert_true(S_ISFIFO(look(CHAIN(1), "pipe").st_mode));
    assert_int_equal(look(CHAIN(1), "null").st_rdev, DEVICE(1, 3));
    assert_true(has(CHAIN(1), "na\xc3\xafve/\xe6\x97\xa5\xe6\x9c\xac"));
    AUTO_FREE char *path = xasprintf("%s/layers/%s/home/me/file", work, CHAIN(1));
    char value[8];
    assert_int_equal(getxattr(path, "user.note", value, sizeof value), 1);
}

static void a_layer_without_directory_entries_keeps_what_is_below(void **state) {
    (void)state;
    static const struct layer_entry base[] = {{'d', "tmp", 01777, 0, NULL, 0, NULL},
                                              {'d', "var/priv", 0700, 42, NULL, 0, NULL},
                                              {'d', ".", 0711, 3, NULL, 0, NULL}};
    static const struct layer_entry top[] = {{'f', "tmp/x", 0, 0, "x", 0, NULL},
                                             {'f', "var/priv/y", 0, 0, "y", 0, NULL}};
    GOOD(base, CHAIN(1), NULL);
    GOOD(top, CHAIN(2), CHAIN(1));
    assert_int_equal(look(CHAIN(2), "tmp").st_mode, S_IFDIR | 01777);
    assert_int_equal(look(CHAIN(2), "var/priv").st_mode, S_IFDIR | 0700);
    assert_int_equal(look(CHAIN(2), "var/priv").st_uid, 42);
    assert_int_equal(look(CHAIN(2), ".").st_mode, S_IFDIR | 0711);
    AUTO_FREE char *seen = merged((const char *const[]){CHAIN(1), CHAIN(2), NULL});
    assert_string_equal(seen, " d 711 3\ntmp d 1777 0\ntmp/x f 644 0\nvar d 755 0\nvar/priv d 700 42\n"
                              "var/priv/y f 644 0\n");
}

static void a_layer_writes_through_a_link_of_the_layer_below(void **state) {
    (void)state;
    static const struct layer_entry base[] = {{'d', "usr/lib", 0, 0, NULL, 0, NULL},
                                              {'l', "lib", 0, 0, "usr/lib", 0, NULL},
                                              {'f', "usr/lib/old", 0, 0, "old", 0, NULL}};
    static const struct layer_entry top[] = {{'f', "lib/new", 0, 0, "new", 0, NULL},
                                             {'f', "lib/.wh.old", 0, 0, NULL, 0, NULL}};
    GOOD(base, CHAIN(1), NULL);
    GOOD(top, CHAIN(2), CHAIN(1));
    assert_true(has(CHAIN(2), "usr/lib/new"));
    assert_true(is_hidden(CHAIN(2), "usr/lib/old"));
    assert_false(has(CHAIN(2), "lib"));
}

static void an_opaque_directory_hides_only_what_is_below_even_late(void **state) {
    (void)state;
    static const struct layer_entry base[] = {{'f', "a/old", 0, 0, "1", 0, NULL},
                                              {'f', "a/deep/old", 0, 0, "1", 0, NULL},
                                              {'f', "a/both", 0, 0, "1", 0, NULL},
                                              {'f', "b/keep", 0, 0, "1", 0, NULL}};
    static const struct layer_entry top[] = {{'f', "a/new", 0, 0, "2", 0, NULL},
                                             {'f', "a/both", 0, 0, "2", 0, NULL},
                                             {'f', "a/deep/new", 0, 0, "2", 0, NULL},
                                             {'f', "a/.wh..wh..opq", 0, 0, NULL, 0, NULL}};
    GOOD(base, CHAIN(1), NULL);
    GOOD(top, CHAIN(2), CHAIN(1));
    AUTO_FREE char *seen = merged((const char *const[]){CHAIN(1), CHAIN(2), NULL});
    assert_string_equal(seen, " d 755 0\na d 755 0\na/both f 644 0\na/deep d 755 0\na/deep/new f 644 0\n"
                              "a/new f 644 0\nb d 755 0\nb/keep f 644 0\n");
    AUTO_FREE char *both = text_of(CHAIN(2), "a/both");
    assert_string_equal(both, "2");
}

static void a_whiteout_hides_what_is_below_but_not_what_comes_with_it(void **state) {
    (void)state;
    static const struct layer_entry base[] = {{'f', "gone", 0, 0, "1", 0, NULL},
                                              {'f', "dir/sub/gone", 0, 0, "1", 0, NULL},
                                              {'f', "new", 0, 0, "1", 0, NULL}};
    static const struct layer_entry top[] = {{'f', ".wh.gone", 0, 0, NULL, 0, NULL},
                                             {'f', ".wh.dir", 0, 0, NULL, 0, NULL},
                                             {'f', ".wh.never-was", 0, 0, NULL, 0, NULL},
                                             {'f', "nowhere/.wh.x", 0, 0, NULL, 0, NULL},
                                             {'f', "new", 0, 0, "2", 0, NULL},
                                             {'f', ".wh.new", 0, 0, NULL, 0, NULL}};
    GOOD(base, CHAIN(1), NULL);
    GOOD(top, CHAIN(2), CHAIN(1));
    assert_true(is_hidden(CHAIN(2), "gone"));
    assert_true(is_hidden(CHAIN(2), "dir"));
    AUTO_FREE char *seen = merged((const char *const[]){CHAIN(1), CHAIN(2), NULL});
    assert_string_equal(seen, " d 755 0\nnew f 644 0\n");
}

static void an_entry_replaces_what_is_in_its_way(void **state) {
    (void)state;
    static const struct layer_entry base[] = {{'f', "dir/file", 0, 0, "1", 0, NULL},
                                              {'f', "file", 0, 0, "1", 0, NULL},
                                              {'l', "link", 0, 0, "dir", 0, NULL},
                                              {'f', "kept/file", 0, 0, "1", 0, NULL}};
    static const struct layer_entry top[] = {{'f', "dir", 0, 0, "2", 0, NULL},
                                             {'d', "file", 0, 0, NULL, 0, NULL},
                                             {'d', "link", 0, 0, NULL, 0, NULL},
                                             {'f', "link/in", 0, 0, "2", 0, NULL},
                                             {'d', "kept", 0700, 9, NULL, 0, NULL}};
    GOOD(base, CHAIN(1), NULL);
    GOOD(top, CHAIN(2), CHAIN(1));
    AUTO_FREE char *seen = merged((const char *const[]){CHAIN(1), CHAIN(2), NULL});
    assert_string_equal(seen, " d 755 0\ndir f 644 0\nfile d 755 0\nkept d 700 9\nkept/file f 644 0\n"
                              "link d 755 0\nlink/in f 644 0\n");
}

static void as_many_layers_as_an_image_may_have(void **state) {
    (void)state;
    char *chains[128] = {0};
    for (int i = 0; i < 127; i++) {
        AUTO_FREE char *name = xasprintf("file%d", i);
        const struct layer_entry entry = {'f', name, 0, 0, "x", 0, NULL};
        char *chain = xasprintf("%064x", i + 1);
        struct run run = unpack(&entry, 1, chain, (const char *const *)chains, NULL);
        expect(&run, UNPACK_DONE);
        chains[i] = chain;
    }
    for (int i = 0; i < 127; i++) {
        xfree(chains[i]);
    }
}

static void the_compression_is_told_by_its_first_bytes(void **state) {
    (void)state;
    static const struct layer_entry entry = {'f', "file", 0, 0, "content", 0, NULL};
    static const enum layer_filter filters[] = {LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD};
    static const char *const chains[] = {CHAIN(1), CHAIN(2), CHAIN(3)};
    AUTO_FREE char *blob = in_work("blob");
    char diff_id[DIGEST_BYTES];
    for (size_t i = 0; i < COUNT(filters); i++) {
        char digest[DIGEST_BYTES];
        struct unpack_result result;
        layer_write(blob, &entry, 1, filters[i]);
        layer_digest_file(blob, digest);
        str_copy(diff_id, sizeof diff_id, i == 0 ? digest : diff_id);
        const char *more[] = {"--digest", digest, "--diff-id", diff_id, NULL};
        AUTO_RUN run = await(start(blob, chains[i], NULL, more));
        assert_int_equal(run.status, UNPACK_DONE);
        assert_true(unpack_result_parse(run.output, &result));
        assert_string_equal(result.digest, digest);
        assert_string_equal(result.diff_id, diff_id);
        assert_int_equal(result.entries, 1);
        assert_int_equal(result.bytes, strlen("content"));
        assert_true(has(chains[i], "file"));
    }
}

static void a_first_layer_may_be_named_by_its_content(void **state) {
    (void)state;
    static const struct layer_entry entry = {'f', "file", 0, 0, "content", 0, NULL};
    AUTO_FREE char *blob = in_work("blob");
    AUTO_FREE char *tmp = in_work("layers/.new");
    AUTO_FREE char *layers = in_work("layers");
    char digest[DIGEST_BYTES];
    layer_write(blob, &entry, 1, LAYER_PLAIN);
    layer_digest_file(blob, digest);
    for (int i = 0; i < 2; i++) { // the second time it is there already
        AUTO_RUN run =
            await(spawn((const char *const[]){"--blob", blob, "--work", tmp, "--layers", layers, NULL}));
        assert_int_equal(run.status, UNPACK_DONE);
        assert_true(has(digest + strlen("sha256:"), "file"));
        assert_false(fs_exists(tmp));
    }
}

// --- hostile layers ---

// Each is unpacked over `below`; nothing may appear or change outside, whether it is refused or not.
static const struct layer_entry below[] = {
    {'d', "etc", 0, 0, NULL, 0, NULL},
    {'l', "abs", 0, 0, "/etc", 0, NULL},
    {'l', "out", 0, 0, "../../../../outside", 0, NULL},
    {'f', "etc/victim", 0, 0, "1", 0, NULL},
};
static const struct {
    const char *name;
    struct layer_entry entries[3];
    int status;
    const char *says;    // part of the reason
    const char *present; // in the layer afterwards
} hostile[] = {
    {"absolute link",
     {{'l', "x", 0, 0, "/outside", 0, NULL}, {'f', "x/evil", 0, 0, "e", 0, NULL}},
     UNPACK_HOSTILE,
     "'x' is a link to nowhere and a directory at once",
     NULL},
    {"link of a lower layer", {{'f', "abs/evil", 0, 0, "e", 0, NULL}}, UNPACK_DONE, NULL, "etc/evil"},
    {"relative link",
     {{'l', "x", 0, 0, "../../../../etc", 0, NULL}, {'f', "x/evil", 0, 0, "e", 0, NULL}},
     UNPACK_DONE,
     NULL,
     "etc/evil"},
    {"dots",
     {{'f', "../evil", 0, 0, "e", 0, NULL}},
     UNPACK_HOSTILE,
     "'../evil' leads out of the image by '..'",
     NULL},
    {"dots inside",
     {{'f', "etc/../../evil", 0, 0, "e", 0, NULL}},
     UNPACK_HOSTILE,
     "leads out of the image",
     NULL},
    {"absolute name", {{'f', "/etc/evil", 0, 0, "e", 0, NULL}}, UNPACK_DONE, NULL, "etc/evil"},
    {"hard link by dots",
     {{'h', "x", 0, 0, "../../outside/file", 0, NULL}},
     UNPACK_HOSTILE,
     "leads out",
     NULL},
    {"hard link through a link",
     {{'h', "x", 0, 0, "out/file", 0, NULL}},
     UNPACK_HOSTILE,
     "no file 'out/file'",
     NULL},
    {"hard link to an absolute name",
     {{'h', "x", 0, 0, "/proc/1/environ", 0, NULL}},
     UNPACK_HOSTILE,
     "no file",
     NULL},
    {"whiteout through a link", {{'f', "out/.wh.file", 0, 0, NULL, 0, NULL}}, UNPACK_DONE, NULL, NULL},
    {"whiteout by dots",
     {{'f', "../outside/.wh.file", 0, 0, NULL, 0, NULL}},
     UNPACK_HOSTILE,
     "leads out",
     NULL},
    {"whiteout of the directory itself",
     {{'f', "etc/.wh..", 0, 0, NULL, 0, NULL}},
     UNPACK_HOSTILE,
     "not a whiteout",
     NULL},
    {"whiteout of the parent",
     {{'f', ".wh...", 0, 0, NULL, 0, NULL}},
     UNPACK_HOSTILE,
     "not a whiteout",
     NULL},
    {"whiteout without a name",
     {{'f', "etc/.wh.", 0, 0, NULL, 0, NULL}},
     UNPACK_HOSTILE,
     "not a whiteout",
     NULL},
    {"whiteout of a whiteout",
     {{'f', ".wh..wh.x", 0, 0, NULL, 0, NULL}},
     UNPACK_HOSTILE,
     "not a whiteout",
     NULL},
    {"opaque through a link", {{'f', "out/.wh..wh..opq", 0, 0, NULL, 0, NULL}}, UNPACK_DONE, NULL, NULL},
    {"block device", {{'b', "disk", 0660, 0, NULL, DEVICE(254, 0), NULL}}, UNPACK_DONE, NULL, "disk"},
    {"overlay's own whiteout",
     {{'c', "etc/victim", 0, 0, NULL, 0, NULL}},
     UNPACK_HOSTILE,
     "device 0:0",
     NULL},
    {"overlay's attributes",
     {{'d', "etc", 0, 0, NULL, 0, "trusted.overlay.opaque"}},
     UNPACK_DONE,
     NULL,
     "etc"},
    {"overlay's user attributes",
     {{'d', "etc", 0, 0, NULL, 0, "user.overlay.opaque"}},
     UNPACK_DONE,
     NULL,
     "etc"},
    {"the root as a file", {{'f', ".", 0, 0, "e", 0, NULL}}, UNPACK_HOSTILE, "the root of the image", NULL},
    {"the root as a link",
     {{'l', ".", 0, 0, "/etc", 0, NULL}},
     UNPACK_HOSTILE,
     "the root of the image",
     NULL},
    {"a file as a directory",
     {{'f', "etc/victim/x", 0, 0, "e", 0, NULL}},
     UNPACK_HOSTILE,
     "a file and a directory at once",
     NULL},
    {"links in a ring",
     {{'l', "r", 0, 0, "r", 0, NULL}, {'f', "r/x", 0, 0, "e", 0, NULL}},
     UNPACK_HOSTILE,
     "cannot be a directory",
     NULL},
    {"hard link to itself", {{'h', "etc/victim", 0, 0, "etc/victim", 0, NULL}}, UNPACK_DONE, NULL, NULL},
};

static void no_hostile_layer_reaches_outside(void **state) {
    (void)state;
    GOOD(below, CHAIN(1), NULL);
    layer_run("cd %s && find outside layers/%s -printf '%%p %%y %%m %%s %%T@\\n' | sort >before", work,
              CHAIN(1));
    for (size_t i = 0; i < COUNT(hostile); i++) {
        size_t count = 0;
        while (hostile[i].entries[count].kind != 0) {
            count++;
        }
        AUTO_FREE char *chain = xasprintf("%064zx", i + 256);
        AUTO_RUN run = unpack(hostile[i].entries, count, chain, (const char *const[]){CHAIN(1), NULL}, NULL);
        if (run.status != hostile[i].status ||
            (hostile[i].says != NULL && strstr(run.errors, hostile[i].says) == NULL)) {
            print_message("%s: status %d, %s\n", hostile[i].name, run.status, run.errors);
            fail();
        }
        assert_true(hostile[i].present == NULL || has(chain, hostile[i].present));
        assert_int_equal(has(chain, "."), hostile[i].status == UNPACK_DONE);
        layer_run("cd %s && find outside layers/%s -printf '%%p %%y %%m %%s %%T@\\n' | sort | cmp - before",
                  work, CHAIN(1));
    }
}

static void an_overlays_attributes_are_left_out(void **state) {
    (void)state;
    static const struct layer_entry top[] = {{'d', "etc", 0, 0, NULL, 0, "trusted.overlay.opaque"},
                                             {'d', "abc", 0, 0, NULL, 0, "user.overlay.opaque"}};
    char value[8];
    GOOD(below, CHAIN(1), NULL);
    GOOD(top, CHAIN(2), CHAIN(1));
    AUTO_FREE char *etc = xasprintf("%s/layers/%s/etc", work, CHAIN(2));
    AUTO_FREE char *abc = xasprintf("%s/layers/%s/abc", work, CHAIN(2));
    assert_true(getxattr(abc, "user.overlay.opaque", value, sizeof value) < 0);
    assert_true(getxattr(etc, "trusted.overlay.opaque", value, sizeof value) < 0);
}

static void limits_end_it(void **state) {
    (void)state;
    static const struct layer_entry entries[] = {{'f', "a", 0, 0, "0123456789", 0, NULL},
                                                 {'f', "b", 0, 0, "0123456789", 0, NULL}};
    AUTO_RUN few = unpack(entries, 2, CHAIN(1), NULL, (const char *const[]){"--entries-max", "1", NULL});
    assert_int_equal(few.status, UNPACK_HOSTILE);
    assert_string_equal(few.errors, "more than 1 entries\n");
    AUTO_RUN small = unpack(entries, 2, CHAIN(1), NULL, (const char *const[]){"--bytes-max", "2000", NULL});
    assert_int_equal(small.status, UNPACK_HOSTILE);
    assert_string_equal(small.errors, "unpacks to more than 0 MiB\n");
    assert_false(has(CHAIN(1), "."));
}

// 1 GiB of zeros in 1 MiB, and a file that says it is larger than any disk.
static void a_bomb_is_refused(void **state) {
    (void)state;
    AUTO_FREE char *blob = in_work("blob");
    layer_run("cd %s && mkdir bomb && truncate -s 64M bomb/zeros && tar -C bomb -cf - . | gzip -1 >blob",
              work);
    AUTO_RUN run = await(start(blob, CHAIN(1), NULL, (const char *const[]){"--bytes-max", "33554432", NULL}));
    assert_int_equal(run.status, UNPACK_HOSTILE);
    assert_string_equal(run.errors, "'zeros': the files are more than 32 MiB\n");
    layer_run("cd %s && truncate -s 8T bomb/zeros && tar -S -C bomb -cf blob .", work);
    AUTO_RUN sparse = await(start(blob, CHAIN(1), NULL, NULL));
    assert_int_equal(sparse.status, UNPACK_HOSTILE);
    assert_string_equal(sparse.errors, "'zeros': the files are more than 16384 MiB\n");
}

// --- damage ---

static void damage_is_told_from_a_bad_image(void **state) {
    (void)state;
    static const struct layer_entry entries[] = {{'f', "a", 0, 0, "0123456789", 0, NULL},
                                                 {'f', "b", 0, 0, "abcdefghij", 0, NULL}};
    static const enum layer_filter filters[] = {LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD};
    AUTO_FREE char *blob = in_work("blob");
    for (size_t f = 0; f < COUNT(filters); f++) {
        char digest[DIGEST_BYTES];
        struct stat st;
        layer_write(blob, entries, COUNT(entries), filters[f]);
        layer_digest_file(blob, digest);
        const char *more[] = {"--digest", digest, NULL};
        assert_int_equal(stat(blob, &st), 0);
        for (off_t at = 0; at < st.st_size; at += st.st_size / 16 + 1) {
            char byte;
            int fd = open(blob, O_RDWR);
            assert_int_equal(pread(fd, &byte, 1, at), 1);
            byte ^= 0x10;
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
            struct run run = await(start(blob, CHAIN(1), NULL, more));
            expect(&run, UNPACK_DAMAGED);
            byte ^= 0x10;
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
            close(fd);
        }
        assert_int_equal(truncate(blob, st.st_size / 2), 0);
        struct run half = await(start(blob, CHAIN(1), NULL, more));
        expect(&half, UNPACK_DAMAGED);
        assert_int_equal(truncate(blob, 0), 0);
        struct run none = await(start(blob, CHAIN(1), NULL, more));
        expect(&none, UNPACK_DAMAGED);
        assert_false(has(CHAIN(1), "."));
    }
}

static void content_that_is_not_what_the_image_says_is_refused(void **state) {
    (void)state;
    static const struct layer_entry entry = {'f', "a", 0, 0, "x", 0, NULL};
    AUTO_RUN run =
        unpack(&entry, 1, CHAIN(1), NULL, (const char *const[]){"--diff-id", "sha256:" CHAIN(9), NULL});
    assert_int_equal(run.status, UNPACK_HOSTILE);
    assert_non_null(strstr(run.errors, "not sha256:" CHAIN(9) " as the image says"));
    AUTO_FREE char *blob = in_work("blob");
    layer_run("head -c 100000 /dev/zero | tr '\\0' x >%s", blob);
    AUTO_RUN garbage = await(start(blob, CHAIN(1), NULL, NULL));
    assert_int_equal(garbage.status, UNPACK_HOSTILE);
    assert_non_null(strstr(garbage.errors, "not a tar"));
}

static void what_is_missing_is_named(void **state) {
    (void)state;
    AUTO_RUN run = await(start("/nowhere/blob", CHAIN(1), NULL, NULL));
    assert_int_equal(run.status, UNPACK_FAILED);
    assert_string_equal(run.errors, "open /nowhere/blob: No such file or directory\n");
    AUTO_RUN wrong = await(spawn((const char *const[]){"--blob", "x", NULL}));
    assert_int_equal(wrong.status, UNPACK_USAGE);
    assert_string_equal(wrong.errors, "unpack: --blob wants an absolute path, not 'x'\n");
    AUTO_RUN unknown = await(spawn((const char *const[]){"--nonsense", NULL}));
    assert_int_equal(unknown.status, UNPACK_USAGE);
}

// --- faults ---

static void a_full_disk_is_told_as_such_and_passes(void **state) {
    (void)state;
    AUTO_FREE char *layers = in_work("layers");
    AUTO_FREE char *blob = in_work("blob");
    layer_run("cd %s && mkdir big && head -c 3000000 /dev/urandom >big/file && tar -C big -cf blob .", work);
    assert_int_equal(mount("tmpfs", layers, "tmpfs", 0, "size=2m"), 0);
    struct run full = await(start(blob, CHAIN(1), NULL, NULL));
    AUTO_FREE char *errors = xstrdup(full.errors);
    expect(&full, UNPACK_NO_SPACE);
    assert_string_equal(errors, "write 'file': No space left on device\n");
    assert_int_equal(mount(NULL, layers, NULL, MS_REMOUNT, "size=8m"), 0);
    struct run again = await(start(blob, CHAIN(1), NULL, NULL));
    expect(&again, UNPACK_DONE);
    assert_int_equal(umount(layers), 0);
}

// Killed at any moment, as a group or the outer process alone: the next try succeeds and leaves one layer.
static void a_kill_at_any_moment_leaves_a_whole_layer_or_none(void **state) {
    (void)state;
    AUTO_FREE char *blob = in_work("blob");
    AUTO_FREE char *listing = in_work("listing");
    struct prng prng = {0};
    prng_seed(&prng, 7);
    GOOD(below, CHAIN(1), NULL);
    layer_run("cd %s && mkdir -p many/etc && for i in $(seq 300); do echo $i >many/etc/$i; done && "
              "tar -C many -cf blob .",
              work);
    for (int i = 0; i < 25; i++) {
        pid_t pid = start(blob, CHAIN(2), (const char *const[]){CHAIN(1), NULL}, NULL);
        poll(NULL, 0, (int)(prng_below(&prng, 30))); // not a wait for something: where the kill falls is free
        kill(i % 2 == 0 ? -pid : pid, SIGKILL);
        AUTO_RUN run = await(pid);
        assert_true(run.status == -SIGKILL || run.status == UNPACK_DONE);
        if (has(CHAIN(2), ".")) {
            layer_run("[ $(ls %s/layers/%s/etc | wc -l) = 300 ]", work, CHAIN(2));
            layer_run("rm -r %s/layers/%s", work, CHAIN(2));
        }
    }
    struct run run = await(start(blob, CHAIN(2), (const char *const[]){CHAIN(1), NULL}, NULL));
    expect(&run, UNPACK_DONE);
    layer_run("ls -A %s/layers >%s", work, listing);
    AUTO_FREE char *left = slurp(listing);
    assert_string_equal(left, CHAIN(1) "\n" CHAIN(2) "\n");
    layer_run("! grep -q %s /proc/mounts", work);
}

static void a_sweep_empties_a_directory(void **state) {
    (void)state;
    AUTO_FREE char *trash = in_work("trash");
    layer_run("mkdir -p %s/a/b/c && echo >%s/a/b/file && ln -s ../outside %s/link", trash, trash, trash);
    AUTO_RUN run = await(spawn((const char *const[]){"--sweep", trash, NULL}));
    assert_int_equal(run.status, 0);
    layer_run("[ -z \"$(ls -A %s)\" ] && [ -e %s/outside/file ]", trash, work);
    AUTO_RUN none = await(spawn((const char *const[]){"--sweep", "/nowhere", NULL}));
    assert_int_equal(none.status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "unpack") == 0) {
        return unpack_main(argc - 1, argv + 1);
    }
    self = realpath("/proc/self/exe", NULL);
    static const struct CMUnitTest tests[] = {
        TEST(modes_owners_times_and_kinds_are_kept),
        TEST(a_layer_without_directory_entries_keeps_what_is_below),
        TEST(a_layer_writes_through_a_link_of_the_layer_below),
        TEST(an_opaque_directory_hides_only_what_is_below_even_late),
        TEST(a_whiteout_hides_what_is_below_but_not_what_comes_with_it),
        TEST(an_entry_replaces_what_is_in_its_way),
        TEST(as_many_layers_as_an_image_may_have),
        TEST(the_compression_is_told_by_its_first_bytes),
        TEST(a_first_layer_may_be_named_by_its_content),
        TEST(no_hostile_layer_reaches_outside),
        TEST(an_overlays_attributes_are_left_out),
        TEST(limits_end_it),
        TEST(a_bomb_is_refused),
        TEST(damage_is_told_from_a_bad_image),
        TEST(content_that_is_not_what_the_image_says_is_refused),
        TEST(what_is_missing_is_named),
        TEST(a_full_disk_is_told_as_such_and_passes),
        TEST(a_kill_at_any_moment_leaves_a_whole_layer_or_none),
        TEST(a_sweep_empties_a_directory),
    };
    int failed = cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
    xfree(self);
    return failed;
}
