//! Child processes that cannot outlive this one, and programs that are run to their end.
//!
//! A child is killed when its [`Process`] is dropped, and by the kernel when this process dies. [`super::Server`] and
//! the demo's router run in such processes. Whatever was not started here is never stopped here.

use super::place::find_program;
use super::{Result, ServerError};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::{Duration, Instant};

/// How often a wait for a child's end looks.
const POLL: Duration = Duration::from_millis(5);

type Started = std::io::Result<Child>;
type Order = (Command, mpsc::Sender<Started>);

/// The thread that starts all children. The kernel's parent-death signal is sent when the *thread* that started a child
/// ends, and a test's thread ends long before its process does.
static STARTER: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in inbox {
            let _ = answer.send(command.spawn());
        }
    });
    Mutex::new(orders)
});

/// A running program. Killed and reaped when dropped; killed by the kernel when this process dies.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a program with its standard output and error appended to a file.
    pub fn start(
        program: &std::path::Path,
        args: &[OsString],
        env: &[(OsString, OsString)],
        log: &std::path::Path,
    ) -> Result<Self> {
        let setpriv = find_program("setpriv").ok_or_else(|| ServerError::Missing {
            program: "setpriv".into(),
            advice: "Install the package util-linux.".into(),
        })?;
        let output = std::fs::File::options().create(true).append(true).open(log).map_err(super::at("open", log))?;
        let errors = output.try_clone().map_err(super::at("open", log))?;
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "KILL"]).arg("--").arg(program).args(args).envs(env.iter().cloned());
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        // Ctrl-C in a terminal is for this process, which then ends its children in order.
        command.process_group(0);
        let child = Process::spawn(command)
            .map_err(|source| ServerError::Run { program: program.display().to_string(), source })?;
        Ok(Process { child })
    }

    fn spawn(command: Command) -> Started {
        let (answer, started) = mpsc::channel();
        let gone = || std::io::Error::other("the thread that starts processes is gone");
        STARTER
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .send((command, answer))
            .map_err(|_| gone())?;
        started.recv().map_err(|_| gone())?
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal by name: `TERM`, `STOP`, `CONT`, `HUP`, ….
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.id(), name)
    }

    /// Waits for the end for at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Asks the process to end (SIGTERM) and waits; kills it when the limit is over. None says that it had to be killed.
    pub fn stop(&mut self, limit: Duration) -> Option<ExitStatus> {
        // A stopped process would never see the request.
        let _ = self.signal("CONT");
        let _ = self.signal("TERM");
        let status = self.wait(limit);
        if status.is_none() {
            self.kill();
        }
        status
    }

    /// Kills the process at once and reaps it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process by its id. The shell's own `kill` does it: the system call would need `unsafe`.
pub(super) fn signal(id: u32, name: &str) -> Result<()> {
    let run = |source| ServerError::Run { program: "sh".into(), source };
    let script = r#"kill -s "$1" "$2""#;
    let output = Command::new("sh").args(["-c", script, "sh", name, &id.to_string()]).output().map_err(run)?;
    if output.status.success() {
        return Ok(());
    }
    let output_text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(ServerError::Failed {
        program: format!("kill -s {name} {id}"),
        status: output.status.to_string(),
        output: output_text,
    })
}

/// Runs a program to its end and gives what it wrote on standard output.
pub(super) fn run(program: &PathBuf, args: &[OsString], input: Option<&str>) -> Result<String> {
    use std::io::Write;
    let name = program.display().to_string();
    let failed = |source| ServerError::Run { program: name.clone(), source };
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().map_err(failed)?;
    let writer = input.zip(child.stdin.take()).map(|(text, mut pipe)| {
        let text = text.to_owned();
        std::thread::spawn(move || pipe.write_all(text.as_bytes()))
    });
    let output = child.wait_with_output().map_err(failed)?;
    if let Some(writer) = writer {
        // A program that ends early closes its input; its exit status says why.
        let _ = writer.join();
    }
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
    if text.trim().is_empty() {
        text = String::from_utf8_lossy(&output.stdout).into_owned();
    }
    let kept: Vec<&str> = text.lines().collect();
    let output_text = kept.split_at(kept.len().saturating_sub(20)).1.join("\n");
    Err(ServerError::Failed { program: name, status: output.status.to_string(), output: output_text })
}
