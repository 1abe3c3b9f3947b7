# What a person types wrongly, and what --help says: one line, what is allowed, the nearest name.

# shellcheck shell=sh source=tests/tools/tap.sh
. "$TRANCHE_ROOT/tests/tools/tap.sh"
cd "$TRANCHE_ROOT" || exit 1

expect_usage_error() { # TEXT
    expect_exit 2
    expect_stdout_empty
    expect_stderr_one_line
    expect_stderr_contains "tranche: $1"
}

for command in plan check simulate traffic calibrate catalog schema version; do
    it "$command --help is the page in tests/golden"
    run "$TRANCHE" "$command" --help
    expect_exit 0
    expect_stderr_empty
    expect_stdout_width 100
    expect_stdout_is "tests/golden/help_$command.txt"

    it "help $command is the same page"
    run "$TRANCHE" help "$command"
    expect_exit 0
    expect_stdout_is "tests/golden/help_$command.txt"
done

it '--help lists every command'
run "$TRANCHE" --help
expect_exit 0
expect_stdout_is tests/golden/help.txt
run "$TRANCHE" help
expect_stdout_is tests/golden/help.txt

it '--version prints the version'
run "$TRANCHE" --version
expect_exit 0
expect_stdout_matches '^tranche [0-9]+\.[0-9]+\.[0-9]+$'

it 'no command'
run "$TRANCHE"
expect_usage_error 'no command given (see tranche --help)'

it 'an unknown command is answered with the nearest'
run "$TRANCHE" paln
expect_usage_error 'unknown command "paln"; did you mean plan?'

it 'an unknown command that is near to none'
run "$TRANCHE" frobnicate
expect_usage_error 'unknown command "frobnicate" (see tranche --help)'

it 'an unknown option is answered with the nearest'
run "$TRANCHE" plan --exlpain examples/four-small.yaml
expect_usage_error 'unknown option --exlpain; did you mean --explain? (see tranche plan --help)'

it 'an unknown letter'
run "$TRANCHE" plan -qz examples/four-small.yaml
expect_usage_error 'unknown option -z'

it 'an option without its value'
run "$TRANCHE" plan examples/four-small.yaml --seed
expect_usage_error 'option --seed needs a value'

it 'a value where none is taken'
run "$TRANCHE" plan --quick=yes examples/four-small.yaml
expect_usage_error 'option --quick takes no value'

for value in -1 1.5 12x '' 0x10 99999999999999999999; do
    it "a seed that is no whole number: \"$value\""
    run "$TRANCHE" plan --seed "$value" examples/four-small.yaml
    expect_usage_error "--seed \"$value\" is not a whole number from 0 to 9223372036854775807"
done

it 'a format that is not known'
run "$TRANCHE" plan -o jsno examples/four-small.yaml
expect_usage_error 'no output as "jsno"; allowed: table|json|csv; did you mean json?'

it 'a format that the command has no form for is refused before the run'
run "$TRANCHE" plan -o yaml examples/aks-chatbot.yaml
expect_usage_error 'no output as "yaml"; allowed: table|json|csv'

it 'no file, and two'
run "$TRANCHE" plan
expect_usage_error 'plan needs a scenario file'
run "$TRANCHE" check a.yaml b.yaml
expect_usage_error 'check takes a scenario file, and no second one: "b.yaml"'

it 'a file that is not there'
run "$TRANCHE" plan "$TAP_DIR/missing.yaml"
expect_usage_error "$TAP_DIR/missing.yaml: "

it 'a folder'
run "$TRANCHE" plan "$TAP_DIR"
expect_usage_error "$TAP_DIR: "

it 'an empty scenario'
: >"$TAP_DIR/empty.yaml"
for command in plan check simulate; do
    run "$TRANCHE" "$command" "$TAP_DIR/empty.yaml"
    expect_usage_error "$TAP_DIR/empty.yaml: the file is empty"
done

it 'a scenario of zeroes, and one of noise'
head -c 4096 /dev/zero >"$TAP_DIR/zero.yaml"
run "$TRANCHE" plan "$TAP_DIR/zero.yaml"
expect_usage_error "$TAP_DIR/zero.yaml:"
cat "$TRANCHE" >"$TAP_DIR/noise.yaml"
run "$TRANCHE" plan "$TAP_DIR/noise.yaml"
expect_usage_error "$TAP_DIR/noise.yaml"

it 'every truncated scenario is one error with its place, or a whole one'
bytes=$(wc -c <examples/four-small.yaml)
cut=0
while [ "$cut" -lt "$bytes" ]; do
    head -c "$cut" examples/four-small.yaml >"$TAP_DIR/cut.yaml"
    run "$TRANCHE" check "$TAP_DIR/cut.yaml"
    case $tap_status in
    0 | 1) expect_stderr_empty ;;
    *) expect_usage_error "$TAP_DIR/cut.yaml:" ;;
    esac
    cut=$((cut + 37))
done

it 'a misspelt key: file, line, column, and the nearest'
sed 's/precision:/precison:/' examples/four-small.yaml >"$TAP_DIR/key.yaml"
run "$TRANCHE" plan "$TAP_DIR/key.yaml"
expect_exit 2
expect_stderr_one_line
expect 'file:line:col' grep -Eq "^tranche: $TAP_DIR/key.yaml:[0-9]+:[0-9]+: .*precision" "$TAP_DIR/stderr"

it 'a scenario of claims has nothing to plan or simulate'
run "$TRANCHE" plan examples/claims.yaml
expect_usage_error 'examples/claims.yaml: has no workloads to plan'
run "$TRANCHE" simulate examples/claims.yaml
expect_usage_error 'examples/claims.yaml: has no workloads to simulate'

it 'an arrangement that is none, one the GPU lacks, one that does not fit'
run "$TRANCHE" simulate examples/azure-chat.yaml --arrangement timeslic:4
expect_usage_error "arrangement 'timeslic:4'"
expect_stderr_contains 'timeslice'
run "$TRANCHE" simulate examples/azure-chat.yaml --arrangement 'mig:1g.5gb*7'
expect_usage_error ''
expect_stderr_contains '1g.10gb'
run "$TRANCHE" simulate examples/azure-chat.yaml --arrangement 'timeslice:8 bf16'
expect_usage_error ''
expect_stderr_contains 'GiB'

it 'traffic: no verb, an unknown one, no file'
run "$TRANCHE" traffic
expect_usage_error 'traffic needs a verb: inspect'
run "$TRANCHE" traffic inspcet x.csv
expect_usage_error 'unknown verb "inspcet" of traffic; allowed: inspect; did you mean inspect?'
run "$TRANCHE" traffic inspect
expect_usage_error 'traffic needs a trace file'

it 'catalog: an unknown list, an unknown entry'
run "$TRANCHE" catalog gpu
expect_exit 2
expect_stderr_one_line
expect_stderr_contains "'gpus'"
run "$TRANCHE" catalog mig A100-PCIe-80G
expect_exit 2
expect_stderr_one_line
expect_stderr_contains 'A100-PCIe-80GB'

it 'a catalog folder that is not there'
run "$TRANCHE" plan --catalog "$TAP_DIR/nowhere" examples/four-small.yaml
expect_exit 2
expect_stderr_one_line
expect_stderr_contains "$TAP_DIR/nowhere"

finish
