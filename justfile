# What one can do here. `just` lists it; https://just.systems tells how to get `just`. Nothing needs it: every recipe
# is a command or two that can be typed.

[private]
default:
    @just --list --unsorted

# A journey with a thousand virtual users against the demo shop
demo vus="1000":
    cargo run --release -- run scripts/quickstart.rhai --demo --vus {{ vus }}

# All tests, or those whose name contains a word: `just test threshold`
test *filter:
    cargo test {{ filter }}

# What CI runs: formatting, lints, tests
check:
    .ci/run

# Fuzz all parsers for so many seconds, or those whose name contains a word: `just fuzz 600 json`
fuzz seconds="60" only="":
    .ci/fuzz {{ seconds }} {{ only }}

# Mend what can be mended by itself: formatting and simple lints
fix:
    cargo clippy --fix --allow-dirty --allow-staged --all-targets
    cargo fmt --all

# Write docs/scripting.md again, after a change of what scripts can call
docs:
    cargo run --quiet -- docs --format markdown > docs/scripting.md.new
    mv docs/scripting.md.new docs/scripting.md

# What a part costs, or whether it is exact: record, snapshot, bridge, json, open, latency
bench name="record":
    cargo bench --bench {{ name }}

# What the whole program costs, side by side with others: throughput, memory, ready, growth, cold, watch, uploads, demo, all
figures name="throughput":
    cargo build --release
    python3 benches/figures.py {{ name }}

# The map of the code as HTML
api:
    cargo doc --no-deps --document-private-items --open
