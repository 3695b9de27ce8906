#!/usr/bin/env python3
"""Compares Switchboard with HAProxy and with no proxy at all, in one run on one machine:

    python3 benches/compare

HAProxy in TCP mode neither reads nor routes anything, so it is the floor. Every round measures all targets one after the
other, and ratios are taken within a round. CPU is the proxy's own processor time, all threads, per query.
"""

import argparse
import datetime
import json
import random
import subprocess
import sys

import crowd
import load
import machine
import memory
import report
import targets

SLACK = 200


def arguments():
    p = argparse.ArgumentParser(prog="python3 benches/compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--workloads", default=",".join(load.DEFAULT), help=f"comma-separated, of: {', '.join(load.WORKLOADS)}; or none")
    p.add_argument("--connections", default="16,64", help="numbers of connections (default %(default)s)")
    p.add_argument("--targets", default="direct,haproxy,switchboard",
                   help="of: direct, haproxy, haproxy-again (a second HAProxy: how far the same thing differs from itself), switchboard, "
                        "before (--before)")
    p.add_argument("--before", metavar="BINARY", help="a switchboard of an earlier build, for the target before")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=8, help="of each measurement (default %(default)s)")
    p.add_argument("--tables", type=int, default=10)
    p.add_argument("--rows", type=int, default=10000, help="in each table (default %(default)s)")
    p.add_argument("--max-foreign", type=float, default=1.0, metavar="SHARE",
                   help="measure again, at most 5 times, where other processes used more than this share of the machine")
    p.add_argument("--proxy", action="append", default=[], metavar="NAME=HOST:PORT:PID[,PID...]",
                   help=f"a proxy that runs already, in front of 127.0.0.1 and --server-port, and lets {targets.USER} with "
                        f"{targets.PASSWORD} in")
    p.add_argument("--server-port", type=int, default=0, metavar="PORT", help="the server's port (default: a free one)")
    p.add_argument("--memory", action="store_true", help="also measure idle clients and a large result")
    p.add_argument("--clients", type=int, default=10000, help="idle clients (default %(default)s)")
    p.add_argument("--idle-seconds", type=int, default=10)
    p.add_argument("--crowd", action="store_true", help="also measure many clients over few server connections, a tenth INSERTs")
    p.add_argument("--crowd-clients", type=int, default=2000)
    p.add_argument("--crowd-rate", type=float, default=5.0, help="statements a second of each (default %(default)s)")
    p.add_argument("--crowd-connections", type=int, default=50, help="to the server (default %(default)s)")
    p.add_argument("--stream-mib", type=int, default=1024)
    p.add_argument("--binary", help="a built switchboard (default: cargo build --release)")
    p.add_argument("--switchboard-args", help="arguments for `switchboard run` instead of --writer/--reader; {url} is the server")
    p.add_argument("--json", help="write everything measured to this file")
    p.add_argument("--markdown", help="write the report to this file too")
    return p.parse_args()


def build():
    print("building the release binary", file=sys.stderr)
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=targets.ROOT, check=True)
    meta = subprocess.run(["cargo", "metadata", "--format-version=1", "--no-deps", "--locked"], cwd=targets.ROOT, check=True,
                          capture_output=True, text=True)
    return json.loads(meta.stdout)["target_directory"] + "/release/switchboard"


def start_targets(args, binary, server, clients):
    chosen = []
    for name in args.targets.split(","):
        if name == "direct":
            chosen.append(server.target())
        elif name in ("haproxy", "haproxy-again"):
            chosen.append(targets.haproxy(name, server.port, clients))
        elif name in ("switchboard", "before"):
            own = args.switchboard_args.split() if args.switchboard_args else None
            chosen.append(targets.switchboard(name, binary if name == "switchboard" else args.before, server.port, own))
        else:
            targets.fail(f"unknown target {name!r}")
    return chosen + [targets.foreign(text) for text in args.proxy]


def measure(args, workload, threads, target, server):
    """One measurement, repeated while others make too much noise; the quietest counts."""
    best = None
    for _ in range(5):
        one = load.run(workload, target, server.child.pid, args.tables, args.rows, threads, args.seconds)
        best = one if best is None or one["foreign"] < best["foreign"] else best
        if best["foreign"] <= args.max_foreign:
            break
    cpu = f"{best['cpu_us']:8.2f} µs/query" if best["cpu_us"] is not None else " " * 17
    print(f"  {workload:20} {threads:4} {target.name:14} {cpu} {best['qps']:10,.0f} q/s  p95 {best['p95_ms']:7.2f} ms  "
          f"foreign {best['foreign']:.0%}", file=sys.stderr, flush=True)
    return best


def loads(args, workloads, threads, chosen, server):
    results = {w: {t: [] for t in threads} for w in workloads}
    for number in range(args.rounds):
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
        for workload in workloads:
            for t in threads:
                # Not always in the same order: what the one leaves in caches is not always the other's gain.
                order = random.sample(chosen, len(chosen))
                results[workload][t].append({target.name: measure(args, workload, t, target, server) for target in order})
    return results


def memories(args, binary, needed, limit):
    """With a server of its own: ten thousand connections behind HAProxy want a pool of threads."""
    server = targets.MariaDb(needed + SLACK, args.server_port, thread_pool=True)
    results = {}
    for target in start_targets(args, binary, server, needed):
        if not target.pids:
            continue
        print(f"memory of {target.name}: {args.clients} idle clients, {args.stream_mib} MiB streamed", file=sys.stderr, flush=True)
        results[target.name] = {
            "stream": memory.stream(target, args.stream_mib),
            "idle": memory.idle(target, memory.clients_that_fit(target, args.clients, limit), args.idle_seconds),
        }
    targets.stop_all()
    return results


def main():
    args = arguments()
    subprocess.run([targets.ROOT / "deploy/provision.sh", "bench"], check=True)
    workloads = [] if args.workloads in ("", "none") else args.workloads.split(",")
    for workload in workloads:
        if workload not in load.WORKLOADS:
            targets.fail(f"unknown workload {workload!r}; there are: {', '.join(load.WORKLOADS)}")
    threads = [int(n) for n in args.connections.split(",")]
    binary = args.binary or (build() if "switchboard" in args.targets.split(",") else None)
    if "before" in args.targets.split(",") and not args.before:
        targets.fail("the target before needs --before BINARY")
    needed = max(args.clients + SLACK if args.memory else 0, args.crowd_clients if args.crowd else 0, max(threads) * 4)
    limit = memory.raise_file_limit(needed * 3 + 1000)

    run = {
        "date": datetime.date.today().isoformat(),
        "command": "python3 benches/compare " + " ".join(sys.argv[1:]),
        "machine": machine.describe(), "rounds": args.rounds, "seconds": args.seconds,
        "targets": [], "results": {}, "memory": {},
    }
    if workloads:
        server = targets.MariaDb(max(threads) * 6 + SLACK, args.server_port)
        print(f"loading {args.tables} tables of {args.rows} rows", file=sys.stderr)
        load.prepare(server.target(), args.tables, args.rows)
        chosen = start_targets(args, binary, server, max(threads) * 4)
        count = len(workloads) * len(threads) * len(chosen) * args.rounds
        print(f"{count} measurements, about {count * (args.seconds + 1) // 60 + 1} minutes", file=sys.stderr)
        run["targets"] = [target.name for target in chosen]
        run["results"] = loads(args, workloads, threads, chosen, server)
        targets.stop_all()
    if args.memory:
        run["memory"] = memories(args, binary, needed, limit)
    if args.crowd:
        server = targets.MariaDb(args.crowd_connections + SLACK, args.server_port)
        if not workloads:
            load.prepare(server.target(), 1, args.rows)
        run["crowd"] = crowd.measure(binary, server, args.crowd_connections, args.crowd_clients, args.crowd_rate, args.seconds,
                                     args.rows)
        targets.stop_all()
    text = report.markdown(run)
    print(text)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(run, file, indent=1)
    if args.markdown:
        with open(args.markdown, "w", encoding="utf-8") as file:
            file.write(text)


main()
