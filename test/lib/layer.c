// SPDX-License-Identifier: Apache-2.0
//
// test/lib/layer.c — layers and images for tests, written by libarchive and by hand.
#include "test/lib/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "test/lib/check.h"

#define BLOB_BYTES_MAX ((size_t)1 << 30)

static const struct {
    char kind;
    mode_t type, mode;
} kinds[] = {
    {'f', S_IFREG, 0644}, {'d', S_IFDIR, 0755}, {'l', S_IFLNK, 0777}, {'h', S_IFREG, 0644},
    {'c', S_IFCHR, 0644}, {'b', S_IFBLK, 0644}, {'p', S_IFIFO, 0644},
};

static void write_entry(struct archive *archive, const struct layer_entry *from) {
    size_t kind = 0;
    while (kinds[kind].kind != from->kind) {
        kind++;
        assert_true(kind < sizeof kinds / sizeof *kinds);
    }
    size_t len = from->kind == 'f' && from->text != NULL ? strlen(from->text) : 0;
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, from->path);
    archive_entry_set_filetype(entry, kinds[kind].type);
    archive_entry_set_perm(entry, from->mode != 0 ? from->mode : kinds[kind].mode);
    archive_entry_set_uid(entry, from->uid);
    archive_entry_set_gid(entry, from->uid);
    archive_entry_set_mtime(entry, 1000000000, 0);
    archive_entry_set_size(entry, (la_int64_t)len);
    archive_entry_set_rdev(entry, from->device);
    if (from->kind == 'l') {
        archive_entry_set_symlink(entry, from->text);
    } else if (from->kind == 'h') {
        archive_entry_set_hardlink(entry, from->text);
    }
    if (from->attribute != NULL) {
        archive_entry_xattr_add_entry(entry, from->attribute, "x", 1);
    }
    assert_true(archive_write_header(archive, entry) >= ARCHIVE_WARN);
    if (len > 0) {
        assert_int_equal(archive_write_data(archive, from->text, len), len);
    }
    archive_entry_free(entry);
}

void layer_write(const char *path, const struct layer_entry *entries, size_t count,
                 enum layer_filter filter) {
    struct archive *archive = archive_write_new();
    archive_write_set_format_pax(archive);
    if (filter == LAYER_GZIP) {
        archive_write_add_filter_gzip(archive);
    } else if (filter == LAYER_ZSTD) {
        archive_write_add_filter_zstd(archive);
    }
    assert_int_equal(archive_write_open_filename(archive, path), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++) {
        write_entry(archive, &entries[i]);
    }
    assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
}

void layer_digest(struct bytes bytes, char out[72]) {
    unsigned char raw[EVP_MAX_MD_SIZE];
    assert_int_equal(EVP_Digest(bytes.data, bytes.len, raw, NULL, EVP_sha256(), NULL), 1);
    int len = snprintf(out, 72, "sha256:");
    for (int i = 0; i < 32; i++) {
        len += snprintf(out + len, (size_t)(72 - len), "%02x", raw[i]);
    }
}

void layer_digest_file(const char *path, char out[72]) {
    AUTO_BUF content = buf_make(BLOB_BYTES_MAX + 1);
    assert_int_equal(fs_read(AT_FDCWD, path, BLOB_BYTES_MAX, &content, NULL), 0);
    layer_digest(buf_bytes(&content), out);
}

const char *layer_machine_arch(void) {
    static struct utsname name;
    uname(&name);
    return strcmp(name.machine, "x86_64") == 0    ? "amd64"
           : strcmp(name.machine, "aarch64") == 0 ? "arm64"
                                                  : name.machine;
}

void layer_run(const char *format, ...) {
    AUTO_BUF command = {0};
    va_list args;
    va_start(args, format);
    buf_addv(&command, format, args);
    va_end(args);
    const char *argv[] = {"sh", "-c", buf_text(&command), NULL};
    int status = -1;
    pid_t pid;
    assert_int_equal(posix_spawnp(&pid, "sh", NULL, NULL, (char *const *)argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0) {
        print_message("failed (%d): %s\n", status, buf_text(&command));
    }
    assert_int_equal(status, 0);
}

// --- images ---

// Moves a file to its place among the blobs; appends `"digest": …, "size": …`.
static void add_blob(const char *directory, const char *path, struct buf *descriptor) {
    char digest[72];
    struct stat st;
    layer_digest_file(path, digest);
    assert_int_equal(stat(path, &st), 0);
    AUTO_FREE char *target = xasprintf("%s/blobs/sha256/%s", directory, digest + strlen("sha256:"));
    assert_int_equal(rename(path, target), 0);
    buf_addf(descriptor, "\"digest\":\"%s\",\"size\":%lld}", digest, (long long)st.st_size);
}

static void add_text(const char *directory, const struct buf *text, struct buf *descriptor) {
    AUTO_FREE char *path = xasprintf("%s/text", directory);
    assert_int_equal(fs_replace(AT_FDCWD, path, text->data, text->len, 0644, /*sync=*/false, NULL), 0);
    add_blob(directory, path, descriptor);
}

static void add_layer(const char *directory, const struct layer_entry *entries, enum layer_filter filter,
                      struct buf *manifest, struct buf *diff_ids) {
    static const char *const suffixes[] = {"", "+gzip", "+zstd"};
    char diff_id[72];
    size_t count = 0;
    while (entries[count].kind != 0) {
        count++;
    }
    AUTO_FREE char *path = xasprintf("%s/layer", directory);
    layer_write(path, entries, count, LAYER_PLAIN);
    layer_digest_file(path, diff_id);
    layer_write(path, entries, count, filter);
    buf_addf(diff_ids, "%s\"%s\"", diff_ids->len > 0 ? "," : "", diff_id);
    buf_addf(manifest, "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar%s\",",
             str_ends(buf_text(manifest), "[") ? "" : ",", suffixes[filter]);
    add_blob(directory, path, manifest);
}

void layer_image_write(const char *directory, const struct layer_image *image) {
    AUTO_BUF layers = {0};
    AUTO_BUF diff_ids = {0};
    AUTO_BUF config = {0};
    AUTO_BUF manifest = {0};
    AUTO_BUF index = {0};
    layer_run("mkdir -p '%s/blobs/sha256'", directory);
    buf_adds(&layers, "[");
    for (size_t i = 0; i < image->layer_count; i++) {
        add_layer(directory, image->layers[i], image->filter, &layers, &diff_ids);
    }
    buf_addf(&config, "{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":%s,",
             image->arch != NULL ? image->arch : layer_machine_arch(),
             image->config != NULL ? image->config : "{}");
    buf_addf(&config, "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}", buf_text(&diff_ids));
    buf_adds(&manifest, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
                        "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",");
    add_text(directory, &config, &manifest);
    buf_addf(&manifest, ",\"layers\":%s]}", buf_text(&layers));
    buf_adds(&index, "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
                     "\"application/vnd.oci.image.manifest.v1+json\","
                     "\"annotations\":{\"org.opencontainers.image.ref.name\":\"");
    buf_addf(&index, "%s\"},", image->tag != NULL ? image->tag : "latest");
    add_text(directory, &manifest, &index);
    buf_adds(&index, "]}");
    AUTO_FREE char *path = xasprintf("%s/index.json", directory);
    assert_int_equal(fs_replace(AT_FDCWD, path, index.data, index.len, 0644, /*sync=*/false, NULL), 0);
    layer_run("printf '{\"imageLayoutVersion\":\"1.0.0\"}' >'%s/oci-layout'", directory);
}
