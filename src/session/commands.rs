//! The commands that are neither statements nor executions.

use super::Session;
use super::error::{SessionEnd, StatementError};
use super::pin::Pins;
use super::state::Portable;
use super::statement::{Request, command_frame};
use super::sync::talk;
use crate::frontend::login::{self, LoginContext};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::response::OkPacket;
use crate::protocol::status::Status;
use crate::sql::effects::Effects;
use std::rc::Rc;
use std::time::Duration;

/// How long a connection's reset may take before it is closed instead.
const RESET: Duration = Duration::from_secs(5);

impl Session {
    /// After sign-in: makes sure that the schema exists, and says OK. `before_ok` is a packet that the sign-in plugin wants
    /// to go first; it has the sequence number.
    pub(super) async fn open(&mut self, mut sequence: u8, before_ok: Option<Vec<u8>>) -> Result<(), SessionEnd> {
        if let Err(error) = self.meet_writer().await {
            self.send_error(&error, sequence).await?;
            return Err(error.into());
        }
        if let Some(first) = before_ok {
            self.send_packet(|out| out.extend_from_slice(&first), sequence).await?;
            sequence = sequence.wrapping_add(1);
        }
        let ok = OkPacket { status: self.own_status(), ..OkPacket::default() };
        let capabilities = self.capabilities;
        self.send_packet(|out| ok.encode(out, capabilities), sequence).await
    }

    /// Every command but COM_QUERY, COM_STMT_EXECUTE and COM_QUIT.
    pub(super) async fn other_command(&mut self, command: Command) -> Result<(), SessionEnd> {
        match command {
            Command::Ping => self.send_ok(b"").await,
            Command::InitDb => self.forward(command, Effects::SET_SCHEMA).await,
            Command::FieldList => self.forward(command, Effects::METADATA | Effects::READ).await,
            Command::Statistics => self.forward(command, Effects::SERVER_BOUND).await,
            Command::SetOption => self.set_option().await,
            Command::ResetConnection => self.reset_connection().await,
            Command::ChangeUser => self.change_user().await,
            Command::Prepare => self.prepare().await,
            Command::SendLongData => self.send_long_data(),
            Command::CloseStatement => self.close_statement().await,
            Command::ResetStatement => self.reset_statement().await,
            Command::Fetch => self.fetch().await,
            Command::Query | Command::Execute | Command::Quit => Err(StatementError::UnknownCommand.into()),
        }
    }

    /// Sends a command to the writer (or to where the session is held) as it came, and the answer back.
    async fn forward(&mut self, command: Command, effects: Effects) -> Result<(), SessionEnd> {
        let snapshot = self.worker.snapshot();
        // Planned like a statement that no rule can move: the classifier's "unproven" goes to the writer.
        let text: &[u8] = match command {
            Command::InitDb => b"USE x",
            Command::FieldList => b"SHOW STATUS",
            _ => b"SHOW STATUS",
        };
        let (plan, route) = self.worker.plans.borrow_mut().route(
            &self.subject,
            text,
            &snapshot.rules,
            &|| self.now(),
            self.time_zone(&snapshot),
        );
        let request = Request {
            frames: Vec::new(),
            sequence: self.inbox.sequence(),
            expect: command.expect(),
            statement_id: None,
            effects,
        };
        self.run_request(&snapshot, &plan, &route, request).await
    }

    /// COM_SET_OPTION: multi-statements on (0) or off (1).
    async fn set_option(&mut self) -> Result<(), SessionEnd> {
        let Some(&[low, high]) = self.inbox.payload().get(1..3) else { return Err(StatementError::Malformed.into()) };
        let on = match u16::from_le_bytes([low, high]) {
            0 => true,
            1 => false,
            _ => return Err(StatementError::UnknownCommand.into()),
        };
        if let Some(mut link) = self.home.take() {
            let argument = [low, high];
            if let Err(error) = talk(&self.worker.buffers, &mut link, Command::SetOption, &argument).await {
                let error = self.talk_failed(&link, error);
                self.home = Some(link);
                return Err(error.into());
            }
            link.key.shape.set(Capabilities::MULTI_STATEMENTS, on);
            self.home = Some(link);
        }
        self.capabilities.set(Capabilities::MULTI_STATEMENTS, on);
        self.send_end().await
    }

    /// COM_RESET_CONNECTION: a new session for the same account and schema.
    async fn reset_connection(&mut self) -> Result<(), SessionEnd> {
        self.drop_links();
        let schema = self.state.portable.schema.clone();
        self.start_anew(self.fresh(schema));
        self.send_ok(b"").await
    }

    /// COM_CHANGE_USER: another account, on the same socket. The worker has no way to judge passwords itself; the gate's
    /// sign-in machine does.
    async fn change_user(&mut self) -> Result<(), SessionEnd> {
        self.drop_links();
        let snapshot = self.worker.snapshot();
        let host = self.subject.client_addr().map_or_else(|| "localhost".to_owned(), |ip| ip.to_string());
        let version = snapshot.frontend.server_version();
        let context = LoginContext {
            connection_id: self.connection_id,
            host: &host,
            server_version: &version,
            capabilities: self.capabilities,
            collation: self.collation,
            accounts: &snapshot.accounts,
            rsa: snapshot.frontend.rsa.as_ref().unwrap_or(&self.worker.rsa),
            tls: None,
            require_secure: false,
            plugin: snapshot.frontend.plugin,
            offload: &self.worker.offload,
            timeout: snapshot.settings.sign_in_timeout,
        };
        let command = self.inbox.payload().to_vec();
        let changed = login::change_user(&mut self.client, &command, self.capabilities, self.scramble, &context)
            .await
            .map_err(|_| SessionEnd::Misbehaved("COM_CHANGE_USER failed"))?;
        self.subject.set_user(changed.account.name());
        self.account_number = self.worker.account_number(&changed.account);
        self.ticket.sign(&changed.account);
        self.names.0 = self.worker.name_number(changed.account.name());
        self.account = changed.account;
        self.seat = changed.seat;
        self.scramble = changed.scramble;
        self.collation = changed.collation.unwrap_or(self.collation);
        self.start_anew(self.fresh(changed.schema.map(Into::into)));
        self.open(changed.sequence, changed.before_ok).await
    }

    /// What a new session starts with.
    pub(super) fn start_anew(&mut self, portable: Portable) {
        self.prepared = None;
        self.previous = 0;
        self.previous_at_home = false;
        self.insert_id = None;
        self.wrote_at = None;
        self.transaction_wrote = false;
        self.status = Status::AUTOCOMMIT;
        self.enter(portable);
    }

    /// The session is in this state from now on.
    pub(super) fn enter(&mut self, portable: Portable) {
        self.state = self.worker.states.intern(portable);
        let schema = self.state.portable.schema.as_deref();
        self.subject.set_schema(schema);
        self.subject.set_mode(self.state.lex_mode);
        self.ticket.set_schema(schema);
        self.names.1 = self.worker.name_number(schema.unwrap_or_default());
    }

    /// The end: what the session held is cleaned and given back, or closed.
    pub(super) fn close(&mut self) {
        self.drop_links();
    }

    /// Lets go of all that the session holds. Connections with somebody's state on them are reset by a task of their own
    /// before others may have them.
    fn drop_links(&mut self) {
        if let Some(link) = self.last.take() {
            self.last_pins = Pins::empty();
            self.release(link);
        }
        let Some(mut link) = self.home.take() else { return };
        let pins = std::mem::take(&mut self.home_pins);
        if !pins.intersects(Pins::NEEDS_RESET) {
            self.release(link);
            return;
        }
        let worker = Rc::clone(&self.worker);
        let serial = self.serial;
        tokio::task::spawn_local(async move {
            let reset = tokio::time::timeout(RESET, super::checkout::reset(&worker, &mut link)).await;
            link.set_busy(false);
            let (key, waiting) = (link.key, link.backend().waiting());
            match reset {
                Ok(Ok(())) => {
                    link.owner = serial;
                    worker.pool.borrow_mut().put(key, waiting, link, worker.ticks());
                }
                _ => {
                    drop(link);
                    worker.pool.borrow_mut().wake(key.backend);
                }
            }
        });
    }

    /// A command for the home connection alone, its answer to the client.
    pub(super) async fn at_home(&mut self, frames: Vec<u8>, command: Command) -> Result<(), SessionEnd> {
        let Some(mut link) = self.home.take() else { return Err(StatementError::Malformed.into()) };
        let request = Request {
            frames,
            sequence: self.inbox.sequence(),
            expect: command.expect(),
            statement_id: None,
            effects: Effects::READ,
        };
        match self.exchange(&mut link, &request).await {
            Ok(outcome) => {
                if let Some(status) = outcome.status {
                    self.status = status;
                    if status.contains(Status::LAST_ROW_SENT) || !status.contains(Status::CURSOR_EXISTS) {
                        self.home_pins -= Pins::CURSOR;
                    }
                } else if outcome.error.is_some() {
                    self.home_pins -= Pins::CURSOR;
                }
                self.home = Some(link);
                self.end_until_next();
                Ok(())
            }
            Err(super::statement::Failed::Client(end)) => {
                self.discard(link);
                Err(end)
            }
            Err(super::statement::Failed::Backend(failure)) => {
                let mut lost = self.lost(&link, &failure.why);
                if let StatementError::Lost { pins, .. } = &mut lost {
                    *pins = std::mem::take(&mut self.home_pins);
                }
                self.discard(link);
                if failure.delivered {
                    return Err(SessionEnd::HalfAnswered { backend: String::new(), why: failure.why });
                }
                Err(lost.into())
            }
        }
    }

    /// Tells the server of the home connection something that is not answered.
    pub(super) async fn tell_home(&mut self, command: Command, argument: &[u8]) {
        if let Some(link) = self.home.as_mut() {
            let frame = command_frame(command, argument);
            // A broken link shows at the next statement.
            let _ = super::buffers::write_all(&mut link.stream, &frame).await;
        }
    }
}
