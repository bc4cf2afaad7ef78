// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_manifest.c — any bytes as a spec file; what is accepted must survive being written and
// read again.
#include "specs/manifest.h"
#include "test/lib/fuzz.h"

#include "base/assert.h"
#include "base/limits.h"
#include "specs/diagnostic.h"

static const struct pairs no_variables;
static const struct manifest_options options = {.variables = &no_variables, .stack_name = "fuzz"};

// Secrets are not written, and blobs are written as people read them: those do not come back.
static bool comes_back(enum object_kind kind) {
    return kind != KIND_SECRET && kind != KIND_CONFIG;
}

static void check_round_trip(const struct declaration *declaration) {
    const struct schema *schema = object_spec_schema(declaration->kind);
    AUTO_ARENA arena = {0};
    AUTO_BUF text = buf_make(0);
    buf_addf(&text, "kind: %s\n", object_kind_name(declaration->kind));
    yaml_write(schema, declaration->spec, 0, 0, &text);
    struct manifest_options all = options;
    const char *star[] = {"*"};
    all.profiles = &(struct strings){1, star};
    struct declarations out;
    struct diagnostics found;
    int rc = manifest_parse("again", buf_text(&text), text.len, &all, &arena, &out, &found, NULL);
    ASSERT(rc == 0 && out.count == 1 && schema_equal(schema, declaration->spec, out.items[0].spec));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_ARENA arena = {0};
    struct declarations out;
    struct diagnostics found;
    int rc = manifest_parse("fuzz", (const char *)data, size, &options, &arena, &out, &found, NULL);
    ASSERT((rc == 1) == (found.error_count > 0) && (rc == 0 || out.count == 0));
    ASSERT(size > MIB || arena.used_bytes <= 16 * MIB);
    AUTO_BUF shown = buf_make(0);
    for (size_t i = 0; i < found.count; i++) {
        ASSERT(diagnostic_code_find(found.items[i].code) != NULL && found.items[i].at.line >= 1);
        diagnostic_render(&found.items[i], false, &shown);
    }
    diagnostics_json(&found, &shown);
    for (size_t i = 0; i < out.count && i < 20; i++) {
        if (comes_back(out.items[i].kind)) {
            check_round_trip(&out.items[i]);
        }
    }
    return 0;
}
