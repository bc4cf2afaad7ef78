// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/relay_end.c — frames out against credit, frames in against the window.
#include "reconciler/daemon/relay_end.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"

static int64_t cost_of(size_t data_bytes) {
    return (int64_t)data_bytes + RELAY_FRAME_COST;
}

static bool say(struct relay_end *end, struct relay_frame *frame) {
    frame->credit = TAKE(end->owed);
    end->allowed += frame->credit;
    ASSERT(end->allowed <= end->window);
    end->said_ms = end->now_ms;
    return end->carrier->send(end, frame);
}

static void say_nothing(struct relay_end *end) {
    struct relay_frame frame;
    schema_init(&relay_frame_schema, &frame);
    (void)say(end, &frame); // a lost one is noticed as silence
}

// --- what the owner says ---

bool relay_is_writable(const struct relay_end *end) {
    return end->state == RELAY_RUNNING && end->credit > 0;
}

bool relay_send(struct relay_end *end, int64_t number, struct bytes data) {
    struct relay_frame frame;
    ASSERT(data.len <= RELAY_DATA_BYTES_MAX);
    if (!relay_is_writable(end)) {
        end->was_refused = true;
        return false;
    }
    schema_init(&relay_frame_schema, &frame);
    frame.number = number;
    frame.data = data;
    end->credit -= cost_of(data.len);
    end->is_torn |= !say(end, &frame); // credit bounds what waits: the link is gone, as will be heard
    return true;
}

void relay_consumed(struct relay_end *end, size_t data_bytes) {
    end->owed += cost_of(data_bytes);
    if (end->state == RELAY_RUNNING && end->owed >= end->window / 4) {
        say_nothing(end);
    }
}

static void finish(struct relay_end *end) {
    end->state = end->carrier != NULL ? RELAY_LINGERING : RELAY_OVER;
    end->deadline_ms = end->now_ms + RELAY_LINGER_MS;
}

void relay_close(struct relay_end *end, const struct error *err) {
    char text[ERROR_ROOT_BYTES];
    if (end->state == RELAY_RUNNING) {
        struct relay_frame frame;
        schema_init(&relay_frame_schema, &frame);
        frame.is_last = true;
        frame.code = err != NULL ? error_code_name((int)err->code) : "";
        frame.text = err != NULL ? error_text(err, text, sizeof text) : "";
        (void)say(end, &frame);
    }
    if (end->state < RELAY_LINGERING) {
        finish(end);
        if (end->carrier != NULL) {
            end->carrier->drop(end);
        }
    }
}

// --- what happens to it ---

static void end_with(struct relay_end *end, const struct error *err) {
    if (end->state >= RELAY_LINGERING) {
        return;
    }
    finish(end);
    if (end->events.on_end != NULL) {
        end->events.on_end(end->context, err);
    }
    if (end->carrier != NULL) {
        end->carrier->drop(end);
    }
}

void relay_end_fail(struct relay_end *end, const struct error *err) {
    end_with(end, err);
}

void relay_end_run(struct relay_end *end, int64_t credit) {
    end->state = RELAY_RUNNING;
    end->credit = credit;
    end->heard_ms = end->said_ms = end->now_ms;
    end->turn = RELAY_MORE;
    if (end->events.on_open != NULL) {
        end->events.on_open(end->context);
    }
}

static void hear_credit(struct relay_end *end, int64_t credit) {
    bool was_stopped = end->credit <= 0;
    end->credit = credit > INT64_MAX / 4 - end->credit ? INT64_MAX / 4 : end->credit + credit;
    if (was_stopped && end->credit > 0) {
        end->turn = RELAY_MORE;
        if (TAKE(end->was_refused) && end->events.on_writable != NULL) {
            end->events.on_writable(end->context);
        }
    }
}

static void hear_last(struct relay_end *end, const struct relay_frame *frame) {
    struct error err = {0};
    if (!str_is_empty(frame->code)) {
        error_set(&err, error_code_from_name(frame->code), "%s", frame->text);
    }
    end_with(end, err.code != ERR_NONE ? &err : NULL);
}

void relay_end_hear(struct relay_end *end, const struct relay_frame *frame) {
    bool is_data = frame->data.len > 0 || frame->number != 0;
    if (end->state != RELAY_RUNNING) {
        return;
    }
    end->heard_ms = end->now_ms;
    end->turn = RELAY_MORE;
    if (is_data && end->allowed <= 0) {
        struct error err = {0};
        error_set(&err, ERR_INVALID, "the other side says more than it may");
        end_with(end, &err);
        return;
    }
    if (is_data) {
        end->allowed -= cost_of(frame->data.len);
        if (end->events.on_frame != NULL) {
            end->events.on_frame(end->context, frame->number, frame->data);
        } else {
            relay_consumed(end, frame->data.len);
        }
    }
    if (end->state == RELAY_RUNNING && frame->is_last) {
        hear_last(end, frame);
    } else if (end->state == RELAY_RUNNING && frame->credit > 0) {
        hear_credit(end, frame->credit);
    }
}

// --- time ---

void relay_end_tick(struct relay_end *end, int64_t now_ms) {
    struct error err = {0};
    end->now_ms = now_ms;
    if (end->state == RELAY_RUNNING && end->is_torn) {
        error_set(&err, ERR_UNREACHABLE, "something that was said to it was lost");
        end_with(end, &err);
    } else if (end->state == RELAY_RUNNING && now_ms - end->heard_ms >= RELAY_SILENCE_MS) {
        error_set(&err, ERR_UNREACHABLE, "nothing was heard of it for %d s", RELAY_SILENCE_MS / 1000);
        end_with(end, &err);
    } else if (end->state == RELAY_RUNNING && now_ms - end->said_ms >= RELAY_ALIVE_MS) {
        say_nothing(end);
    } else if (end->state < RELAY_RUNNING && now_ms >= end->deadline_ms) {
        error_set(&err, ERR_UNREACHABLE, "%s", end->trouble[0] != '\0' ? end->trouble : "no answer in time");
        end_with(end, &err);
    } else if (end->state == RELAY_LINGERING && now_ms >= end->deadline_ms) {
        end->state = RELAY_OVER;
    }
}

enum relay_turn relay_end_turn(struct relay_end *end) {
    if (end->events.on_turn == NULL || !relay_is_writable(end)) {
        return RELAY_IDLE;
    }
    end->turn = end->events.on_turn(end->context);
    return relay_is_writable(end) ? end->turn : RELAY_IDLE;
}
