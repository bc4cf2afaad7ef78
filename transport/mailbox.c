// SPDX-License-Identifier: Apache-2.0
//
// transport/mailbox.c — a mutex, a singly linked queue, an eventfd.
//
// The eventfd is a flag, not a count: it is raised when the first letter comes and lowered, under the same
// lock, when the last is taken.
#include "transport/mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"

int mailbox_init(struct mailbox *mailbox, struct error *err) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return error_sys(err, errno, "create eventfd");
    }
    *mailbox = (struct mailbox){.wake_fd = fd};
    pthread_mutex_init(&mailbox->lock, NULL);
    return 0;
}

void mailbox_deinit(struct mailbox *mailbox) {
    ASSERT(mailbox->first == NULL);
    pthread_mutex_destroy(&mailbox->lock);
    close(mailbox->wake_fd);
}

int mailbox_fd(const struct mailbox *mailbox) {
    return mailbox->wake_fd;
}

static void mailbox_raise(struct mailbox *mailbox) {
    uint64_t one = 1;
    ssize_t written = write(mailbox->wake_fd, &one, sizeof one);
    ASSERT(written == sizeof one);
}

void mailbox_post(struct mailbox *mailbox, struct letter *letter) {
    letter->next = NULL;
    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->first == NULL) {
        mailbox->first = letter;
        mailbox_raise(mailbox);
    } else {
        mailbox->last->next = letter;
    }
    mailbox->last = letter;
    pthread_mutex_unlock(&mailbox->lock);
}

struct letter *mailbox_take(struct mailbox *mailbox) {
    pthread_mutex_lock(&mailbox->lock);
    struct letter *letter = mailbox->first;
    if (letter != NULL) {
        mailbox->first = letter->next;
        if (mailbox->first == NULL) {
            mailbox->last = NULL;
            uint64_t flag;
            ssize_t got = read(mailbox->wake_fd, &flag, sizeof flag);
            ASSERT(got == sizeof flag);
        }
        letter->next = NULL; // it may be put into a chain of the owner's
    }
    pthread_mutex_unlock(&mailbox->lock);
    return letter;
}

void mailbox_put_back(struct mailbox *mailbox, struct letter *first) {
    if (first == NULL) {
        return;
    }
    struct letter *last = first;
    while (last->next != NULL) {
        last = last->next;
    }
    pthread_mutex_lock(&mailbox->lock);
    last->next = mailbox->first;
    if (mailbox->first == NULL) {
        mailbox->last = last;
        mailbox_raise(mailbox);
    }
    mailbox->first = first;
    pthread_mutex_unlock(&mailbox->lock);
}
