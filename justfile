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

# A thousand loads of ten thousand rules under traffic, on a release build, latency held against that without
reload-storm reloads="1000":
    SWITCHBOARD_RELOADS={{reloads}} cargo test --release --test reload_storm -- --nocapture

# What sessions see through the router against what they see without it, for so many seconds; servers' data in memory where it can be
state seconds="3600" seed="1":
    #!/usr/bin/env bash
    set -euo pipefail
    dir=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    TMPDIR=$dir SWITCHBOARD_STATE_PROGRAMS=1000000 SWITCHBOARD_STATE_SECONDS={{seconds}} SWITCHBOARD_STATE_SEED={{seed}} cargo test --test state -- --nocapture

# MariaDB's own tests through the router, on a release build; those of the packages mariadb-test and mariadb-test-data
mtr *args:
    deploy/provision.sh mtr
    cargo build --release
    python3 tests/mtr/run.py {{args}}

# SQLAlchemy's and Django's own tests through the router, on a release build; packages come from PyPI
orm *args:
    deploy/provision.sh orm
    cargo build --release
    python3 tests/orm/run.py {{args}}

# Licences, sources and doubled dependencies
deny:
    ./test deny
