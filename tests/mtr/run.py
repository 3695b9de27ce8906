#!/usr/bin/env python3
"""Plays MariaDB's own regression tests (suite `main` of the packages mariadb-test and mariadb-test-data) through the router.

Each test is played straight at a server first. One that passes there is played through the router twice: with everything on the
writer, and with reads split onto a second pool of the same server. A test that passes straight and fails through the router is
an error, unless known.txt says so with a reason; so is a test that known.txt says to differ and that does not.

    python3 tests/mtr/run.py --switchboard target/release/switchboard [TEST...]

The server, its data and the router are the run's own, in a directory that goes with it, on loopback. A test that leaves something
behind (by MariaDB's own mtr.check_testcase, which compares variables, schemas, accounts, plugins) is followed by a fresh server,
straight as through the router.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import queue
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
SUITE = pathlib.Path("/usr/share/mysql/mysql-test")
SHARE = pathlib.Path("/usr/share/mysql")
WAYS = ("writer", "split")
SKIPPED = 62  # mysqltest's exit code for a test that does not apply here

# A few tests of many subjects that take a second or two each, for a look in less than a minute.
SHORT = """1st alter_table bigint bool case cast comments compare constraints create_select ctype_ascii default delete distinct drop
    func_concat func_default func_equal func_if func_isnull func_op func_set group_by having insert_select insert_update join
    join_nested key limit lock lowercase_table negation_elimination null null_key olap order_by ps ps_1general range replace rollback
    select_found sp-code sp-vars sql_mode strict subselect temp_table truncate type_date type_enum type_float
    type_uint type_year union update user_var variables view_alias warnings""".split()

# What a test includes when it stops or starts servers, which the run does itself.
RESTARTS = re.compile(r"include/(?:restart_mysqld|shutdown_mysqld|start_mysqld|kill_mysqld|kill_and_restart|wait_until_disconnected)|"
                      r"^\s*(?:--\s*)?shutdown(?:_server)?\b|mysqld\.1\.expect", re.M | re.I)
INCLUDES = re.compile(r"^\s*(?:--\s*)?(?:source|let\s+\$include_filename\s*=)\s*([\w./-]+?);?\s*$", re.M)

# Who a test signs in as. The router has one account, root without a password.
SIGNS_IN = re.compile(r"^\s*(?:--\s*)?(?:connect\s*\(?\s*[\w$]+\s*,[^,;\n]*,|change_user)\s*([^,;)\s]*)", re.M | re.I)
CLIENT = re.compile(r"exec(?:w)?\s[^\n]*(?:\s-u\s*|--user=)['\"]?(?!root\b)\w")
# Waits for other sessions to be gone from the PROCESSLIST, of which the router keeps the connections. Empty for both sides.
EMPTY = ("wait_until_count_sessions.inc",)


class Known:
    """known.txt: tests that are not played through the router, and tests that differ, each under a heading with the reason.

        ## excluded · REASON
        ## differs in writer, split · REASON
        ## sometimes in split · REASON
        name name name
    """

    def __init__(self, path):
        self.excluded, self.differs, self.sometimes = {}, {way: {} for way in WAYS}, {way: {} for way in WAYS}
        into = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            line = line.strip()
            if line.startswith("## "):
                what, dot, reason = line[3:].partition(" · ")
                kind, _, ways = what.partition(" in ")
                ways = [way.strip() for way in ways.split(",") if way.strip()]
                if not dot or not reason or kind not in ("excluded", "differs", "sometimes") or (kind == "excluded") == bool(ways) \
                        or not set(ways) <= set(WAYS):
                    sys.exit(f"{path}:{number}: a heading is `excluded · REASON` or `differs in writer, split · REASON`")
                into = [self.excluded] if kind == "excluded" else [getattr(self, kind)[way] for way in ways]
            elif line and not line.startswith("#"):
                if into is None:
                    sys.exit(f"{path}:{number}: a test stands under no heading")
                for name in line.split():
                    for names in into:
                        if name in names:
                            sys.exit(f"{path}:{number}: {name} stands there twice")
                        names[name] = reason

    def names(self):
        return set(self.excluded).union(*self.differs.values(), *self.sometimes.values())


def text_of(path, seen):
    """A test's text with all that it includes."""
    if path in seen or not path.is_file():
        return ""
    seen.add(path)
    text = path.read_text(errors="replace")
    parts = [text]
    for name in INCLUDES.findall(text):
        for base in (SUITE, path.parent):
            if (base / name).is_file():
                parts.append(text_of((base / name).resolve(), seen))
                break
    return "\n".join(parts)


def excluded_because(name, known):
    """Why a test that passes straight is not played through the router, if so."""
    text = text_of(SUITE / "main" / f"{name}.test", set())
    if name in known.excluded:
        return known.excluded[name]
    if any(user.strip("'\"") not in ("", "root", "$user") for user in SIGNS_IN.findall(text)) or CLIENT.search(text):
        return "signs in as an account of its own"
    return None


def make_suite(work):
    """The suite as tests see it: MariaDB's, but for the files that are empty here."""
    shutil.copytree(SUITE / "std_data", work / "std_data")
    suite = work / "mysql-test"
    (suite / "include").mkdir(parents=True)
    for place, of in ((suite, SUITE), (suite / "include", SUITE / "include")):
        for path in of.iterdir():
            if path.name in EMPTY:
                (place / path.name).write_text("")
            elif path.name != "include":
                (place / path.name).symlink_to(path)
    return suite


def find_tests():
    """Names of the suite's tests, and of those that cannot be played, with the reason."""
    main = SUITE / "main"
    disabled = {line.split(":")[0].strip() for line in (main / "disabled.def").read_text().splitlines() if ":" in line and line[0] != "#"}
    tests, unfit = [], {}
    for path in sorted(main.glob("*.test")):
        name = path.stem
        if name in disabled:
            unfit[name] = "disabled by MariaDB"
        elif not path.with_suffix(".result").exists():
            unfit[name] = "has no single result"
        elif path.with_suffix(".cnf").exists() or (main / f"{name}-master.sh").exists() or (main / f"{name}-slave.opt").exists():
            unfit[name] = "wants servers of its own making"
        elif RESTARTS.search(text_of(path, set())):
            unfit[name] = "restarts the server"
        else:
            tests.append(name)
    return tests, unfit


def options_of(name, environment):
    """The options that a test wants its server started with; None where they name a file that is not here."""
    found = []
    for path in (SUITE / "main" / f"{name}.opt", SUITE / "main" / f"{name}-master.opt"):
        if path.exists():
            for word in shlex.split(path.read_text(errors="surrogateescape"), comments=True):
                for variable in re.findall(r"\$\{?(\w+)\}?", word):
                    if not environment.get(variable):
                        return None
                    word = re.sub(r"\$\{?" + variable + r"\}?", environment[variable], word)
                if word != "--force-restart" and not word.startswith("--testcase-timeout"):
                    found.append(word)
    return tuple(found)


def program(*names):
    for name in names:
        found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if found:
            return found
    return ""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end(process, how=signal.SIGKILL):
    if process and process.poll() is None:
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            pass
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Bench:
    """A server of its own, a router before it where one is wanted, and what a test is played with. One for each job."""

    def __init__(self, work, template, suite, switchboard):
        self.work, self.template, self.suite, self.switchboard = work, template, suite, switchboard
        self.var = work / "var"
        self.server = self.router = None
        self.options, self.clean = None, None
        # Paths of unix sockets have to be short, and stand in results with a fixed name.
        self.socket, self.router_socket = self.var / "tmp/mysqld.1.sock", self.var / "tmp/router.sock"

    def environment(self, sock, port):
        """What mariadb-test-run.pl gives its tests, as far as tests of `main` ask for it."""
        login = f"--defaults-file={self.work}/client.cnf --user=root --host=localhost --socket={sock} --port={port}"
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        env["PATH"] = env.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
        env |= {
            "LC_ALL": "C", "LC_CTYPE": "C", "LC_COLLATE": "C", "TZ": "GMT-3", "UMASK": "0660", "UMASK_DIR": "0770",
            "USE_RUNNING_SERVER": "0", "MYSQL_TEST_DIR": str(self.suite), "MYSQLTEST_VARDIR": str(self.var), "MYSQL_TMP_DIR": f"{self.var}/tmp",
            "MYSQL_TEST_ROOT": str(self.suite), "MYSQL_BINDIR": "/usr", "MYSQL_SHAREDIR": str(SHARE), "MYSQL_LIBDIR": "/usr/lib/mysql",
            "CHARSETSDIR": str(SHARE / "charsets"), "MASTER_MYSOCK": str(sock), "MASTER_MYPORT": str(port), "DEFAULT_MASTER_PORT": str(port),
            "SERVER_MYPORT_1": str(port), "MYSQL_TCP_PORT": str(port), "BIG_TEST": "", "MYSQLD_BOOTSTRAP_CMD": "", "EXTRA_COLLECT": "",
            "MYSQL": f"{program('mariadb')} {login}", "MYSQL_DUMP": f"{program('mariadb-dump')} {login}",
            "MYSQL_CHECK": f"{program('mariadb-check')} {login}", "MYSQL_SHOW": f"{program('mariadb-show')} {login}",
            "MYSQL_IMPORT": f"{program('mariadb-import')} {login}", "MYSQLADMIN": f"{program('mariadb-admin')} {login}",
            "MYSQL_SLAP": f"{program('mariadb-slap')} {login}", "MYSQL_BINLOG": f"{program('mariadb-binlog')} --defaults-file={self.work}/client.cnf",
            "MYSQL_UPGRADE": f"{program('mariadb-upgrade')} {login}", "MYSQL_PLUGIN": program("mariadb-plugin"),
            "MYSQL_TEST": f"{program('mariadb-test')} {login} --silent --tmpdir={self.var}/tmp --character-sets-dir={SHARE}/charsets --database=test",
            "MYSQL_CLIENT_TEST": "", "MYSQL_MY_PRINT_DEFAULTS": program("my_print_defaults"), "MY_PERROR": program("perror"),
            "MYISAMCHK": program("myisamchk"), "MYISAMPACK": program("myisampack"), "MYISAMLOG": program("myisamlog"),
            "MYISAM_FTDUMP": program("myisam_ftdump"), "MARIA_CHK": program("aria_chk"), "MARIA_READ_LOG": program("aria_read_log"),
            "MARIA_PACK": program("aria_pack"), "INNOCHECKSUM": program("innochecksum"), "REPLACE": program("replace"),
            "MYSQL_TZINFO_TO_SQL": program("mariadb-tzinfo-to-sql"), "EXE_MYSQL": program("mariadb"), "PERL": program("perl"),
            "MYSQLD": program("mariadbd"), "MTR_VERSION": "1", "PLUGIN_DIR": "/usr/lib/mysql/plugin",
        }
        for plugin in pathlib.Path("/usr/lib/mysql/plugin").glob("*.so"):
            env[plugin.stem.upper() + "_SO"] = plugin.name
        return env

    def start_server(self, options):
        end(self.server)
        shutil.rmtree(self.var, ignore_errors=True)
        for part in ("log", "run", "tmp/mysqld.1", "mysqld.1"):
            (self.var / part).mkdir(parents=True)
        shutil.copytree(self.template, self.var / "mysqld.1/data")
        # Files that a server may read lie in its own directory, and are no links to elsewhere.
        shutil.copytree(self.template.parent / "std_data", self.var / "std_data", copy_function=os.link)
        lines = [line for line in (SUITE / "include/default_mysqld.cnf").read_text().splitlines() if "@" not in line and "debug-no-sync" not in line]
        (self.work / "server.cnf").write_text("\n".join(lines) + "\n")
        (self.work / "client.cnf").write_text(f"[mysql]\ndefault-character-set=latin1\n[mysqlbinlog]\ncharacter-sets-dir={SHARE}/charsets\n")
        self.port = free_port()
        zone = next((o.partition("=")[2] for o in options if o.startswith("--timezone=")), "GMT-3")
        command = [program("mariadbd"), f"--defaults-file={self.work}/server.cnf", "--basedir=/usr", f"--datadir={self.var}/mysqld.1/data",
                   f"--tmpdir={self.var}/tmp/mysqld.1", f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.socket}",
                   f"--pid-file={self.var}/run/mysqld.1.pid", f"--secure-file-priv={self.var}", "--server-id=1", "--log-output=file",
                   "--general-log=1", f"--general-log-file={self.var}/mysqld.1/mysqld.log", "--slow-query-log=1",
                   f"--slow-query-log-file={self.var}/mysqld.1/mysqld-slow.log", f"--log-error={self.var}/log/mysqld.1.err",
                   f"--character-sets-dir={SHARE}/charsets", "--innodb-flush-log-at-trx-commit=2",
                   f"--ssl-ca={SUITE}/std_data/cacert.pem", f"--ssl-cert={SUITE}/std_data/server-cert.pem", f"--ssl-key={SUITE}/std_data/server-key.pem"]
        command += [o for o in options if not o.startswith("--timezone=")]
        if os.getuid() == 0:
            command.insert(2, "--user=root")
        env = self.environment(self.socket, self.port) | {"TZ": zone}
        with open(self.work / "server.out", "w") as out:
            self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True, cwd=SUITE)
        for _ in range(300):
            if self.server.poll() is not None:
                break
            state = self.state()
            if state is not None:
                self.options, self.clean = options, state
                return True
            time.sleep(0.1)
        end(self.server)
        self.options = None
        return False

    def state(self):
        """What mtr.check_testcase says; None where nobody answers."""
        done = subprocess.run([program("mariadb"), "--no-defaults", "--user=root", f"--socket={self.socket}", "-N", "-e", "CALL mtr.check_testcase()"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout if done.returncode == 0 else None

    def ready(self, options):
        """A server with these options that has nothing of an earlier test."""
        if self.options == options and self.server.poll() is None and self.state() == self.clean:
            for path in (self.var / "tmp").iterdir():
                if path.is_file():
                    path.unlink()
            return True
        return self.start_server(options)

    def is_on_ipv6(self):
        """True if the test has its server listen there."""
        return any(o.partition("=")[2] in ("*", "::", "::1") for o in self.options if o.startswith("--bind-address="))

    def tls_file(self, part):
        """The certificate or the key that the server has, which the router has too."""
        given = (o.partition("=")[2] for o in self.options if re.match(rf"--(?:loose-)?ssl-{part}=", o))
        return next(given, f"{SUITE}/std_data/server-{part}.pem")

    def start_router(self, way):
        self.router_port = free_port()
        addresses = [f"{host}:{self.router_port}" for host in ("127.0.0.1", "[::1]") if "." in host or self.is_on_ipv6()]
        reader = '[[hostgroup]]\nid = 20\nname = "readers"\nrole = "reader"\n' if way == "split" else ""
        text = [f'workers = 2\ntime_zone = "+03:00"\nread_your_writes = "0"\n[listen]\naddresses = {json.dumps(addresses)}',
                f'socket = "{self.router_socket}"\n[listen.tls]\ncert = "{self.tls_file("cert")}"\n'
                f'key = "{self.tls_file("key")}"\n[limits]\nlocal_infile = true\n[[hostgroup]]\nid = 10\nname = "writer"\nrole = "writer"\n{reader}',
                f'[[backend]]\nhostgroup = 10\naddress = "{self.socket}"\n']
        if reader:
            text.append(f'[[backend]]\nhostgroup = 20\naddress = "{self.socket}"\n[[rule]]\nrule_id = 1\nreader_safe = true\n'
                        'destination_hostgroups = [20, 10]\napply = true\n')
        text.append('[[rule]]\nrule_id = 2\ndestination_hostgroup = 10\napply = true\n[[user]]\nusername = "root"\npassword = ""\n')
        (self.work / "router.toml").write_text("\n".join(text))
        with open(self.work / "router.log", "w") as log:
            self.router = subprocess.Popen([self.switchboard, "run", "--config", str(self.work / "router.toml")], stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log, start_new_session=True)
        for _ in range(100):
            if self.router_socket.is_socket() and "listening socket" in (self.work / "router.log").read_text():
                return
            time.sleep(0.03)
        sys.exit(f"the router does not start: {(self.work / 'router.log').read_text()}")

    def play(self, name, way, options, timeout):
        """How a test ends: passed, skipped, failed or did not end; and what was said."""
        if not self.ready(options):
            return "unfit", "the server does not start with the test's options"
        sock, port = self.socket, self.port
        if way != "direct":
            self.start_router(way)
            sock, port = self.router_socket, self.router_port
        logs = self.var / "log"
        reject = logs / f"{name}.reject"
        reject.unlink(missing_ok=True)
        command = [program("mariadb-test"), f"--defaults-file={self.work}/client.cnf", "--silent", f"--tmpdir={self.var}/tmp",
                   f"--character-sets-dir={SHARE}/charsets", f"--logdir={logs}", "--database=test", "--user=root", "--password=", "--host=localhost",
                   f"--socket={sock}", f"--port={port}", "--tail-lines=20", f"--test-file={SUITE}/main/{name}.test",
                   f"--result-file={SUITE}/main/{name}.result"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.suite,
                                   env=self.environment(sock, port), start_new_session=True)
        try:
            said = process.communicate(timeout=timeout)[0].decode(errors="replace")
            code = process.returncode
        except subprocess.TimeoutExpired:
            end(process)
            said, code = f"did not end within {timeout} s\n" + (process.stdout.read() or b"").decode(errors="replace"), None
        end(process)
        if code not in (0, SKIPPED):
            self.options = None  # What a test left that stopped in the middle is not looked at: the next one has a fresh server.
            if self.server.poll() is not None:
                said += "\nthe server ended"
        if way != "direct":
            if self.router.poll() is not None:
                said, code = said + "\nthe router ended\n" + (self.work / "router.log").read_text()[-2000:], 1
            end(self.router)
            self.router_socket.unlink(missing_ok=True)
        return {0: "passed", SKIPPED: "skipped"}.get(code, "failed"), said

    def stop(self):
        end(self.router)
        end(self.server)


def make_template(work):
    """A data directory as mariadb-test-run.pl makes it: no anonymous accounts, time zones, schemas test and mtr."""
    template = work / "template"
    with open(work / "install.log", "w") as log:
        user = ["--user=root"] if os.getuid() == 0 else []
        done = subprocess.run([program("mariadb-install-db"), "--no-defaults", *user, f"--datadir={template}", "--auth-root-authentication-method=normal",
                               "--innodb-data-file-path=ibdata1:12M:autoextend", "--innodb-log-file-size=10M"],
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if done.returncode:
            sys.exit(f"mariadb-install-db failed: {(work / 'install.log').read_text()[-2000:]}")
        sock = work / "template.sock"
        server = subprocess.Popen([program("mariadbd"), "--no-defaults", *user, f"--datadir={template}", "--skip-networking", f"--socket={sock}",
                                   "--innodb-data-file-path=ibdata1:12M:autoextend", "--innodb-log-file-size=10M", f"--pid-file={work}/template.pid",
                                   f"--tmpdir={work}", "--character-set-server=latin1"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        client = [program("mariadb"), "--no-defaults", "--user=root", f"--socket={sock}", "--default-character-set=latin1"]
        for _ in range(300):
            if subprocess.run([*client, "-e", "SELECT 1"], stdout=log, stderr=log).returncode == 0:
                break
            time.sleep(0.1)
        sql = ["DELETE FROM mysql.global_priv WHERE user = '' OR host NOT IN ('localhost', '127.0.0.1', '::1');",
               "DELETE FROM mysql.proxies_priv WHERE host NOT IN ('localhost', '127.0.0.1', '::1'); FLUSH PRIVILEGES;",
               "CREATE DATABASE IF NOT EXISTS test; ALTER DATABASE test CHARACTER SET latin1; USE mysql;",
               (SHARE / "mysql_test_data_timezone.sql").read_text(),
               "CREATE DATABASE IF NOT EXISTS mtr CHARACTER SET latin1;",
               *map(for_the_client, ("mtr_warnings.sql", "mtr_check.sql"))]
        done = subprocess.run(client, input="\n".join(sql).encode(), stdout=log, stderr=log)
        end(server, signal.SIGTERM)
        if done.returncode:
            sys.exit(f"the server's tables for tests could not be made: {(work / 'install.log').read_text()[-2000:]}")
    return template


def for_the_client(file):
    """A file of the suite as `mariadb` reads it, which takes the delimiter behind USE for a part of the name, and knows no
    comment without a space behind its dashes."""
    text = (SUITE / "include" / file).read_text().replace("use mtr||", "delimiter ;\nuse mtr;\ndelimiter ||")
    return re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE)


def first_lines(said, most=14):
    """The beginning of a difference, or of an error."""
    lines = [line[:200] for line in said.splitlines() if line.strip()]
    keep = [line for line in lines if re.match(r"[-+](?![-+])", line) or "mysqltest:" in line or line.startswith(("At line", "did not", "the "))]
    return "\n".join("      " + line for line in (keep or lines)[:most])


def play_one(name, benches, args, before, known):
    bench = benches.get()
    began, said = time.monotonic(), {}
    try:
        options = options_of(name, bench.environment(bench.socket, 0))
        if options is None:
            return name, {"direct": "unfit"}, {"direct": "its options name a library that the package does not have"}
        how = {"direct": before.get(name)}
        if how["direct"] is None:
            how["direct"], said["direct"] = bench.play(name, "direct", options, args.timeout)
        if how["direct"] == "passed" and not excluded_because(name, known):
            for way in args.ways:
                how[way], said[way] = bench.play(name, way, options, args.timeout * 2)
                if how[way] != "passed":
                    # Once more both ways, each on a fresh server: what fails by turns also without the router says nothing about
                    # the router.
                    bench.options = None
                    straight, _ = bench.play(name, "direct", options, args.timeout)
                    bench.options = None
                    again, text = bench.play(name, way, options, args.timeout * 2)
                    if straight != "passed":
                        how[way] = "unsteady"
                    elif again == "passed":
                        # Some tests pass but once on a server, by what they leave behind where nobody looks: straight too.
                        how[way] = "passed" if bench.play(name, "direct", options, args.timeout)[0] != "passed" else "sometimes"
                    else:
                        said[way] = text
        return name, how | {"seconds": round(time.monotonic() - began, 1)}, said
    finally:
        benches.put(bench)


def verdict(results, said, known, ways, whole):
    """Prints what failed, and says whether anything did that should not have."""
    faults = []
    for name, how in sorted(results.items()):
        for way in ways:
            ended, expected = how.get(way), known.differs[way].get(name)
            if ended in ("failed", "skipped", "sometimes") and not expected and name not in known.sometimes[way]:
                faults.append(f"  {name}, {way}: {'failed once of two times' if ended == 'sometimes' else ended}\n{first_lines(said[name][way])}")
            elif ended == "passed" and expected:
                faults.append(f"  {name}, {way}: passes, and known.txt says that it differs: {expected}")
    if whole:
        faults += [f"  {name}: stands in known.txt, and no test of that name passes straight at the server" for name in sorted(known.names())
                   if results.get(name, {}).get("direct") != "passed"]
    count = lambda way, ended: sum(how.get(way) == ended for how in results.values())
    straight = count("direct", "passed")
    print(f"\nstraight at the server: {straight} passed, {count('direct', 'skipped')} do not apply, {count('direct', 'failed')} failed, "
          f"{count('direct', 'unfit')} cannot be played")
    for way in ways:
        played = sum(way in how for how in results.values())
        print(f"through the router, {'everything on the writer' if way == 'writer' else 'reads split'}: {count(way, 'passed')} of {played} passed, "
              f"{count(way, 'failed') + count(way, 'skipped')} failed, {count(way, 'sometimes')} failed once, {count(way, 'unsteady')} unsteady also straight; "
              f"{straight - played} excluded")
    why = collections.Counter(filter(None, (excluded_because(n, known) for n, how in results.items() if how["direct"] == "passed")))
    for reason, number in why.most_common():
        print(f"  excluded, {number}: {reason}")
    if faults:
        print(f"\n{len(faults)} not as known.txt says:\n" + "\n".join(faults))
    return not faults


def main():
    p = argparse.ArgumentParser(prog="python3 tests/mtr/run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("tests", nargs="*", metavar="TEST", help="names of tests; all where none is given")
    p.add_argument("--switchboard", default=str(TOP / "target/release/switchboard"), metavar="PROGRAM")
    p.add_argument("--ways", default=",".join(WAYS), help="of: writer, split; or none, to play tests straight alone")
    p.add_argument("--short", action="store_true", default=os.environ.get("SWITCHBOARD_MTR") == "short", help="a sample, in less than a minute")
    p.add_argument("--jobs", type=int, default=2, help="servers at once (default %(default)s)")
    p.add_argument("--timeout", type=int, default=60, metavar="SECONDS", help="of one test, twice that through the router (default %(default)s)")
    p.add_argument("--out", type=pathlib.Path, metavar="DIR", help="keeps results.json and what failing tests said")
    p.add_argument("--again", type=pathlib.Path, metavar="DIR", help="takes from an earlier run's --out what passes straight at the server")
    args = p.parse_args()
    args.ways = [way for way in args.ways.split(",") if way in WAYS]
    if not (SUITE / "main").is_dir() or not program("mariadb-test"):
        sys.exit("MariaDB's tests are not here: install the packages mariadb-test and mariadb-test-data")
    if args.ways and not os.access(args.switchboard, os.X_OK):
        sys.exit(f"{args.switchboard} is not there: cargo build --release, or --switchboard PROGRAM")
    known = Known(HERE / "known.txt")
    tests, unfit = find_tests()
    chosen = args.tests or (SHORT if args.short else tests)
    for name in chosen:
        if name in unfit or not (SUITE / "main" / f"{name}.test").exists():
            print(f"{name}: {unfit.get(name, 'there is no such test')}")
    before = {}
    if args.again:
        before = {name: how["direct"] for name, how in json.loads((args.again / "results.json").read_text()).items() if how.get("direct")}
    base = "/dev/shm" if "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK) else None
    work = pathlib.Path(tempfile.mkdtemp(prefix="mtr", dir=base))
    results, said, all_benches = {}, {}, []
    try:
        template, suite = make_template(work), make_suite(work)
        benches = queue.Queue()
        for number in range(args.jobs):
            (work / str(number)).mkdir()
            all_benches.append(Bench(work / str(number), template, suite, args.switchboard))
            benches.put(all_benches[-1])
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            # Tests with options of their own come last, so that servers are not started by turns.
            order = sorted((n for n in chosen if n in set(tests)), key=lambda n: (str(options_of(n, all_benches[0].environment("", 0)) or ""), n))
            for name, how, texts in pool.map(lambda name: play_one(name, benches, args, before, known), order):
                results[name], said[name] = how, texts
                bad = [way for way in args.ways if how.get(way, "passed") != "passed"]
                if bad or args.tests:
                    print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in how.items()), flush=True)
                if args.out:
                    args.out.mkdir(parents=True, exist_ok=True)
                    (args.out / "results.json").write_text(json.dumps(results, indent=0))
                    for way, text in texts.items():
                        if how[way] != "passed":
                            (args.out / f"{name}.{way}").write_text(text)
    finally:
        for bench in all_benches:
            bench.stop()
        shutil.rmtree(work, ignore_errors=True)
    whole = not args.tests and not args.short
    if not verdict(results, said, known, args.ways, whole):
        sys.exit(1)


if __name__ == "__main__":
    main()
