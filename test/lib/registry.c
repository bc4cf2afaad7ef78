// SPDX-License-Identifier: Apache-2.0
//
// test/lib/registry.c — a docker-registry for tests in C.
#include "test/lib/registry.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "test/lib/check.h"
#include "test/lib/layer.h"

#define PASSWORDS "u:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a" // "secret", by bcrypt
#define LOG_BYTES_MAX 1000000
#define TRIES_MAX 1500
#define TRY_MS 20

static pid_t spawn(const char *directory) {
    AUTO_FREE char *config = xasprintf("%s/config.yml", directory);
    AUTO_FREE char *log = xasprintf("%s/log", directory);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execlp("docker-registry", "docker-registry", "serve", config, NULL);
        _exit(127);
    }
    return pid;
}

// The port is what it says it listens on: no event can be waited for, so the log is looked at again.
static void await_port(struct registry *registry) {
    static const char mark[] = "listening on 127.0.0.1:";
    AUTO_FREE char *path = xasprintf("%s/log", registry->directory);
    for (int i = 0; i < TRIES_MAX; i++) {
        AUTO_BUF log = {0};
        const char *at =
            fs_read(AT_FDCWD, path, LOG_BYTES_MAX, &log, NULL) == 0 ? strstr(buf_text(&log), mark) : NULL;
        size_t len = at != NULL ? strspn(at + strlen(mark), "0123456789") : 0;
        if (len > 0 && at[strlen(mark) + len] != '\0') {
            snprintf(registry->host, sizeof registry->host, "127.0.0.1:%.*s", (int)len, at + strlen(mark));
            return;
        }
        assert_int_equal(waitpid(registry->pid, NULL, WNOHANG), 0); // it died
        poll(NULL, 0, TRY_MS);
    }
    fail();
}

void registry_start(struct registry *registry, const char *directory) {
    AUTO_FREE char *config = xasprintf("%s/config.yml", directory);
    AUTO_BUF text = {0};
    layer_run("mkdir -p '%s'", directory);
    str_copy(registry->directory, sizeof registry->directory, directory);
    buf_addf(&text,
             "version: 0.1\nlog: {level: info, formatter: text}\nstorage: {filesystem: {rootdirectory: "
             "%s/content}}\n"
             "http: {addr: '%s'}\n",
             directory, registry->host[0] != '\0' ? registry->host : "127.0.0.1:0");
    if (registry->wants_login) {
        buf_addf(&text, "auth: {htpasswd: {realm: test, path: %s/passwords}}\n", directory);
    }
    assert_int_equal(fs_replace(AT_FDCWD, config, text.data, text.len, 0600, /*sync=*/false, NULL), 0);
    AUTO_FREE char *log = xasprintf("%s/log", directory);
    unlink(log);
    layer_run("printf '%%s' '" PASSWORDS "' >'%s/passwords'", directory);
    setenv("OTEL_TRACES_EXPORTER", "none", 1);
    registry->pid = spawn(directory);
    await_port(registry);
}

void registry_stop(struct registry *registry) {
    if (registry->pid > 0) {
        kill(registry->pid, SIGTERM);
        waitpid(registry->pid, NULL, 0);
        registry->pid = 0;
    }
}

void registry_push(const struct registry *registry, const char *layout, const char *name) {
    layer_run(
        "skopeo --insecure-policy copy --quiet --dest-tls-verify=false %s 'oci:%s:latest' 'docker://%s/%s'",
        registry->wants_login ? "--dest-creds u:secret" : "", layout, registry->host, name);
}
