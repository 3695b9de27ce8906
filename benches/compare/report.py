"""Rounds into medians and ratios, and those into Markdown."""

from statistics import median

from load import WORKLOADS

FLOOR = "haproxy"


def spread(values, digits=2):
    """Median and, of more than one, the smallest and the largest."""
    text = f"{median(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def ratios(rounds, target, key):
    """Each round's own ratio to HAProxy: the two ran minutes apart at most, so that what else went on hit both."""
    pairs = [(r[target][key], r[FLOOR][key]) for r in rounds if target in r and FLOOR in r]
    return [ours / floor for ours, floor in pairs if ours is not None and floor]


def load_tables(results, targets):
    lines = []
    for workload, by_threads in results.items():
        lines += ["", f"### {WORKLOADS[workload][2]} (`{workload}`)", "",
                  "| connections | through | CPU µs/query | × HAProxy | queries/s | × HAProxy | p95 ms | foreign CPU |",
                  "|---|---|---|---|---|---|---|---|"]
        for threads, rounds in by_threads.items():
            for target in targets:
                runs = [r[target] for r in rounds if target in r]
                if not runs:
                    continue
                cpu = [r["cpu_us"] for r in runs if r["cpu_us"] is not None]
                cpu_ratio, qps_ratio = ratios(rounds, target, "cpu_us"), ratios(rounds, target, "qps")
                lines.append("| " + " | ".join([
                    str(threads), target,
                    f"{median(cpu):.2f}" if cpu else "–",
                    spread(cpu_ratio) if cpu_ratio and target != FLOOR else ("1" if target == FLOOR else "–"),
                    f"{median([r['qps'] for r in runs]):,.0f}",
                    spread(qps_ratio) if qps_ratio and target != FLOOR else ("1" if target == FLOOR else "–"),
                    f"{median([r['p95_ms'] for r in runs]):.2f}",
                    f"{max(r['foreign'] for r in runs):.0%}",
                ]) + " |")
    return lines


def memory_tables(memory):
    lines = ["", "### Memory", "",
             "| through | idle clients | KiB each | CPU while idle, ms/s | sign-ins/s | streamed MiB | grown by, KiB | MiB/s |",
             "|---|---|---|---|---|---|---|---|"]
    for target, m in memory.items():
        idle, stream = m.get("idle"), m.get("stream")
        cells = [target]
        cells += ([str(idle["clients"]), f"{idle['kib_per_client']:.2f}", f"{idle['idle_cpu_ms_per_second']:.2f}",
                   f"{idle['sign_ins_per_second']:,.0f}"] if idle else ["–"] * 4)
        cells += ([f"{stream['mebibytes']:,.0f}", f"{stream['grown_kib']:,}", f"{stream['mib_per_second']:,.0f}"]
                  if stream else ["–"] * 3)
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def crowd_table(c):
    failed = ", ".join(f"{code}: {count:,}" for code, count in sorted(c["failures"].items())) or "none"
    return ["", "### A crowd", "",
            f"{c['clients']:,} clients, {c['rate']:g} statements a second each, a tenth INSERTs, {c['limit']} server connections, "
            f"{c['seconds']} s.", "",
            "| statements | failed, by code | unanswered | server connections opened | p50 ms | p99 ms | longest ms | µs/statement |",
            "|---|---|---|---|---|---|---|---|",
            f"| {c['statements']:,} | {failed} | {c['unanswered']:,} | {c['connections']:,} | {c['p50_ms']:.1f} | {c['p99_ms']:.1f} | "
            f"{c['longest_ms']:.0f} | {c['cpu_us']:.1f} |"]


def markdown(run):
    m = run["machine"]
    how = (f" Rounds: {run['rounds']}, interleaved, of {run['seconds']} s for each figure; a ratio is the median of the rounds' "
           "own ratios, with the smallest and the largest." if run["results"] else "")
    lines = [
        f"Measured {run['date']} by `{run['command']}`.{how}", "",
        f"Machine: {m['processor']}, {m['cores']} cores, {m['memory_gib']} GiB, Linux {m['kernel']}. {m['mariadb']}. "
        f"{m['haproxy']}. {m['sysbench']}. Server, proxy and load share the machine. CPU is the proxy's own, all threads.",
    ]
    if run["results"]:
        lines += load_tables(run["results"], run["targets"])
    if run["memory"]:
        lines += memory_tables(run["memory"])
    if "crowd" in run:
        lines += crowd_table(run["crowd"])
    return "\n".join(lines) + "\n"
