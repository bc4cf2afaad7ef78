// SPDX-License-Identifier: Apache-2.0
//
// transport/mailbox.h — the only crossing between threads: others post, the owner takes.
//
// Posting writes an eventfd only when the mailbox was empty, so a burst wakes the owner once.
#ifndef MUSTER_TRANSPORT_MAILBOX_H
#define MUSTER_TRANSPORT_MAILBOX_H

#include <pthread.h>
#include <stddef.h>

#include "base/error.h"

// First member of whatever is posted.
struct letter {
    struct letter *next;
};

// Fields are private.
struct mailbox {
    pthread_mutex_t lock;
    struct letter *first, *last;
    int wake_fd;
};

int mailbox_init(struct mailbox *mailbox, struct error *err);
void mailbox_deinit(struct mailbox *mailbox);                      // must be empty
int mailbox_fd(const struct mailbox *mailbox);                     // readable while letters wait
void mailbox_post(struct mailbox *mailbox, struct letter *letter); // any thread
struct letter *mailbox_take(struct mailbox *mailbox);              // owner; NULL when empty
// Puts a chain of letters that were taken back in front of those that wait, first first. NULL is no letter.
void mailbox_put_back(struct mailbox *mailbox, struct letter *first);

#endif
