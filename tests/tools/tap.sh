# A small library for tests of programs, sourced by tests/integration/*.sh. Output is TAP.
#
#   . "$TRANCHE_ROOT/tests/tools/tap.sh"
#
#   it 'names the nearest key'
#   run "$TRANCHE" plan "$TAP_DIR/bad.yaml"
#   expect_exit 2
#   expect_stderr_one_line
#   expect_stderr_contains 'did you mean "workloads"'
#
#   finish
#
# `it` opens a case, which passes if every expectation up to the next `it` holds. `run` runs a
# command and keeps its exit status, standard output and standard error ($TAP_DIR/stdout, stderr).
# $TAP_DIR is a scratch folder, removed at the end. A run that dies by a signal or is stopped by a
# sanitizer fails its case whatever is expected of it.
#
# shellcheck shell=sh

TAP_DIR=$(mktemp -d) || exit 1
trap 'rm -rf "$TAP_DIR"' EXIT
# The sanitizers' own exit status must not look like one of the program's.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}exitcode=99"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}exitcode=99"
export NO_COLOR=1

tap_number=0
tap_failed=0
tap_case=
tap_case_failed=

it() { # DESCRIPTION
    tap_close
    tap_case=$1
    tap_case_failed=
}

run() { # COMMAND...: standard input is passed on
    tap_command=$*
    tap_status=0
    "$@" >"$TAP_DIR/stdout" 2>"$TAP_DIR/stderr" || tap_status=$?
    if [ "$tap_status" -eq 99 ] || { [ "$tap_status" -gt 128 ] && [ "$tap_status" -ne 130 ]; }; then
        tap_fail "crashed (exit status $tap_status)"
    fi
}

expect_exit() { # STATUS
    [ "$tap_status" -eq "$1" ] || tap_fail "exit status $tap_status, expected $1"
}

expect_stdout_contains() { # TEXT
    grep -qF -e "$1" "$TAP_DIR/stdout" || tap_fail "standard output lacks: $1"
}

expect_stdout_lacks() { # TEXT
    ! grep -qF -e "$1" "$TAP_DIR/stdout" || tap_fail "standard output has: $1"
}

expect_stdout_matches() { # EXTENDED-REGULAR-EXPRESSION, for some line
    grep -qE -e "$1" "$TAP_DIR/stdout" || tap_fail "no line of standard output matches: $1"
}

expect_stdout_is() { # FILE
    cmp -s "$1" "$TAP_DIR/stdout" || tap_fail "standard output differs from $1"
}

expect_stdout_width() { # COLUMNS: no line is wider
    tap_widest=$(LC_ALL=C.UTF-8 wc -L <"$TAP_DIR/stdout")
    [ "$tap_widest" -le "$1" ] || tap_fail "a line has $tap_widest columns, at most $1 fit"
}

expect_stdout_empty() {
    [ ! -s "$TAP_DIR/stdout" ] || tap_fail 'standard output is not empty'
}

expect_stderr_contains() { # TEXT
    grep -qF -e "$1" "$TAP_DIR/stderr" || tap_fail "standard error lacks: $1"
}

expect_stderr_one_line() {
    [ "$(wc -l <"$TAP_DIR/stderr")" -eq 1 ] || tap_fail 'standard error is not one line'
}

expect_stderr_empty() {
    [ ! -s "$TAP_DIR/stderr" ] || tap_fail 'standard error is not empty'
}

# An expectation of your own: expect 'what should hold' COMMAND...
expect() {
    tap_what=$1
    shift
    "$@" >/dev/null 2>&1 || tap_fail "$tap_what"
}

finish() {
    tap_close
    echo "1..$tap_number"
    [ "$tap_failed" -eq 0 ]
    exit
}

tap_fail() { # WHY
    tap_case_failed=yes
    echo "# $tap_case: $1"
    echo "#   after: $tap_command"
    sed 's/^/#   stdout: /' "$TAP_DIR/stdout" | head -n 20
    sed 's/^/#   stderr: /' "$TAP_DIR/stderr" | head -n 40
}

tap_close() {
    [ -n "$tap_case" ] || return 0
    tap_number=$((tap_number + 1))
    if [ -n "$tap_case_failed" ]; then
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_number - $tap_case"
    else
        echo "ok $tap_number - $tap_case"
    fi
    tap_case=
}
