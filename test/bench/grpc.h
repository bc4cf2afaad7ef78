// SPDX-License-Identifier: Apache-2.0
//
// test/bench/grpc.h — unary gRPC calls as a client: HTTP/2 without TLS on 127.0.0.1, many calls on one link.
//
// Model      Everything happens within grpc_poll, in the caller's thread: bytes go out, bytes come in, and
//            calls are answered by their function, which may start further calls.
// Ownership  A call's message is copied. grpc_close forgets calls that are not answered.
// Limits     An answer is at most GRPC_ANSWER_BYTES_MAX; what is beyond is cut. Messages are not compressed.
#ifndef MUSTER_TEST_BENCH_GRPC_H
#define MUSTER_TEST_BENCH_GRPC_H

#include "base/buf.h"
#include "base/error.h"

#define GRPC_OK 0
#define GRPC_LOST (-1) // the link ended, or the stream was reset
#define GRPC_ANSWER_BYTES_MAX 1024

struct grpc;

// status: GRPC_OK, GRPC_LOST or what the server says; the message is borrowed.
typedef void (*grpc_answer)(void *context, int status, struct bytes message);

// -ERR_UNREACHABLE when nobody listens.
int grpc_open(int port, struct grpc **out, struct error *err);
void grpc_close(struct grpc *link); // accepts NULL
// `path` is like "/etcdserverpb.KV/Put" and lives as long as the link. On a lost link the answer is
// GRPC_LOST, at the next poll.
void grpc_call(struct grpc *link, const char *path, struct bytes message, grpc_answer answer, void *context);
// Moves bytes of all links for at most timeout_ms, until something came in.
void grpc_poll(struct grpc *const *links, size_t count, int64_t timeout_ms);

#endif
