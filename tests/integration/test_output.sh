# What is printed, as a table and as JSON, and what happens where it cannot be printed.

# shellcheck shell=sh source=tests/tools/tap.sh
. "$TRANCHE_ROOT/tests/tools/tap.sh"
cd "$TRANCHE_ROOT" || exit 1
small=$TAP_DIR/small.yaml
{
    cat examples/four-small.yaml
    echo 'compare: [whole, timeslice:4, "mig:1g.10gb*7"]'
} >"$small"

# A JSON document whose field FIELD is VALUE.
expect_json() { # FIELD VALUE
    expect "JSON with $1 = $2" python3 -c '
import json, sys
document = json.load(open(sys.argv[1]))
sys.exit(str(document[sys.argv[2]]) != sys.argv[3])' "$TAP_DIR/stdout" "$1" "$2"
}

it 'plan prints every section within 100 columns'
run "$TRANCHE" plan --quick "$small"
expect_exit 0
expect_stderr_empty
expect_stdout_width 100
for section in 'Physical limit' 'Arrangements' 'Verdict' 'Rules of thumb' 'Why not the others' \
    'Not modelled' 'Next'; do
    expect_stdout_matches "^$section"
done
expect_stdout_contains 'Pick '

it 'plan --explain adds the arithmetic of every candidate'
run "$TRANCHE" plan --quick --explain "$small"
expect_exit 0
expect_stdout_width 100
expect_stdout_matches '^  memory .*gpu_memory_utilization'
expect_stdout_matches '^  ceilings '
expect_stdout_matches '^  capacity .*requests/s'
expect_stdout_matches '^  misses '

it 'plan -o json: the pick of the table, and the same bytes on one thread and on two'
run "$TRANCHE" plan --quick -o json --jobs 2 "$small"
expect_exit 0
expect_json schema tranche.plan/1
expect_json meets True
expect_json interrupted False
cp "$TAP_DIR/stdout" "$TAP_DIR/two"
run "$TRANCHE" plan --quick -o json --jobs 1 "$small"
expect_stdout_is "$TAP_DIR/two"

it 'plan -o csv has a row for each candidate of the JSON'
run "$TRANCHE" plan --quick -o csv "$small"
expect_exit 0
expect 'as many rows as candidates' python3 -c '
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1])))
plan = json.load(open(sys.argv[2]))
best = plan["candidates"][plan["pick"]]
sys.exit(len(rows) != len(plan["candidates"]) or rows[0]["arrangement"] != best["arrangement"]
         or float(rows[0]["usd_per_month"]) != round(best["fleet"]["usd_per_month"], 9))
' "$TAP_DIR/stdout" "$TAP_DIR/two"

two=$TAP_DIR/two.yaml
cat >"$two" <<'END'
name: two
cluster: {node: azure/Standard_NC24ads_A100_v4, nodes: {min: 1, max: 4}}
workloads:
  - name: titles
    model: llama-3.2-1b
    engine: {max_model_len: 2048}
    traffic: {rate: 1/s, duration: 2m, prompt_tokens: 400, output_tokens: 20}
    slo: {ttft_p95: 500ms}
  - name: embeddings
    server: bert-base-384
    traffic: {rate: 2/s, duration: 2m, items: 8}
    slo: {e2e_p95: 200ms}
compare: [whole, timeslice:2]
END
it 'plan of several workloads prints every section within 100 columns'
run "$TRANCHE" plan --quick "$two"
expect_exit 0
expect_stderr_empty
expect_stdout_width 100
for section in 'Each on nodes of its own' 'Groups that were looked at' 'Pools: who stands where' \
    'Verdict' 'Next'; do
    expect_stdout_matches "^$section"
done
expect_stdout_contains 'titles and embeddings on 1 x azure/Standard_NC24ads_A100_v4 (timeslice:2)'

it 'plan of several workloads as JSON and CSV names the same pool'
run "$TRANCHE" plan --quick -o json "$two"
expect_exit 0
expect_json schema tranche.pools/1
cp "$TAP_DIR/stdout" "$TAP_DIR/two.json"
run "$TRANCHE" plan --quick -o csv "$two"
expect_exit 0
expect 'a row for each workload' python3 -c '
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1])))
pools = json.load(open(sys.argv[2]))["pick"]["pools"]
sys.exit([r["workload"] for r in rows] != pools[0]["workloads"] or len(pools) != 1)
' "$TAP_DIR/stdout" "$TAP_DIR/two.json"

it 'simulate and check want the name of one of several workloads'
for command in simulate check; do
    run "$TRANCHE" $command "$two"
    expect_exit 2
    expect_stderr_contains 'has 2 workloads; name one with --workload'
    run "$TRANCHE" $command "$two" --workload title
    expect_exit 2
    expect_stderr_contains "did you mean 'titles'"
    run "$TRANCHE" $command "$two" --workload embeddings
    expect_exit 0
done

it 'a scenario on standard input is the same scenario'
run sh -c "'$TRANCHE' plan --quick -o csv - <'$small'"
expect_exit 0
cp "$TAP_DIR/stdout" "$TAP_DIR/piped"
run "$TRANCHE" plan --quick -o csv "$small"
expect_stdout_is "$TAP_DIR/piped"

it 'nothing meets the objective: exit status 1, and the table says what would be needed'
sed -e 's/nodes: {.*}/nodes: {min: 1, max: 1}/' -e "s|trace: *|&$TRANCHE_ROOT/examples/|" \
    examples/azure-chat.yaml >"$TAP_DIR/one.yaml"
echo 'compare: [whole, "mig:7g.80gb bf16"]' >>"$TAP_DIR/one.yaml"
run "$TRANCHE" plan --quick "$TAP_DIR/one.yaml"
expect_exit 1
expect_stderr_empty
expect_stdout_width 100
expect_stdout_matches '  above max'

it 'check refutes the published claims, not the control, and exits with 1'
run "$TRANCHE" check examples/claims.yaml
expect_exit 1
expect_stderr_empty
expect_stdout_width 100
expect_stdout_contains '6 of 7 claims refuted'
expect_stdout_matches '^possible .*2 requests/s'
run "$TRANCHE" check -o json examples/claims.yaml
expect_exit 1
expect_json schema tranche.check/1

it 'check of a scenario fits the terminal'
run "$TRANCHE" check "$small"
expect_exit 0
expect_stdout_width 100
expect_stdout_matches '^Memory of one pod'
expect_stdout_matches '^Physical limit'

it 'simulate says whether the objective is met, by its exit status too'
run "$TRANCHE" simulate examples/azure-chat.yaml --nodes 4
expect_exit 0
expect_stdout_width 100
expect_stdout_matches '^  TTFT p95 .* met$'
run "$TRANCHE" simulate examples/azure-chat.yaml --nodes 1
expect_exit 1
expect_stdout_matches '^  TTFT p95 .* not met$'

it 'simulate --num-prompts takes the first requests only'
run "$TRANCHE" simulate examples/azure-chat.yaml --num-prompts 50 -o json
expect_json schema tranche.simulate/1
expect 'fifty requests' grep -q '"offered": 50,' "$TAP_DIR/stdout"

it 'simulate --trace writes every event, in order of time'
run "$TRANCHE" simulate examples/azure-chat.yaml --num-prompts 20 --nodes 2 --trace "$TAP_DIR/trace"
expect '20 arrivals' test "$(grep -c ' arrive ' "$TAP_DIR/trace")" -eq 20
expect 'in order' sh -c "cut -d' ' -f1 '$TAP_DIR/trace' | LC_ALL=C sort -c -n"

it 'traffic inspect, catalog and schema print tables that fit and JSON that parses'
run "$TRANCHE" traffic inspect examples/data/AzureLLMInferenceTrace_conv.csv
expect_exit 0
expect_stdout_width 100
expect_stdout_contains '19,366'
run "$TRANCHE" catalog nodes
expect_exit 0
expect_stdout_width 100
run "$TRANCHE" schema
expect_exit 0
expect 'JSON' python3 -m json.tool "$TAP_DIR/stdout"

it 'calibrate fits one GPU, writes its constants, and a plan takes them'
steps=tests/data/gpu-steps
run "$TRANCHE" calibrate --gpu A100-PCIe-80GB $steps/layer_ops.csv --write "$TAP_DIR/fitted"
expect_exit 0
expect_stdout_width 100
expect_stdout_contains 'The fit holds.'
run "$TRANCHE" catalog gpus A100-PCIe-80GB --catalog "$TAP_DIR/fitted"
expect_exit 0
expect_stdout_contains 'calibrated from layer_ops.csv'
run "$TRANCHE" check --catalog "$TAP_DIR/fitted" "$small"
expect_exit 0
run "$TRANCHE" calibrate --gpu A100-PCIe-80GB $steps/layer_ops.csv -o json
expect_exit 0
expect_json schema tranche.calibrate/1
expect_json better True

it 'calibrate that would make it worse: exit status 1, and nothing is written'
run "$TRANCHE" calibrate --gpu A100-SXM4-40GB $steps/batch_latency.csv --write "$TAP_DIR/worse"
expect_exit 1
expect_stderr_empty
expect_stdout_contains "keep the catalog's constants"
expect 'no folder' test ! -e "$TAP_DIR/worse"

it 'docs/scenario.md is what the program prints'
run "$TRANCHE" schema --reference
expect_exit 0
expect_stdout_is docs/scenario.md

it 'a full disk is one line and exit status 3'
for arguments in "plan --quick $small" "check $small" 'catalog gpus' 'schema' '--help' \
    "plan --quick -o json $small"; do
    # shellcheck disable=SC2086
    run sh -c '"$@" >/dev/full' sh "$TRANCHE" $arguments
    expect_exit 3
    expect_stderr_one_line
    expect_stderr_contains 'No space left on device'
done
run "$TRANCHE" simulate examples/azure-chat.yaml --num-prompts 50 --trace /dev/full
expect_exit 3
expect_stderr_contains 'No space left on device'

it 'a reader that went away needs no message'
run sh -c '{ sleep 0.2; "$1" --help; echo "exit $?" >"$2"; } | true' sh "$TRANCHE" "$TAP_DIR/status"
expect_stderr_empty
sleep 0.4
expect 'exit status 3' grep -qx 'exit 3' "$TAP_DIR/status"

it 'an interrupt: exit status 130, one line, and what was finished'
run sh -c '"$1" plan examples/aks-chatbot.yaml & sleep 0.7; kill -INT $!; wait $!' sh "$TRANCHE"
expect_exit 130
expect_stderr_one_line
expect_stderr_contains 'interrupted'
expect_stdout_contains 'INTERRUPTED'
expect_stdout_width 100

it 'an interrupted plan is a whole JSON document'
run sh -c '"$1" plan -o json examples/aks-chatbot.yaml & sleep 0.7; kill -INT $!; wait $!' sh "$TRANCHE"
expect_exit 130
expect_json interrupted True

it 'no progress is drawn where standard error is no terminal'
run "$TRANCHE" plan --quick "$small"
expect_stderr_empty

it 'the verdict that README.md shows is the one that is given'
sed "s|trace: *|&$TRANCHE_ROOT/examples/|" examples/azure-chat.yaml >"$TAP_DIR/two.yaml"
echo 'compare: [whole bf16, "mig:7g.80gb bf16"]' >>"$TAP_DIR/two.yaml" # the first two of it
run "$TRANCHE" plan --quick "$TAP_DIR/two.yaml"
expect_stdout_contains "$(grep -m 1 '^  Pick ' README.md)"

finish
