//! What a distribution and a service manager get: the package, its pages, and the notifications.

mod common;
mod traffic_support;

use common::{MariaDb, Router, wait_until};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use traffic_support::config;

#[test]
fn the_debian_package_has_all_that_belongs_to_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let made = Command::new(root.join("deploy/package"))
        .arg(out.path())
        .env("SWITCHBOARD_BINARY", env!("CARGO_BIN_EXE_switchboard"))
        // Squeezing the test's own large program takes long and shows nothing.
        .env("DPKG_DEB_COMPRESSOR_TYPE", "none")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let package = String::from_utf8(made.stdout).unwrap();
    let listed = Command::new("dpkg-deb").args(["--contents", package.trim()]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for file in [
        "-rwxr-xr-x root/root .*/usr/bin/switchboard",
        "/usr/share/man/man1/switchboard.1.gz",
        "/usr/share/man/man1/switchboard-run.1.gz",
        "/usr/share/bash-completion/completions/switchboard",
        "/usr/share/zsh/vendor-completions/_switchboard",
        "/usr/share/fish/vendor_completions.d/switchboard.fish",
        "/usr/lib/systemd/system/switchboard.service",
        "/usr/share/doc/switchboard/examples/bigdb.toml",
        "/usr/share/doc/switchboard/copyright",
        "/etc/switchboard/rules/",
    ] {
        assert!(regex::Regex::new(file).unwrap().is_match(&listed), "{file} is not in the package:\n{listed}");
    }
    // The program in it runs.
    let unpacked = tempfile::tempdir().unwrap();
    let done = Command::new("dpkg-deb").arg("--extract").arg(package.trim()).arg(unpacked.path()).status().unwrap();
    assert!(done.success());
    let version = Command::new(unpacked.path().join("usr/bin/switchboard")).arg("--version").output().unwrap();
    assert!(String::from_utf8(version.stdout).unwrap().starts_with("switchboard "));
}

#[test]
fn the_service_manager_is_told_when_it_is_ready_alive_and_stopping() {
    let (master, replica) = MariaDb::shared_pair();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let env = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "300000")];
    let mut router = Router::with_config_and_env(&config(master.port(), replica.port(), ""), &[], &env);
    let hear = || {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    assert!(hear().contains("READY=1"));
    for _ in 0..3 {
        assert!(hear().contains("WATCHDOG=1"));
    }
    router.signal("TERM");
    wait_until("the last word", Duration::from_secs(10), || hear().contains("STOPPING=1"));
    router.stop();
}
