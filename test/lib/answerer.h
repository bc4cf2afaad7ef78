// SPDX-License-Identifier: Apache-2.0
//
// test/lib/answerer.h — a local server on a thread of its own, with handlers simple enough to foresee.
//
//     INFO     answered and done                       WHY    refused, NOT_FOUND
//     LOGS     never answered                          LIST   one object larger than a frame, then done
//     APPLY    done, with the count of its items       WATCH  `kinds` frames of FRAME_CHUNK_BYTES, numbered
//     REMOVE   fails every conversation of all links          from from_revision, then done (kinds 0: none)
#ifndef MUSTER_TEST_LIB_ANSWERER_H
#define MUSTER_TEST_LIB_ANSWERER_H

#include <pthread.h>
#include <stdatomic.h>

#include "transport/server.h"

#define ANSWERER_CONVERSATIONS_MAX 512

struct answerer {
    char dir[64];
    char socket_path[96];
    char host[112]; // "unix://…"
    struct server *server;
    pthread_t thread;
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t changed;
    bool is_stopping;
    bool is_paused;         // takes nothing
    int64_t clock_ahead_ms; // what server_tick is told beyond the time
    unsigned requests, closed, writable, rounds;
    int64_t bytes_sent;
    // Of the loop thread.
    struct conversation *open[ANSWERER_CONVERSATIONS_MAX];
    bool is_ending_all; // on_writable ends every conversation of its link
};

// Opens the server in a directory of its own below /tmp; the thread begins to serve.
void answerer_begin(struct answerer *answerer);
// Closes the server and removes the directory.
void answerer_end(struct answerer *answerer);
// Stops the thread; what is left is the caller's: server_close(answerer->server).
void answerer_halt(struct answerer *answerer);

void answerer_pass_time(struct answerer *answerer, int64_t ms);
void answerer_pause(struct answerer *answerer, bool is_paused);
// Waits until *counter (one of the counters) is at least `count`; ten seconds end the test program.
void answerer_await(struct answerer *answerer, const unsigned *counter, unsigned count);
// Waits until the loop has gone round twice more.
void answerer_settle(struct answerer *answerer);
unsigned answerer_read(struct answerer *answerer, const unsigned *counter);

#endif
