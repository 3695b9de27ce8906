#!/usr/bin/env python3
"""Plays the tests that SQLAlchemy and Django have for MySQL through the router.

Each suite is played straight at a server first, then through the router twice: with everything on the writer, and with reads split
onto a second hostgroup of the same server. A test that passes straight and does not pass through the router is an error, unless
it ends now so and now so without the router as well.

    python3 tests/orm/run.py --switchboard target/release/switchboard [SUITE...]

The packages come from PyPI, into target/orm, in the versions below. The server, its data and the router are the run's own, in a
directory that goes with it, on loopback; each play begins with the data as they were.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
CACHE = TOP / "target/orm"
MYSQL = TOP / "target/servers"  # where the tests of the router unpack and initialise MySQL
WAYS = ("direct", "writer", "split")
USER, PASSWORD = "orm", "orm-secret"
SQLALCHEMY, DJANGO = "sqlalchemy==2.0.58", "django==5.2.19"
PACKAGES = [SQLALCHEMY, DJANGO, "pytest==8.4.2", "pytest-xdist==3.8.0", "greenlet==3.5.6", "cryptography==50.0.2", "tblib==3.2.2", "pymysql==1.2.4",
            "mysqlclient==2.3.2", "asyncmy==0.2.18", "mariadb==1.1.14", "mysql-connector-python==26.10.0",
            "argon2-cffi==25.1.0", "bcrypt==5.0.0", "docutils==0.23", "Jinja2==3.1.6", "pillow==13.0.0", "PyYAML==6.0.4", "tzdata==2026.6"]  # the last ones: what some of Django's tests want
# Each driver with what its address ends in. MariaDB's own prepares every statement on the server (prepared.py).
DRIVERS = {"pymysql": "charset=utf8mb4", "mysqldb": "charset=utf8mb4", "asyncmy": "charset=utf8mb4", "mariadbconnector": "",
           "mysqlconnector": "charset=utf8mb4&collation=utf8mb4_general_ci"}
LABELS = """aggregation aggregation_regress annotations backends basic bulk_create constraints custom_pk dates datetimes db_functions
    defer delete delete_regress expressions expressions_case expressions_window force_insert_update get_or_create indexes inspectdb
    introspection lookup many_to_many many_to_one migrations model_fields multiple_database ordering prefetch_related queries
    raw_query schema select_for_update select_related timezones transaction_hooks transactions update""".split()
# Without a transaction around each test, so that reads may go to a reader (settings.py).
AUTOCOMMIT = """aggregation annotations basic bulk_create db_functions defer expressions expressions_case expressions_window lookup
    many_to_many ordering prefetch_related queries raw_query select_for_update select_related update""".split()
SUITES = {
    **{f"sqlalchemy-{driver}": ["test/dialect/mysql", "test/dialect/test_suite.py"] for driver in DRIVERS},
    "sqlalchemy-all": ["--backend-only", "test/engine", "test/sql", "test/orm"],
    "django": LABELS,
    "django-autocommit": AUTOCOMMIT,
}
SHORT = {
    "sqlalchemy-pymysql": ["test/dialect/mysql/test_for_update.py", "test/dialect/mysql/test_on_duplicate.py", "test/dialect/mysql/test_query.py"],
    "django": ["basic", "bulk_create", "select_for_update", "transactions"],
}


def program(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") or sys.exit(f"{name} is missing")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end(process, how=signal.SIGTERM):
    """Ends a process that we started, with all that it started."""
    if process and process.poll() is None:
        os.killpg(process.pid, how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def install():
    """The packages, and the sources of the two whose tests are not in their wheels."""
    python, done = CACHE / "venv/bin/python", CACHE / "installed"
    if not done.exists() or done.read_text() != "\n".join(PACKAGES):
        subprocess.run([sys.executable, "-m", "venv", "--clear", CACHE / "venv"], check=True)
        pip = [python, "-m", "pip", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", *PACKAGES], check=True)
        for package in (SQLALCHEMY, DJANGO):
            name = package.replace("==", "-")
            shutil.rmtree(CACHE / name, ignore_errors=True)
            subprocess.run([*pip, "download", "--no-binary", ":all:", "--no-deps", "-d", CACHE, package], check=True)
            shutil.unpack_archive(CACHE / f"{name}.tar.gz", CACHE, filter="data")
        done.write_text("\n".join(PACKAGES))
    return python


class Place:
    """A server of its own, and a router before it where the way has one."""

    def __init__(self, work, engine, template, way, switchboard):
        self.work, self.server, self.router = work, None, None
        work.mkdir()
        shutil.copytree(template, work / "data")
        self.socket = work / "server.sock"
        self.server = start_server(work, engine, work / "data", self.socket, port := free_port())
        self.port = port
        if way != "direct":
            self.port = free_port()
            self.start_router(way, switchboard)

    def start_router(self, way, switchboard):
        reader = way == "split"
        self.http = free_port()
        lines = [f'read_your_writes = "0"\n[listen]\naddresses = ["127.0.0.1:{self.port}"]\n[http]\naddress = "127.0.0.1:{self.http}"']
        for number, role in ((10, "writer"), (20, "reader"))[:1 + reader]:
            lines.append(f'[[hostgroup]]\nid = {number}\nname = "{role}s"\nrole = "{role}"')
            lines.append(f'[[backend]]\nhostgroup = {number}\naddress = "{self.socket}"\nmax_connections = 100')
        if reader:
            lines.append("[[rule]]\nrule_id = 1\nreader_safe = true\ndestination_hostgroups = [20, 10]\napply = true")
        lines.append("[[rule]]\nrule_id = 2\ndestination_hostgroup = 10\napply = true")
        lines.append(f'[[user]]\nusername = "{USER}"\npassword = "{PASSWORD}"\n')
        (self.work / "router.toml").write_text("\n".join(lines))
        with open(self.work / "router.log", "w") as log:
            self.router = subprocess.Popen([switchboard, "run", "--config", self.work / "router.toml"], stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, start_new_session=True)
        for _ in range(200):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=2) as s:
                    if len(s.recv(64)) > 4:
                        return
            except OSError:
                time.sleep(0.05)
        sys.exit(f"the router does not start: {(self.work / 'router.log').read_text()}")

    def served(self):
        """How many statements each hostgroup has served, of the router's own word."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics").read().decode()
        (self.work / "metrics").write_text(text)
        found = re.findall(r'^switchboard_backend_statements_total\{hostgroup="(\d+)".*\} (\d+)$', text, re.M)
        return {int(hostgroup): int(count) for hostgroup, count in found}

    def stop(self):
        end(self.router, signal.SIGKILL)
        end(self.server)


def mysql_program(name):
    """How a program of MySQL is run from where the package is unpacked: by the loader of the C library that came with it."""
    tree = MYSQL / "mysql-sid-2"
    library = tree / f"usr/lib/{platform.machine()}-linux-gnu"
    loader = next(library.glob("ld-linux-*.so*"), None)
    if not loader or not (MYSQL / "mysql-sid-template").is_dir():
        sys.exit("MySQL is not unpacked here: cargo test --test servers does that")
    return [loader, "--library-path", f"{library}:{tree}/usr/lib/mysql/private", tree / "usr" / name]


def mysqld():
    share = MYSQL / "mysql-sid-2/usr/share/mysql"
    return [*mysql_program("sbin/mysqld"), "--no-defaults", f"--basedir={MYSQL}/mysql-sid-2/usr", f"--lc-messages-dir={share}",
            "--secure-file-priv=", "--mysqlx=OFF", "--skip-log-bin"]


def start_server(work, engine, data, sock, port):
    command = [program("mariadbd"), "--no-defaults"] if engine == "mariadb" else mysqld()
    command += [f"--datadir={data}", f"--socket={sock}", f"--pid-file={work}/server.pid", f"--port={port}", "--bind-address=127.0.0.1",
                "--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0", f"--tmpdir={work}",
                *(["--user=root"] if os.getuid() == 0 else [])]
    with open(work / "server.log", "w") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    for _ in range(600):
        if server.poll() is not None:
            break
        if subprocess.run([program("mariadb-admin"), "--no-defaults", "-uroot", f"-S{sock}", "ping"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return server
        time.sleep(0.1)
    sys.exit(f"the server does not start: {(work / 'server.log').read_text()[-2000:]}")


def make_template(work, engine):
    """A data directory with the account, the schemas that SQLAlchemy wants to find, and the time zones of which Django's tests know names."""
    data = work / "template"
    if engine == "mariadb":
        subprocess.run([program("mariadb-install-db"), "--no-defaults", *(["--user=root"] if os.getuid() == 0 else []), f"--datadir={data}",
                        "--auth-root-authentication-method=normal", "--skip-test-db"], check=True, stdout=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(work)})
    else:
        shutil.copytree(MYSQL / "mysql-sid-template", data)
    sock = work / "template.sock"
    server = start_server(work, engine, data, sock, free_port())
    client = [program("mariadb"), "--no-defaults", "-uroot", f"-S{sock}"]
    schemas = "".join(f"CREATE SCHEMA {name} CHARACTER SET utf8mb4;" for name in ("test", "test_schema", "test_schema_2", "django", "other"))
    subprocess.run([*client, "-e", f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION; {schemas}"], check=True)
    reader = [program("mariadb-tzinfo-to-sql")] if engine == "mariadb" else mysql_program("bin/mysql_tzinfo_to_sql")
    zones = subprocess.run([*reader, "/usr/share/zoneinfo"], check=True, capture_output=True).stdout
    subprocess.run([*client, "mysql"], input=zones, check=True)
    end(server)
    return data


def play(suite, tests, way, number, args, python, template, work):
    """How each test of a suite ended, by its name: how, and what was said."""
    place = Place(work / f"{suite}-{way}-{number}", args.engine, template, way, args.switchboard)
    results, out = place.work / "results", place.work / "suite.log"
    try:
        with open(out, "w") as log:
            if suite.startswith("django"):
                env = os.environ | {"ORM_PORT": str(place.port), "ORM_USER": USER, "ORM_PASSWORD": PASSWORD, "ORM_RESULTS": str(results),
                                    "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1", "ORM_AUTOCOMMIT": "1" if suite.endswith("autocommit") else ""}
                command, cwd = [python, "runtests.py", "--settings=settings", "--noinput", f"--parallel={args.processes}", *tests], CACHE / DJANGO.replace("==", "-") / "tests"
            else:
                driver, env = suite.split("-")[1].replace("all", "mysqldb"), os.environ | {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
                url = f"{args.engine}+{driver}://{USER}:{PASSWORD}@127.0.0.1:{place.port}/test?{DRIVERS[driver]}"
                cwd = CACHE / SQLALCHEMY.replace("==", "-")
                command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--maxfail=1000000", f"--junitxml={results}", "--dburi", url, "-n", str(args.processes), *tests,
                           *(["-p", "prepared"] if driver == "mariadbconnector" else [])]
            suite_process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cwd, env=env, start_new_session=True)
            try:
                suite_process.wait(args.timeout)
            except subprocess.TimeoutExpired:
                print(f"{suite}, {way}: did not end within {args.timeout} s")
            end(suite_process)
        if place.router and place.router.poll() is not None:
            sys.exit(f"the router ended: {(place.work / 'router.log').read_text()[-2000:]}")
        served = place.served() if place.router else {}
    finally:
        place.stop()
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            for name in ("suite.log", "router.log", "metrics"):
                if (place.work / name).exists():
                    shutil.copy(place.work / name, args.out / f"{suite}.{way}.{number}.{name}")
        shutil.rmtree(place.work / "data", ignore_errors=True)
    if not results.exists():
        sys.exit(f"{suite}, {way}: nothing was played:\n{out.read_text()[-2000:]}")
    if suite.startswith("django"):
        return json.loads(results.read_text()), served
    ended = {}
    for case in xml.etree.ElementTree.parse(results).iter("testcase"):
        bad = [part for part in case if part.tag in ("failure", "error")]
        skipped = [part for part in case if part.tag == "skipped"]
        name = f"{case.get('classname')}::{case.get('name')}"
        if ended.get(name, ["passed"])[0] != "failed":
            ended[name] = ["failed", "\n".join(part.text or "" for part in bad)] if bad else ["skipped", ""] if skipped else ["passed", ""]
    return ended, served


def play_suite(suite, tests, args, python, template, work):
    """Plays a suite in all ways. Gives lines to print, and how many tests pass straight only."""
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        plays = {way: pool.submit(play, suite, tests, way, 1, args, python, template, work) for way in args.ways}
        ended = {way: done.result()[0] for way, done in plays.items()}
    count = lambda results, how: sum(end[0] == how for end in results.values())
    lines = [f"{suite}, straight at the server: {count(ended['direct'], 'passed')} passed, {count(ended['direct'], 'skipped')} skipped, "
             f"{count(ended['direct'], 'failed')} failed"]
    straight = {name for name, end in ended["direct"].items() if end[0] == "passed"}
    differ = {way: sorted(name for name in straight if ended[way].get(name, ["missing"])[0] != "passed") for way in args.ways[1:]}
    unsteady = set()
    if any(differ.values()):
        # Once more without the router: what ends otherwise there too says nothing about the router.
        again = play(suite, tests, "direct", 2, args, python, template, work)[0]
        unsteady = {name for name in straight if again.get(name, ["missing"])[0] != "passed"}
    faults = 0
    for way in args.ways[1:]:
        bad = [name for name in differ[way] if name not in unsteady]
        faults += len(bad)
        lines.append(f"{suite}, {'everything on the writer' if way == 'writer' else 'reads split'}: {len(straight) - len(differ[way])} of {len(straight)} passed, "
                     f"{len(bad)} failed, {len(differ[way]) - len(bad)} unsteady also straight")
        for name in bad:
            end_of = ended[way].get(name, ["was not played", ""])
            lines.append(f"  {name}: {end_of[0]}\n      " + "\n      ".join(line[:200] for line in end_of[1].strip().splitlines()[-6:]))
    if "split" in args.ways:
        served = plays["split"].result()[1]
        lines.append(f"{suite}, reads split: the reader served {served.get(20, 0)} of {sum(served.values())} statements")
    if args.out:
        (args.out / f"{suite}.json").write_text(json.dumps(ended, indent=0))
    return lines, faults


def main():
    p = argparse.ArgumentParser(prog="python3 tests/orm/run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("suites", nargs="*", metavar="SUITE", help=f"of: {', '.join(SUITES)}; all where none is given")
    p.add_argument("--switchboard", default=str(TOP / "target/release/switchboard"), metavar="PROGRAM")
    p.add_argument("--engine", choices=("mariadb", "mysql"), default="mariadb")
    p.add_argument("--ways", default=",".join(WAYS[1:]), help="of: writer, split; or none, to play straight alone")
    p.add_argument("--short", action="store_true", help="a sample of two suites, about a minute")
    p.add_argument("--tests", nargs="*", help="in place of a suite's own: paths for SQLAlchemy, labels for Django")
    p.add_argument("--jobs", type=int, default=2, help="plays at once (default %(default)s)")
    p.add_argument("--processes", type=int, default=1, help="that play a suite at once, each in schemas of its own (default %(default)s)")
    p.add_argument("--timeout", type=int, default=3600, metavar="SECONDS", help="of one play (default %(default)s)")
    p.add_argument("--out", type=pathlib.Path, metavar="DIR", help="keeps how each test ended, and what was said")
    args = p.parse_args()
    args.ways = ["direct"] + [way for way in args.ways.split(",") if way in WAYS[1:]]
    chosen = args.suites or list(SHORT if args.short else SUITES)
    if unknown := set(chosen) - set(SHORT if args.short else SUITES):
        sys.exit(f"there is no such suite: {', '.join(unknown)}")
    if not os.access(args.switchboard, os.X_OK):
        sys.exit(f"{args.switchboard} is not there: cargo build --release, or --switchboard PROGRAM")
    python = install()
    base = "/dev/shm" if "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK) else None
    work, faults = pathlib.Path(tempfile.mkdtemp(prefix="orm", dir=base)), 0
    try:
        template = make_template(work, args.engine)
        for suite in chosen:
            lines, bad = play_suite(suite, args.tests or (SHORT if args.short else SUITES)[suite], args, python, template, work)
            print("\n".join(lines), flush=True)
            faults += bad
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if faults:
        sys.exit(1)


if __name__ == "__main__":
    main()
