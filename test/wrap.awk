# SPDX-License-Identifier: Apache-2.0
#
# test/wrap.awk — wraps comments of C files that are too long for a line, as `make format` wants them.
#
# clang-format can do it too, but does not know the hanging indents of our file heads:
#     // Model        the few ideas
#     //              needed to read the code
# A paragraph is refilled from its first line that is too long, up to the line whose indent differs. A comment behind code that is too
# long moves above it. Run with LC_ALL=C.
function columns(text) {
    gsub(/[\200-\277]/, "", text) # continuation bytes take none
    return length(text)
}

# Prints the words of `text` as comment lines: `first` opens the first one, `next_` the others.
function fill(text, first, next_,    words, count, i, line, fresh) {
    count = split(text, words, / +/)
    line = first
    fresh = 1
    for (i = 1; i <= count; i++) {
        if (words[i] == "") continue
        if (!fresh && columns(line) + 1 + columns(words[i]) > 108) {
            print line
            line = next_
            fresh = 1
        }
        line = line (fresh ? "" : " ") words[i]
        fresh = 0
    }
    print line
}

function blanks(count) {
    return sprintf("%" count "s", "")
}

# The paragraph that begins in line i; returns the line after it.
function wrap_paragraph(i,    margin, body, head, indent, text, rest) {
    match(lines[i], /^ *\/\/ ?/)
    margin = substr(lines[i], 1, RLENGTH)
    sub(/ $/, "", margin)
    body = substr(lines[i], RLENGTH + 1)
    head = ""
    if (match(body, /^([A-Z][a-z]+ [a-z]+|[A-Z][a-z]+)  +/)) {
        head = substr(body, 1, RLENGTH)
        indent = RLENGTH
    } else {
        match(body, /^ */)
        indent = RLENGTH
        head = blanks(indent)
    }
    text = substr(body, length(head) + 1)
    for (i++; i <= NR; i++) {
        if (index(lines[i], margin " " blanks(indent)) != 1) break
        rest = substr(lines[i], length(margin) + 2 + indent)
        if (rest !~ /^[^ ]/ || rest ~ /^[-*•(0-9]/) break
        text = text " " rest
    }
    fill(text, margin " " head, margin " " blanks(indent))
    return i
}

{ lines[NR] = $0 }

END {
    for (i = 1; i <= NR;) {
        if (columns(lines[i]) <= 110) {
            print lines[i++]
        } else if (lines[i] ~ /^ *\/\/ /) {
            i = wrap_paragraph(i)
        } else if (lines[i] !~ /\\$/ && match(lines[i], /[;,{}] +\/\/ [^"]*$/)) {
            code = substr(lines[i], 1, RSTART)
            match(code, /^ */)
            margin = blanks(RLENGTH) "// "
            text = substr(lines[i], length(code) + 1)
            sub(/^ *\/\/ /, "", text)
            fill(text, margin, margin)
            print code
            i++
        } else {
            print lines[i++]
        }
    }
}
