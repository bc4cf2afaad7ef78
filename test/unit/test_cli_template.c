// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_cli_template.c — templates as people write them for Docker, and what is said of broken ones.
#include "cli/template.h"

#include <string.h>

#include "base/str.h"
#include "test/lib/check.h"

static const char document[] = "{\"ID\":\"3x9\",\"Name\":\"web\",\"Replicas\":3,\"Ratio\":0.5,\"Global\":"
                               "false,\"Empty\":\"\",\"Nothing\":null,"
                               "\"Ports\":[80,443],\"None\":[],\"Spec\":{\"Labels\":{\"a.b\":\"c\",\"tier\":"
                               "\"front end\"},\"Image\":\"nginx:1\"},"
                               "\"Tasks\":[{\"Slot\":1,\"Node\":\"w1\"},{\"Slot\":2,\"Node\":\"w2\"}]}";

static int render(const char *text, struct buf *out, struct error *err) {
    AUTO_ARENA arena = {0};
    struct template *template = NULL;
    json_t *data = json_loads(document, 0, NULL);
    assert_non_null(data);
    int rc = template_parse(text, &arena, &template, err);
    rc = rc < 0 ? rc : template_render(template, data, out, err);
    json_decref(data);
    return rc;
}

static void templates_give_text(void **state) {
    (void)state;
    // tidy: table
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"{{.ID}} {{.Name}}", "3x9 web"},
        {"{{ .ID }}\\t{{.Name}}\\n", "3x9\tweb\n"},
        {"{{.Spec.Image}}", "nginx:1"},
        {"{{.Spec.Labels.tier}}", "front end"},
        {"{{index .Spec.Labels \"a.b\"}}", "c"},
        {"{{index .Spec.Labels \"none\"}}", ""},
        {"{{(index .Tasks 1).Node}}", "w2"},
        {"{{json .Ports}} {{json .Name}} {{json .Nothing}}", "[80,443] \"web\" null"},
        {"{{.Ports}} {{.Spec.Labels}} {{.Global}} {{.Ratio}} {{.Nothing}}",
         "[80 443] map[a.b:c tier:front end] false 0.5 <no value>"},
        {"{{upper .Name}} {{.Name | upper | lower}} {{title \"a bc\"}}", "WEB web A Bc"},
        {"{{join .Ports \", \"}}", "80, 443"},
        {"{{split \"a,b,,c\" \",\" | len}}", "4"},
        {"{{join (split .Spec.Image \":\") \"/\"}}", "nginx/1"},
        {"{{truncate .Spec.Image 3}}|{{pad .ID 1 2}}|", "ngi| 3x9  |"},
        {"{{range .Tasks}}{{.Slot}}@{{.Node}} {{end}}", "1@w1 2@w2 "},
        {"{{range .Ports}}{{println .}}{{end}}", "80\n443\n"},
        {"{{range .None}}x{{else}}none{{end}}", "none"},
        {"{{range .Tasks}}{{$.Name}}.{{.Slot}} {{end}}", "web.1 web.2 "},
        {"{{with .Spec}}{{.Image}}{{end}}{{with .Empty}}x{{else}}y{{end}}", "nginx:1y"},
        {"{{if .Global}}g{{else if gt .Replicas 2}}many{{else}}few{{end}}", "many"},
        {"{{if and .Name (not .Global)}}yes{{end}}{{if or .Empty .Nothing}}no{{end}}", "yes"},
        {"{{if eq .Name \"api\" \"web\"}}one{{end}}{{if ne .Replicas 3}}x{{end}}", "one"},
        {"{{if and (ge 2 2) (le 1 2) (lt 9 10)}}ok{{end}}", "ok"},
        {"a {{- .Name -}} b", "awebb"},
        {"a {{- /* nothing */ -}} b", "ab"},
        {"{{\"{{\"}} {{\"a\\\"b\"}} {{`r\\n`}}", "{{ a\"b r\n"}, // \n is read before, as Docker does
        {"{{printf \"%s has %d, 100%% %q\" .Name .Replicas .ID}}", "web has 3, 100% \"3x9\""},
        {"{{print .Name 1}}{{len .Name}}{{len .Spec.Labels}}", "web132"},
        {"{{range .Spec.Labels}}{{.}};{{end}}", "c;front end;"},
        {"{{if .Tasks}}{{range .Tasks}}{{if eq .Slot 2}}{{.Node}}{{end}}{{end}}{{end}}", "w2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_BUF out = {0};
        struct error err = {0};
        int rc = render(cases[i].text, &out, &err);
        if (rc != 0 || !str_equal(buf_text(&out), cases[i].wanted)) {
            fail_msg("'%s' gives '%s', not '%s' (%d, %s)", cases[i].text, buf_text(&out), cases[i].wanted, rc,
                     err.root);
        }
    }
}

static void broken_templates_are_refused(void **state) {
    (void)state;
    // tidy: table
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"{{.Nmae}}", "in the template at {{.Nmae}}: there is no field '.Nmae': did you mean '.Name'?"},
        {"{{.Spec.Zzzzzzzzz}}", "there is no field '.Zzzzzzzzz'; there are: Labels, Image"},
        {"{{.Name.X}}", "'.X' is asked of what has no fields"},
        {"{{.ID", "the template ends inside an action: '{{.ID'"},
        {"{{}}", "a value or a function is missing"},
        {"{{.ID | }}", "a value or a function is missing"},
        {"{{frob .ID}}", "there is no function 'frob'; there are: json"},
        {"{{range .Tasks}}x", "{{range .Tasks}} has no {{end}}"},
        {"{{if .ID}}a{{else}}b{{else}}c{{end}}", "has no {{end}}"},
        {"x{{end}}", "there is no block to end"},
        {"{{else}}", "there is no block to end"},
        {"{{(.ID}}", "a bracket is left open"},
        {"{{.ID)}}", "a bracket too many"},
        {"{{\"open}}", "ends inside an action"},
        {"{{$x}}", "variables are not supported"},
        {"{{.ID .Name}}", "a value takes no arguments"},
        {"{{upper}}", "upper wants 1 argument, not 0"},
        {"{{upper .Replicas}}", "upper wants text"},
        {"{{index .Ports 2}}", "index 2 is not in the list of 2"},
        {"{{range .Name}}x{{end}}", "range wants a list or a map"},
        {"{{printf \"%x\" 1}}", "printf knows"},
        {"{{pad .ID 100000 0}}", "pad wants text and two numbers from 0 to 1000"},
        {"{{print 1 1 1 1 1 1 1 1 1 1 1}}", "too many arguments"},
        {"{{((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))}}", "nested too deep"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_BUF out = {0};
        struct error err = {0};
        int rc = render(cases[i].text, &out, &err);
        if (rc != -ERR_USAGE || strstr(err.root, cases[i].wanted) == NULL) {
            fail_msg("'%s' gives %d '%s', not '%s'", cases[i].text, rc, err.root, cases[i].wanted);
        }
    }
}

static void blocks_nest_only_so_deep(void **state) {
    (void)state;
    AUTO_BUF text = {0};
    AUTO_BUF out = {0};
    struct error err = {0};
    for (int i = 0; i < 10000; i++) {
        buf_adds(&text, "{{if .ID}}");
    }
    assert_int_equal(render(buf_text(&text), &out, &err), -ERR_USAGE);
    assert_non_null(strstr(err.root, "nested too deep"));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_give_text),
        cmocka_unit_test(broken_templates_are_refused),
        cmocka_unit_test(blocks_nest_only_so_deep),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
