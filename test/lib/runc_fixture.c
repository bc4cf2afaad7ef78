// SPDX-License-Identifier: Apache-2.0
//
// test/lib/runc_fixture.c — images of directories, and a loop that is turned by hand.
#include "test/lib/runc_fixture.h"
#include "test/lib/scratch.h"

#include <elf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

#define TURN_MS 20

// --- images ---

static const char *top_dir; // of the one fixture of a program

const char *runc_fixture_path(const char *format, ...) {
    static char paths[8][512];
    static unsigned next;
    char *out = paths[next++ % 8];
    va_list args;
    int len = snprintf(out, sizeof paths[0], "%s/", top_dir);
    va_start(args, format);
    vsnprintf(out + len, sizeof paths[0] - (size_t)len, format, args);
    va_end(args);
    return out;
}

static void put_file(const char *path, const void *data, size_t len, mode_t mode) {
    struct error err = {0};
    ASSERT(fs_replace(AT_FDCWD, path, data, len, mode, /*sync=*/false, &err) == 0);
}

// The first process of a pid namespace is deaf to the signals it sends itself: to die by one, it must
// fault. This is a whole program that does: an ELF header, one segment, and a read through a null pointer.
static void put_crash(const char *path) {
#if defined(__x86_64__)
    static const uint8_t code[] = {0x31, 0xc0, 0x8b, 0x00}; // xor eax, eax; mov eax, [rax]
    const uint16_t arch = EM_X86_64;
#else
    static const uint8_t code[] = {0x00, 0x00, 0x80, 0xd2, 0x00, 0x00, 0x40, 0xf9}; // mov x0, 0; ldr x0, [x0]
    const uint16_t arch = EM_AARCH64;
#endif
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr segment;
        uint8_t code[sizeof code];
    } program = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = arch,
                   .e_version = EV_CURRENT,
                   .e_entry = 0x400000 + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 1},
        .segment = {.p_type = PT_LOAD,
                    .p_flags = PF_R | PF_X,
                    .p_vaddr = 0x400000,
                    .p_filesz = sizeof program,
                    .p_memsz = sizeof program,
                    .p_align = 0x10000}};
    memcpy(program.code, code, sizeof code);
    put_file(path, &program, sizeof program, 0755);
}

static void make_image(const char *name, const struct buf *busybox) {
    static const char *const directories[] = {"", "/bin", "/etc", "/proc", "/sys", "/tmp", "/data"};
    static const char *const applets[] = {"sh",    "sleep", "cat",   "id",   "ls",   "env",
                                          "head",  "touch", "mount", "grep", "stat", "kill",
                                          "mkdir", "true",  "wc",    "ps",   "dd",   "ip"};
    static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/home/web:/bin/sh\n";
    static const char group[] = "root:x:0:\nweb:x:1001:\nextra:x:2000:web\naudio:x:29:\n";
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        ASSERT(mkdir(runc_fixture_path("images/%s%s", name, directories[i]), 0755) == 0);
    }
    put_file(runc_fixture_path("images/%s/bin/busybox", name), busybox->data, busybox->len, 0755);
    for (size_t i = 0; i < sizeof applets / sizeof *applets; i++) {
        ASSERT(symlink("busybox", runc_fixture_path("images/%s/bin/%s", name, applets[i])) == 0);
    }
    put_crash(runc_fixture_path("images/%s/bin/crash", name));
    put_file(runc_fixture_path("images/%s/etc/passwd", name), passwd, sizeof passwd - 1, 0644);
    put_file(runc_fixture_path("images/%s/etc/group", name), group, sizeof group - 1, 0644);
    put_file(runc_fixture_path("images/%s/data/from-image", name), "here\n", 5, 0600);
    ASSERT(chown(runc_fixture_path("images/%s/data", name), 1000, 1001) == 0);
    ASSERT(chown(runc_fixture_path("images/%s/data/from-image", name), 1000, 1001) == 0);
    const char *dev = runc_fixture_path("images/%s/dev", name);
    ASSERT((str_equal(name, "dev-link") ? symlink("/tmp", dev) : mkdir(dev, 0755)) == 0);
}

// --- the fixture ---

void runc_fixture_init(struct runc_fixture *fixture) {
    static const char *const images[] = {"busybox", "dev-link", "volume", "quit"};
    static char shim[512];
    AUTO_BUF busybox = {0};
    struct error err = {0};
    const char *build = getenv("BUILD");
    *fixture = (struct runc_fixture){0};
    scratch_name(fixture->top, sizeof fixture->top, "runc");
    ASSERT(mkdtemp(fixture->top) != NULL && chmod(fixture->top, 0755) == 0);
    top_dir = fixture->top;
    ASSERT(uv_loop_init(&fixture->loop) == 0 && uv_timer_init(&fixture->loop, &fixture->timer) == 0);
    snprintf(fixture->state_dir, sizeof fixture->state_dir, "%s/state", fixture->top);
    snprintf(fixture->run_dir, sizeof fixture->run_dir, "%s/run", fixture->top);
    ASSERT(mkdir(runc_fixture_path("images"), 0755) == 0);
    ASSERT(fs_read(AT_FDCWD, "/bin/busybox", 16 * 1024 * 1024, &busybox, &err) == 0);
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        make_image(images[i], &busybox);
    }
    char *cwd = getcwd(NULL, 0);
    ASSERT(cwd != NULL);
    build = str_is_empty(build) ? "build" : build;
    snprintf(shim, sizeof shim, "%s%s%s/muster-shim", build[0] == '/' ? "" : cwd, build[0] == '/' ? "" : "/",
             build);
    free(cwd);
    fixture->options = (struct executor_options){.loop = &fixture->loop,
                                                 .state_dir = fixture->state_dir,
                                                 .run_dir = fixture->run_dir,
                                                 .self_path = "/nonexistent",
                                                 .shim_path = shim};
}

struct executor *runc_fixture_open(struct runc_fixture *fixture, executor_event_fn on_event, void *context) {
    struct executor *executor = NULL;
    struct error err = {0};
    char text[512];
    struct executor_options options = fixture->options;
    options.on_event = on_event;
    options.context = context;
    if (executor_runc_new(&options, &executor, &err) < 0) {
        fprintf(stderr, "%s\n", error_text(&err, text, sizeof text));
    }
    return executor;
}

static void on_turn_over(uv_timer_t *timer) {
    (void)timer;
}

// One timer for all turns: a handle that is still closing would keep the next turn from waiting.
void runc_fixture_turn(struct runc_fixture *fixture) {
    uv_timer_start(&fixture->timer, on_turn_over, TURN_MS, 0);
    uv_run(&fixture->loop, UV_RUN_ONCE);
    uv_timer_stop(&fixture->timer);
}

void runc_fixture_deinit(struct runc_fixture *fixture) {
    struct error err = {0};
    char text[512];
    uv_close((uv_handle_t *)&fixture->timer, NULL);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    ASSERT(uv_loop_close(&fixture->loop) == 0);
    if (fs_remove_tree(AT_FDCWD, fixture->top, &err) < 0) {
        fprintf(stderr, "%s\n", error_text(&err, text, sizeof text));
    }
}
