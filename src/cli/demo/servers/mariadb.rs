//! How the MariaDB that is installed on the machine is started with a data directory of its own.
//!
//! An initialised directory is made once for each version and copied for each server. [`super::Server`] runs the
//! command that [`prepare`] returns. The system's own server and its files are not touched.

use super::engine::{Engine, Prepared};
use super::options::{Options, Tls};
use super::place::{RunDir, cache, copy_dir, find_program, lock, uid};
use super::port::Port;
use super::process::run;
use super::{Result, ServerError, at};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Makes a data directory and gives the command that serves it.
pub(super) fn prepare(options: &Options, dir: &RunDir, port: &Port) -> Result<Prepared> {
    let program = program("mariadbd")?;
    let data = dir.path().join("data");
    copy_dir(&template(&program)?, &data)?;
    let args = arguments(options, dir.path(), &data, port);
    Ok(Prepared { engine: Engine::MariaDb, program, args })
}

fn program(name: &str) -> Result<PathBuf> {
    find_program(name).ok_or_else(|| ServerError::Missing {
        program: name.to_owned(),
        advice: "Install it: apt-get install mariadb-server (./test and ./demo do so by themselves).".into(),
    })
}

/// An initialised data directory, made once for each version of the server and copied for each instance.
fn template(server: &Path) -> Result<PathBuf> {
    let version = run(&server.to_owned(), &["--version".into()], None)?;
    let version: String = version.split_whitespace().nth(2).unwrap_or("unknown").replace(['/', ':'], "_");
    let cache = cache()?;
    let ready = cache.join(format!("mariadb-{version}-template"));
    let _lock = lock(&cache.join("mariadb.lock"))?;
    if ready.exists() {
        return Ok(ready);
    }
    let making = cache.join(format!("mariadb-{version}-making"));
    let _ = std::fs::remove_dir_all(&making);
    let mut args: Vec<OsString> = vec!["--no-defaults".into()];
    args.extend(
        ["--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M"].map(Into::into),
    );
    args.extend(user());
    args.push(joined("--datadir=", &making));
    run(&program("mariadb-install-db")?, &args, None)?;
    std::fs::rename(&making, &ready).map_err(at("rename", &making))?;
    Ok(ready)
}

/// The servers refuse to run as root unless told to.
pub(super) fn user() -> Option<OsString> {
    (uid() == 0).then(|| "--user=root".into())
}

/// An argument that ends in a path.
pub(super) fn joined(option: &str, path: &Path) -> OsString {
    let mut arg = OsString::from(option);
    arg.push(path);
    arg
}

/// Arguments that both engines take in the same words.
pub(super) fn common_arguments(options: &Options, dir: &Path, data: &Path, port: &Port) -> Vec<OsString> {
    let mut args: Vec<OsString> = user().into_iter().collect();
    args.push(joined("--datadir=", data));
    // A server that starts removes what it takes for temporary files of its own.
    args.push(joined("--tmpdir=", dir));
    args.push(joined("--socket=", &dir.join("s")));
    args.push(joined("--pid-file=", &dir.join("pid")));
    args.push(joined("--general-log-file=", &dir.join("general.log")));
    args.extend(
        [
            format!("--port={}", port.number()),
            format!("--general-log={}", u8::from(options.general_log)),
            format!("--max-connections={}", options.max_connections),
            format!("--innodb-buffer-pool-size={}M", options.buffer_pool_mib),
            // Unique among the servers of a machine, as replication wants it.
            format!("--server-id={}", port.number()),
            "--bind-address=127.0.0.1".into(),
            "--log-output=FILE".into(),
            "--skip-name-resolve".into(),
            "--performance-schema=OFF".into(),
            "--innodb-flush-log-at-trx-commit=0".into(),
            "--innodb-doublewrite=0".into(),
            "--sync-binlog=0".into(),
            // A router's faults must not make a server refuse the address that all tests share.
            "--max-connect-errors=1000000000".into(),
            "--max-allowed-packet=64M".into(),
        ]
        .map(OsString::from),
    );
    if let Tls::Files { ca, certificate, key } = &options.tls {
        args.extend([joined("--ssl-ca=", ca), joined("--ssl-cert=", certificate), joined("--ssl-key=", key)]);
    }
    args
}

fn arguments(options: &Options, dir: &Path, data: &Path, port: &Port) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["--no-defaults".into()];
    args.extend(common_arguments(options, dir, data, port));
    args.extend(["--innodb-log-file-size=8M", "--character-set-server=utf8mb4"].map(OsString::from));
    if options.tls == Tls::Off {
        args.push("--skip-ssl".into());
    }
    if options.binlog {
        let binlog = [
            "--log-bin=bin",
            "--binlog-format=ROW",
            "--binlog-row-metadata=FULL",
            "--gtid-strict-mode=1",
            "--log-slave-updates",
        ];
        args.extend(binlog.map(OsString::from));
    }
    args.extend(options.args.iter().map(OsString::from));
    args
}
