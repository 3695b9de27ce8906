//! The commands that are neither statements nor executions.

use super::Session;
use super::checkout::Tried;
use super::error::{SessionEnd, StatementError};
use super::flight::Planned;
use super::home::{quote, use_statement};
use super::link::{Fate, Link};
use super::previous::TAKE_INSERT_ID;
use super::state::Values;
use super::state::pins::Pins;
use super::statement::UNPLACED;
use crate::frontend::login::{self, LoginContext};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::response::OkPacket;
use crate::protocol::status::Status;
use crate::sql::effects::Effects;
use std::rc::Rc;
use std::time::Duration;

/// What a session leaves on a connection that it gives up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeftBehind {
    Nothing,
    /// An id that `LAST_INSERT_ID()` would tell the next session.
    InsertId,
    /// What only a reset takes away.
    State,
}

/// How long a connection's reset may take before it is closed instead.
const RESET: Duration = Duration::from_secs(5);

impl Session {
    /// After sign-in: makes sure that the schema exists, and says OK. `before_ok` is a packet that the sign-in plugin wants
    /// to go first; it has the sequence number.
    pub(super) async fn open(&mut self, mut sequence: u8, before_ok: Option<Vec<u8>>) -> Result<(), SessionEnd> {
        if let Err(error) = self.meet_home().await {
            self.send_error(&error, sequence).await?;
            return Err(error.into());
        }
        self.names.1 = self.worker.name_number(self.state.values.schema.as_deref().unwrap_or_default());
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
            Command::Ping => {
                self.count_conditions().await;
                self.send_ok_as_left().await
            }
            Command::InitDb => match self.init_schema().await? {
                true => Ok(()),
                false => self.forward(command, Effects::SET_SCHEMA).await,
            },
            Command::FieldList => self.forward(command, Effects::METADATA | Effects::READ).await,
            Command::Statistics => self.forward(command, Effects::SERVER_BOUND).await,
            Command::SetOption => self.set_option().await,
            Command::ResetConnection => self.reset_connection().await,
            Command::ChangeUser => self.change_user().await,
            Command::Prepare => self.prepare().await,
            Command::SendLongData => self.send_long_data().await,
            Command::CloseStatement => self.close_statement().await,
            Command::ResetStatement => self.reset_statement().await,
            Command::Fetch => self.fetch().await,
            Command::Query | Command::Execute | Command::Quit => Err(StatementError::UnknownCommand.into()),
        }
    }

    /// Sends a command that has a statement's meaning as it came, where that statement would go, and the answer back.
    async fn forward(&mut self, command: Command, effects: Effects) -> Result<(), SessionEnd> {
        let snapshot = self.worker.snapshot();
        let text = self.as_statement(command);
        let (plan, route) = self.worker.plans.borrow_mut().route(
            &self.subject,
            &text,
            &snapshot.rules,
            &|| self.now(),
            self.time_zone(&snapshot),
        );
        if self.is_answered(&route) {
            let said = route.ok_msg.as_deref().filter(|_| route.refusal.is_none());
            return match (said, command) {
                (Some(_), Command::FieldList) => self.send_end().await,
                (Some(text), Command::Statistics) => {
                    let sequence = self.inbox.sequence().wrapping_add(1);
                    self.send_packet(|out| out.extend_from_slice(text.as_bytes()), sequence).await
                }
                _ => self.answered_by_rule(&plan, &route).await,
            };
        }
        let request = self.as_it_came(command.expect(), effects);
        let mut planned = Planned { snapshot, plan, route, request, executing: None, placed: UNPLACED };
        self.locate(&mut planned);
        self.run_with(planned, None, Tried::default()).await
    }

    /// What the present command means, as a statement: rules see the schema or the table that it names.
    fn as_statement(&self, command: Command) -> Vec<u8> {
        let argument = self.inbox.payload().get(1..).unwrap_or_default();
        match command {
            Command::InitDb => use_statement(argument),
            Command::FieldList => {
                let mut text = b"SHOW COLUMNS FROM ".to_vec();
                // A name, a zero byte, and a pattern for the columns.
                quote(&mut text, argument.split(|b| *b == 0).next().unwrap_or_default());
                text
            }
            _ => b"SHOW STATUS".to_vec(),
        }
    }

    /// COM_SET_OPTION: multi-statements on (0) or off (1).
    async fn set_option(&mut self) -> Result<(), SessionEnd> {
        let Some(&[low, high]) = self.inbox.payload().get(1..3) else { return Err(StatementError::Malformed.into()) };
        let on = match u16::from_le_bytes([low, high]) {
            0 => true,
            1 => false,
            _ => return Err(StatementError::UnknownCommand.into()),
        };
        self.capabilities.set(Capabilities::MULTI_STATEMENTS, on);
        if let Some(mut last) = self.last.take() {
            match self.agree_on_option(&mut last).await {
                Ok(()) => self.last = Some(last),
                // What it was kept for is gone, and the next statement will say so if it asks.
                Err(_) => self.discard(last),
            }
        }
        if let Some(mut home) = self.home.take() {
            match self.agree_on_option(&mut home).await {
                Ok(()) => self.home = Some(home),
                Err(mut error) => {
                    if let StatementError::Lost { pins, .. } = &mut error {
                        *pins = std::mem::take(&mut self.home_pins);
                        self.discard(home);
                    } else {
                        self.home = Some(home);
                    }
                    return Err(error.into());
                }
            }
        }
        self.send_end().await
    }

    /// Sets a link's multi-statements as the session has them.
    pub(super) async fn agree_on_option(&self, link: &mut Link) -> Result<(), StatementError> {
        let on = self.capabilities.contains(Capabilities::MULTI_STATEMENTS);
        if link.key.shape.contains(Capabilities::MULTI_STATEMENTS) == on {
            return Ok(());
        }
        let argument = u16::from(!on).to_le_bytes();
        let told = self.worker.talk().ask(link, Command::SetOption, &argument).await;
        told.map_err(|error| self.talk_failed(link, error))?;
        link.key.shape.set(Capabilities::MULTI_STATEMENTS, on);
        Ok(())
    }

    /// COM_RESET_CONNECTION: a new session for the same account and schema.
    async fn reset_connection(&mut self) -> Result<(), SessionEnd> {
        self.drop_links();
        let values = self.fresh_by_reset().await;
        self.start_anew(values);
        self.send_ok(b"").await
    }

    /// COM_CHANGE_USER: another account, on the same socket. The worker has no way to judge passwords itself; the gate's
    /// sign-in machine does.
    async fn change_user(&mut self) -> Result<(), SessionEnd> {
        self.drop_links();
        let snapshot = self.worker.snapshot();
        let host = self.subject.client_addr().map_or_else(|| "localhost".to_owned(), |ip| ip.to_string());
        let version = snapshot.greeting().version;
        let context = LoginContext {
            connection_id: self.connection_id,
            host: &host,
            server_version: &version,
            capabilities: self.capabilities,
            status: Status::AUTOCOMMIT,
            collation: self.collation,
            accounts: &snapshot.accounts,
            rsa: snapshot.frontend.rsa.as_ref().unwrap_or(&self.worker.rsa),
            tls: None,
            require_secure: false,
            plugin: snapshot.frontend.plugin,
            offload: &self.worker.offload,
            guesses: (&self.worker.guesses, snapshot.frontend.guesses),
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
    pub(super) fn start_anew(&mut self, values: Values) {
        self.prepared = None;
        self.previous = 0;
        self.previous_at_home = false;
        self.left = super::left::Left::default();
        self.things = super::state::things::Things::default();
        self.insert_id = None;
        self.wrote_at = None;
        self.transaction_wrote = false;
        self.status = Status::AUTOCOMMIT;
        self.enter(values);
    }

    /// The session is in this state from now on.
    pub(super) fn enter(&mut self, values: Values) {
        self.state = self.worker.states.intern(values);
        let schema = self.state.values.schema.as_deref();
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
        for parked in self.unpark_all() {
            self.give_up(parked, LeftBehind::State);
        }
        if let Some(home) = self.home.take() {
            let pins = std::mem::take(&mut self.home_pins);
            if pins.contains(Pins::XA) {
                // A reset of MariaDB's leaves the locks of a prepared transaction on the connection, even when others have ended it.
                self.discard(home);
                return;
            }
            let left = match pins.intersects(Pins::NEEDS_RESET) {
                true => LeftBehind::State,
                false if pins.contains(Pins::INSERT_ID) => LeftBehind::InsertId,
                false => LeftBehind::Nothing,
            };
            self.give_up(home, left);
        }
    }

    /// Gives a link to others that has something of the session's on it, which only a reset takes away.
    pub(super) fn give_up_stained(&self, link: Box<Link>) {
        self.give_up(link, LeftBehind::State);
    }

    /// Gives a link to others, once what the session has left on it is gone.
    fn give_up(&self, mut link: Box<Link>, left: LeftBehind) {
        if left == LeftBehind::Nothing || link.fate.get() != Fate::Shared {
            self.release(link);
            return;
        }
        let worker = Rc::clone(&self.worker);
        let serial = self.serial;
        tokio::task::spawn_local(async move {
            let clean = async {
                match left {
                    LeftBehind::InsertId => worker.talk().query(&mut link, TAKE_INSERT_ID).await.map(drop),
                    LeftBehind::State | LeftBehind::Nothing => worker.reset(&mut link).await,
                }
            };
            let reset = tokio::time::timeout(RESET, clean).await;
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
}
