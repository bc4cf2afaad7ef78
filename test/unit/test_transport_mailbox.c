// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_transport_mailbox.c — letters arrive once, in order, and the descriptor tells the truth.
#include "test/lib/check.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/mem.h"
#include "transport/mailbox.h"

struct numbered {
    struct letter letter;
    unsigned sender, number;
};

static bool is_readable(const struct mailbox *mailbox) {
    struct pollfd fd = {.fd = mailbox_fd(mailbox), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static unsigned take(struct mailbox *mailbox) {
    struct numbered *letter = (struct numbered *)mailbox_take(mailbox);
    return letter == NULL ? 0 : letter->number;
}

static void the_descriptor_is_readable_while_letters_wait(void **state) {
    (void)state;
    struct mailbox mailbox;
    struct numbered letters[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    assert_int_equal(mailbox_init(&mailbox, NULL), 0);
    assert_false(is_readable(&mailbox));
    assert_int_equal(take(&mailbox), 0);
    for (int i = 0; i < 3; i++) {
        mailbox_post(&mailbox, &letters[i].letter);
        assert_true(is_readable(&mailbox));
    }
    for (unsigned i = 1; i <= 3; i++) {
        assert_true(is_readable(&mailbox));
        assert_int_equal(take(&mailbox), i);
    }
    assert_false(is_readable(&mailbox));
    mailbox_deinit(&mailbox);
}

static void what_is_put_back_comes_first_again(void **state) {
    (void)state;
    struct mailbox mailbox;
    struct numbered letters[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    assert_int_equal(mailbox_init(&mailbox, NULL), 0);
    mailbox_put_back(&mailbox, NULL);
    assert_false(is_readable(&mailbox));
    letters[0].letter.next = &letters[1].letter;
    mailbox_put_back(&mailbox, &letters[0].letter); // into an empty one
    assert_true(is_readable(&mailbox));
    mailbox_post(&mailbox, &letters[2].letter);
    assert_int_equal(take(&mailbox), 1);
    letters[0].letter.next = NULL;
    mailbox_put_back(&mailbox, &letters[0].letter); // before others
    mailbox_post(&mailbox, &letters[3].letter);
    for (unsigned i = 1; i <= 4; i++) {
        assert_int_equal(take(&mailbox), i);
    }
    assert_false(is_readable(&mailbox));
    mailbox_deinit(&mailbox);
}

enum { SENDERS = 4, LETTERS = 20000 };
struct sender {
    struct mailbox *mailbox;
    unsigned index;
};

static void *send_all(void *context) {
    struct sender *sender = context;
    for (unsigned i = 1; i <= LETTERS; i++) {
        struct numbered *letter = NEW(struct numbered);
        *letter = (struct numbered){.sender = sender->index, .number = i};
        mailbox_post(sender->mailbox, &letter->letter);
    }
    return NULL;
}

static void letters_of_many_threads_arrive_once_and_in_each_ones_order(void **state) {
    (void)state;
    struct mailbox mailbox;
    assert_int_equal(mailbox_init(&mailbox, NULL), 0);
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    unsigned last[SENDERS] = {0}, got = 0;
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){&mailbox, i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    while (got < SENDERS * LETTERS) {
        struct pollfd fd = {.fd = mailbox_fd(&mailbox), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, 10000), 1); // a lost wake-up would hang here
        struct numbered *letter;
        while ((letter = (struct numbered *)mailbox_take(&mailbox)) != NULL) {
            assert_int_equal(letter->number, ++last[letter->sender]);
            got++;
            xfree(letter);
        }
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_false(is_readable(&mailbox));
    mailbox_deinit(&mailbox);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_descriptor_is_readable_while_letters_wait),
    cmocka_unit_test(what_is_put_back_comes_first_again),
    cmocka_unit_test(letters_of_many_threads_arrive_once_and_in_each_ones_order),
};
CHECK_MAIN(tests)
