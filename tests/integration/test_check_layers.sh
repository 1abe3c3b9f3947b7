# tools/check-layers passes on the tree as it is, and names what is planted into a copy of it.

# shellcheck shell=sh source=tests/tools/tap.sh
. "$TRANCHE_ROOT/tests/tools/tap.sh"

check() { # runs the check in the copy
    run sh -c "cd '$TAP_DIR/tree' && tools/check-layers"
}

plant() { # FILE LINE...: a fresh copy of the tree with this file added
    rm -rf "$TAP_DIR/tree"
    mkdir -p "$TAP_DIR/tree"
    cp -r "$TRANCHE_ROOT/src" "$TRANCHE_ROOT/include" "$TRANCHE_ROOT/tools" "$TAP_DIR/tree"
    file=$TAP_DIR/tree/$1
    shift
    printf '%s\n' "$@" >"$file"
}

expect_offence() { # TEXT
    expect_exit 1
    expect_stdout_contains "$1"
}

it 'the tree keeps to its layers'
plant src/engine/planted.c '/* fine */' '#include "engine/engine.h"' '#include <stdint.h>'
check
expect_exit 0
expect_stdout_empty

it 'an include of a higher floor is named with file, line and what is allowed'
plant src/engine/planted.c '/* planted */' '#include "base/base.h"' '#include "report/report.h"'
check
expect_offence 'src/engine/planted.c:3: engine may not include report/report.h, which is above it'
expect_stdout_contains '(engine may use base num catalog record)'

it 'an include of a lower floor that the room does not list is refused'
plant src/engine/planted.c '#include "fmt/fmt.h"'
check
expect_offence 'src/engine/planted.c:1: engine may not include fmt/fmt.h'

it 'the command line sees public headers only'
plant src/cli/planted.c '#include <tranche/plan.h>' '#include "plan/plan.h"'
check
expect_offence 'src/cli/planted.c:2: cli may not include plan/plan.h (cli may use tranche/*.h)'

it 'a public header is for the rooms that implement it'
plant src/engine/planted.c '#include <tranche/tranche.h>' '#include <tranche/plan.h>'
check
expect_offence 'src/engine/planted.c:2: engine may not include tranche/plan.h'

it 'a library is for the room that wraps it'
plant src/catalog/planted.c '#include <yaml.h>'
check
expect_offence 'src/catalog/planted.c:1: catalog may not include yaml.h (only fmt may)'

it 'a public header may not lean on a room'
plant include/tranche/plan.h '#include "base/base.h"'
check
expect_offence 'include/tranche/plan.h:1: public headers may not include base/base.h'

it 'a room without a line in the table is refused'
plant include/tranche/plan.h ''
mkdir "$TAP_DIR/tree/src/attic"
check
expect_offence 'src/attic: no line for this room in tools/layers.txt'

it 'a banned function is named, and what to use instead'
plant src/report/planted.c 'void f(char *d, const char *s)' '{' '    strcpy(d, s);' '}'
check
expect_offence 'src/report/planted.c:3: strcpy() is banned'

it 'a clock in a pure room is refused'
plant src/engine/planted.c 'clock_gettime(CLOCK_MONOTONIC, &now);'
check
expect_offence 'src/engine/planted.c:1: clock_gettime() is banned in a pure room'

it 'libm where results are decided is refused'
plant src/num/planted.c 'double f(double x)' '{' '    return exp(x);' '}'
check
expect_offence 'src/num/planted.c:3: exp() is banned in a room that decides results'

it 'comments, literals and members of the same name are not calls'
plant src/engine/planted.c '/* strcpy(a, b) */' 'f("printf(%d)");' 'log->time(log);' \
    '// exp(1)' 'tr_log(x);'
check
expect_stdout_lacks planted

finish
