// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/unpack_stream.c — two libarchive readers in a row: one undoes the compression ("raw"),
// one reads the tar; between them and before them everything is hashed.
//
// Names in a tar are bytes or UTF-8. The locale is set so that libarchive passes both on without asking
// iconv, which would look for its modules in files, and those are the image's by then.
#include "reconciler/agent/unpack_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"

#define BLOB_READ_BYTES (256 * KIB)

struct unpack_stream {
    int fd;
    struct archive *plain; // undoes the compression
    struct archive *tar;
    EVP_MD_CTX *blob_hash, *plain_hash;
    int64_t plain_bytes, bytes_max;
    struct error failure; // of ours: the readers only know that a callback failed
    bool is_plain_at_end;
    char buffer[BLOB_READ_BYTES];
};

static ssize_t blob_read(struct unpack_stream *stream) {
    ssize_t got;
    do {
        got = read(stream->fd, stream->buffer, sizeof stream->buffer);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        error_sys(&stream->failure, errno, "read the blob");
    } else if (got > 0) {
        EVP_DigestUpdate(stream->blob_hash, stream->buffer, (size_t)got);
    }
    return got;
}

static la_ssize_t on_blob_read(struct archive *archive, void *context, const void **out) {
    struct unpack_stream *stream = context;
    ssize_t got = blob_read(stream);
    if (got < 0) {
        archive_set_error(archive, EIO, "%s", stream->failure.root);
    }
    *out = stream->buffer;
    return got;
}

// One block out of the first reader; 0 at its end, -1 when it failed.
static la_ssize_t plain_read(struct unpack_stream *stream, const void **out) {
    size_t len = 0;
    la_int64_t offset;
    while (!stream->is_plain_at_end && len == 0) {
        int status = archive_read_data_block(stream->plain, out, &len, &offset);
        if (status == ARCHIVE_EOF) {
            stream->is_plain_at_end = true;
        } else if (status < ARCHIVE_WARN) {
            error_set(&stream->failure, ERR_INVALID, "not compressed as it should be: %s",
                      archive_error_string(stream->plain));
            return -1;
        }
    }
    stream->plain_bytes += (int64_t)len;
    if (stream->plain_bytes > stream->bytes_max) {
        error_set(&stream->failure, ERR_LIMIT, "unpacks to more than %lld MiB",
                  (long long)(stream->bytes_max / MIB));
        return -1;
    }
    if (len > 0) {
        EVP_DigestUpdate(stream->plain_hash, *out, len);
    }
    return (la_ssize_t)len;
}

static la_ssize_t on_plain_read(struct archive *archive, void *context, const void **out) {
    la_ssize_t got = plain_read(context, out);
    if (got < 0) {
        archive_set_error(archive, EIO, "the stream failed");
    }
    return got;
}

static int open_plain(struct unpack_stream *stream, struct error *err) {
    struct archive *plain = stream->plain;
    archive_read_support_filter_gzip(plain);
    archive_read_support_filter_zstd(plain);
    archive_read_support_filter_xz(plain);
    archive_read_support_filter_bzip2(plain);
    archive_read_support_format_raw(plain);
    archive_read_support_format_empty(plain);
    struct archive_entry *entry;
    int status = archive_read_open(plain, stream, NULL, on_blob_read, NULL);
    if (status == ARCHIVE_OK) {
        status = archive_read_next_header(plain, &entry);
        stream->is_plain_at_end = status == ARCHIVE_EOF;
    }
    return status == ARCHIVE_OK || status == ARCHIVE_EOF
               ? 0
               : error_set(err, ERR_INVALID, "not compressed as it should be: %s",
                           archive_error_string(plain));
}

int unpack_stream_open(int fd, int64_t bytes_max, struct unpack_stream **out, struct error *err) {
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        return error_set(err, ERR_SYSTEM, "the C.UTF-8 locale misses: install libc-bin");
    }
    struct unpack_stream *stream = NEW(struct unpack_stream);
    stream->fd = fd;
    stream->bytes_max = bytes_max;
    stream->blob_hash = EVP_MD_CTX_new();
    stream->plain_hash = EVP_MD_CTX_new();
    stream->plain = archive_read_new();
    stream->tar = archive_read_new();
    if (stream->blob_hash == NULL || stream->plain_hash == NULL || stream->plain == NULL ||
        stream->tar == NULL || EVP_DigestInit_ex(stream->blob_hash, EVP_sha256(), NULL) != 1 ||
        EVP_DigestInit_ex(stream->plain_hash, EVP_sha256(), NULL) != 1) {
        unpack_stream_close(stream);
        return error_set(err, ERR_SYSTEM, "no SHA-256, or no memory for it");
    }
    archive_read_support_format_tar(stream->tar);
    archive_read_support_format_empty(stream->tar);
    *out = stream;
    return 0;
}

struct archive *unpack_stream_tar(struct unpack_stream *stream) {
    return stream->tar;
}

int unpack_stream_start(struct unpack_stream *stream, struct error *err) {
    int rc = open_plain(stream, &stream->failure);
    if (rc == 0 && archive_read_open(stream->tar, stream, NULL, on_plain_read, NULL) != ARCHIVE_OK) {
        return unpack_stream_failure(stream, err);
    }
    return rc == 0 ? 0 : unpack_stream_failure(stream, err);
}

int unpack_stream_failure(struct unpack_stream *stream, struct error *err) {
    if (stream->failure.code != ERR_NONE) {
        if (err != NULL) {
            *err = stream->failure;
        }
        return -(int)stream->failure.code;
    }
    const char *text = archive_error_string(stream->tar);
    return error_set(err, ERR_INVALID, "not a tar: %s", text != NULL ? text : "no reason given");
}

static void hash_text(EVP_MD_CTX *hash, char out[DIGEST_BYTES]) {
    unsigned char raw[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(hash, raw, NULL);
    int len = snprintf(out, DIGEST_BYTES, "sha256:");
    for (int i = 0; i < 32; i++) {
        len += snprintf(out + len, (size_t)(DIGEST_BYTES - len), "%02x", raw[i]);
    }
}

int unpack_stream_drain(struct unpack_stream *stream, char out_diff_id[DIGEST_BYTES], struct error *err) {
    const void *data;
    la_ssize_t got;
    while ((got = plain_read(stream, &data)) > 0) {
    }
    if (got < 0) {
        return unpack_stream_failure(stream, err);
    }
    hash_text(stream->plain_hash, out_diff_id);
    return 0;
}

int unpack_stream_digest(struct unpack_stream *stream, char out_digest[DIGEST_BYTES], struct error *err) {
    ssize_t got;
    while ((got = blob_read(stream)) > 0) {
    }
    if (got < 0) {
        return unpack_stream_failure(stream, err);
    }
    hash_text(stream->blob_hash, out_digest);
    return 0;
}

void unpack_stream_close(struct unpack_stream *stream) {
    if (stream == NULL) {
        return;
    }
    archive_read_free(stream->tar);
    archive_read_free(stream->plain);
    EVP_MD_CTX_free(stream->blob_hash);
    EVP_MD_CTX_free(stream->plain_hash);
    xfree(stream);
}
