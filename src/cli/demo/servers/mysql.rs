//! How Oracle's MySQL is had and run beside MariaDB.
//!
//! Debian's `sid` suite has it, stable suites do not, and the package conflicts with MariaDB's. So it is unpacked into a
//! directory of its own, with the C library it was built for, and run through that library's loader: nothing is
//! installed, and no chroot and no root is needed.

use super::engine::{Engine, Prepared};
use super::mariadb::{common_arguments, joined, user};
use super::options::{Options, Tls};
use super::place::{RunDir, cache, copy_dir, find_program, lock, uid};
use super::port::Port;
use super::process::run;
use super::{Result, ServerError, at};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Makes a data directory and gives the command that serves it.
pub(super) fn prepare(options: &Options, dir: &RunDir, port: &Port) -> Result<Prepared> {
    let tree = unpacked()?;
    let data = dir.path().join("data");
    copy_dir(&template(&tree)?, &data)?;
    // Each instance is to have a server UUID of its own; the server makes one when there is none.
    let _ = std::fs::remove_file(data.join("auto.cnf"));
    let mut args = loader_arguments(&tree);
    args.extend(common_arguments(options, dir.path(), &data, port));
    args.push("--mysqlx=OFF".into());
    args.push(if options.binlog { "--log-bin=bin".into() } else { "--skip-log-bin".into() });
    if options.tls == Tls::Off {
        args.push("--tls-version=".into());
    }
    args.extend(options.args.iter().map(OsString::from));
    Ok(Prepared { engine: Engine::MySql, program: loader(&tree), args })
}

/// The directory that the package is unpacked in; unpacked at the first call on a machine.
fn unpacked() -> Result<PathBuf> {
    let cache = cache()?;
    let tree = cache.join("mysql-sid-2");
    let _lock = lock(&cache.join("mysql.lock"))?;
    if tree.exists() {
        return Ok(tree);
    }
    let mmdebstrap = find_program("mmdebstrap").ok_or_else(|| ServerError::Missing {
        program: "mmdebstrap".into(),
        advice: "It unpacks MySQL without installing it: apt-get install mmdebstrap (./test and ./demo do so by themselves).".into(),
    })?;
    eprintln!(
        "unpacking mysql-server-core and mysql-client-core from Debian's sid suite into {} (once, about 330 MB)",
        tree.display()
    );
    let making = cache.join("mysql-sid-making");
    let _ = std::fs::remove_dir_all(&making);
    let mut args: Vec<OsString> =
        ["--quiet", "--variant=extract", "--include=mysql-server-core,mysql-client-core"].map(Into::into).into();
    // A mirror's index may have expired where mirrors are frozen. Its signature is still checked.
    args.push(r#"--aptopt=Acquire::Check-Valid-Until "false""#.into());
    if uid() != 0 {
        // Nothing is run inside the tree, so no chroot is needed, nor a privilege to make one.
        args.push("--mode=chrootless".into());
    }
    args.push("sid".into());
    args.push(making.clone().into());
    run(&mmdebstrap, &args, None).map_err(with_advice)?;
    std::fs::rename(&making, &tree).map_err(at("rename", &making))?;
    Ok(tree)
}

/// Says what a failed download needs.
fn with_advice(error: ServerError) -> ServerError {
    match error {
        ServerError::Failed { program, status, output } => ServerError::Failed {
            program,
            status,
            output: format!(
                "{output}\nMySQL could not be had from Debian's sid suite. It needs a Debian mirror, the package \
                 debian-archive-keyring, and 330 MB of disk."
            ),
        },
        other => other,
    }
}

/// An initialised data directory, made once and copied for each instance.
fn template(tree: &Path) -> Result<PathBuf> {
    let cache = cache()?;
    let ready = cache.join("mysql-sid-template");
    let _lock = lock(&cache.join("mysql.lock"))?;
    if ready.exists() {
        return Ok(ready);
    }
    let making = cache.join("mysql-sid-template-making");
    let _ = std::fs::remove_dir_all(&making);
    let mut args = loader_arguments(tree);
    args.extend(user());
    args.extend(["--initialize-insecure", "--skip-log-bin", "--innodb-buffer-pool-size=64M"].map(OsString::from));
    args.push(joined("--datadir=", &making));
    run(&loader(tree), &args, None)?;
    std::fs::rename(&making, &ready).map_err(at("rename", &making))?;
    Ok(ready)
}

/// The package's library directory, by Debian's name for this processor.
fn library(tree: &Path) -> PathBuf {
    tree.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH))
}

/// The loader of the C library that came with the package.
fn loader(tree: &Path) -> PathBuf {
    library(tree).join(match std::env::consts::ARCH {
        "aarch64" => "ld-linux-aarch64.so.1",
        _ => "ld-linux-x86-64.so.2",
    })
}

/// Where the loader finds libraries.
fn libraries(tree: &Path) -> OsString {
    let mut libraries = library(tree).into_os_string();
    libraries.push(":");
    libraries.push(tree.join("usr/lib/mysql/private"));
    libraries
}

/// Oracle's command line client, as a program and its first arguments. It reads no option files.
pub fn mysql_client() -> Result<(PathBuf, Vec<OsString>)> {
    let tree = unpacked()?;
    let arguments =
        vec!["--library-path".into(), libraries(&tree), tree.join("usr/bin/mysql").into(), "--no-defaults".into()];
    Ok((loader(&tree), arguments))
}

/// What the loader is told, up to the server's first own arguments.
fn loader_arguments(tree: &Path) -> Vec<OsString> {
    vec![
        "--library-path".into(),
        libraries(tree),
        tree.join("usr/sbin/mysqld").into(),
        "--no-defaults".into(),
        joined("--basedir=", &tree.join("usr")),
        joined("--lc-messages-dir=", &tree.join("usr/share/mysql")),
        // The package's folder for it does not exist here, and the server stops when it is missing.
        "--secure-file-priv=NULL".into(),
    ]
}
