// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_template.c — any bytes as a template of --format, over one small document.
#include "cli/template.h"
#include "test/lib/fuzz.h"

#include "base/assert.h"

static const char document[] =
    "{\"ID\":\"3x9\",\"N\":3,\"B\":true,\"Nil\":null,\"L\":[1,\"a\",[2]],\"M\":{\"a.b\":\"c\"}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_ARENA arena = {0};
    AUTO_BUF out = {0};
    struct error err = {0};
    struct template *template = NULL;
    const char *text = arena_strndup(&arena, (const char *)data, size);
    int rc = template_parse(text, &arena, &template, &err);
    ASSERT(rc == 0 || (rc == -ERR_USAGE && err.root[0] != '\0'));
    if (rc == 0) {
        json_t *value = json_loads(document, 0, NULL);
        rc = template_render(template, value, &out, &err);
        ASSERT(rc == 0 || (rc == -ERR_USAGE && err.root[0] != '\0'));
        json_decref(value);
    }
    return 0;
}
