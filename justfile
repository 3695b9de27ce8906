# The same commands by short names: `just` lists them. CI runs `./test`, whose steps are the recipes below.

[private]
default:
    @just --list --unsorted

# All tests, with what they need installed
test:
    ./test

# Formatting only
fmt:
    ./test fmt

# Clippy only, warnings denied
lint:
    ./test lint

# The demo: the estate in small, with live traffic
demo *args:
    ./demo {{args}}

# Comparison with HAProxy: processor time, throughput, latency, memory
bench *args:
    python3 benches/compare {{args}}

# Licences, sources and doubled dependencies (needs `cargo install cargo-deny`)
deny:
    cargo deny check bans licenses sources
