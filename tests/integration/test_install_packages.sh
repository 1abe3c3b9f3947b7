# tools/install-packages: silent when all is there, one clear line where it cannot install.

# shellcheck shell=sh source=tests/tools/tap.sh
. "$TRANCHE_ROOT/tests/tools/tap.sh"

# Stand-ins for apt-get, first on PATH: one that must not be called, one without a network.
mkdir "$TAP_DIR/never" "$TAP_DIR/offline" "$TAP_DIR/bin"
printf '#!/bin/sh\necho "apt-get was called" >&2\nexit 1\n' >"$TAP_DIR/never/apt-get"
printf '#!/bin/sh\necho "E: Unable to fetch some archives."\nexit 100\n' >"$TAP_DIR/offline/apt-get"
printf '#!/bin/sh\nexec "$@"\n' >"$TAP_DIR/offline/sudo"
chmod +x "$TAP_DIR"/*/*

# A machine with everything but meson: links to each tool that the script uses.
for tool in sh env id mktemp rm sed head gcc ninja pkg-config; do
    ln -s "$(command -v $tool)" "$TAP_DIR/bin/$tool"
done

it 'asks nothing of apt when everything is there'
run env PATH="$TAP_DIR/never:$PATH" "$TRANCHE_ROOT/tools/install-packages" build
expect_exit 0
expect_stderr_empty

it 'names the missing package and why it could not be installed'
run env PATH="$TAP_DIR/offline:$TAP_DIR/bin" "$TRANCHE_ROOT/tools/install-packages" build
expect_exit 3
expect_stderr_contains \
    'missing packages: meson; apt-get could not install them: Unable to fetch some archives.'

it 'names the missing package where there is no apt'
run env PATH="$TAP_DIR/bin" "$TRANCHE_ROOT/tools/install-packages" build
expect_exit 3
expect_stderr_one_line
expect_stderr_contains 'missing packages: meson; there is no apt-get here'

it 'refuses an unknown set by name'
run "$TRANCHE_ROOT/tools/install-packages" everything
expect_exit 2
expect_stderr_contains "no package set 'everything'"

finish
