#!/bin/sh
# The pages of docs/howto: their ```sh blocks run in one scratch folder a page, which shows the
# repository's own folders, and each line of the ```text block behind one is found in its output.
set -u
. "$TRANCHE_ROOT/tests/tools/tap.sh"

mkdir "$TAP_DIR/bin"
ln -s "$TRANCHE" "$TAP_DIR/bin/tranche"
PATH=$TAP_DIR/bin:$PATH

# Writes block number N of a page to FILE: its commands to FILE.sh, what they print to FILE.text.
block() { # PAGE N FILE
    : >"$3.sh"
    : >"$3.text"
    awk -v wanted="$2" -v file="$3" '
        /^```sh$/ { n++; kind = "sh"; next }
        /^```text$/ { kind = "text"; next }
        /^```/ { kind = ""; next }
        kind != "" && n == wanted { print >(file "." kind) }' "$1"
}

for page in gpu model precision share router tenants; do
    path=$TRANCHE_ROOT/docs/howto/$page.md
    work=$TAP_DIR/$page
    mkdir "$work"
    for folder in catalog docs src tests; do
        ln -s "$TRANCHE_ROOT/$folder" "$work/$folder"
    done
    blocks=$(grep -c '^```sh$' "$path")
    for number in $(seq "$blocks"); do
        it "docs/howto/$page.md: block $number does what the page says"
        block "$path" "$number" "$TAP_DIR/block"
        run sh -c 'cd "$1" && sh -eu "$2"' sh "$work" "$TAP_DIR/block.sh"
        expect_exit 0
        expect 'the page shows output' test -s "$TAP_DIR/block.text"
        while IFS= read -r line; do
            expect_stdout_contains "$line"
        done <"$TAP_DIR/block.text"
    done
done

finish
