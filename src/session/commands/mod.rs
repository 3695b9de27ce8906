//! The commands that are neither statements nor executions: each is answered by the router itself, sent on where a statement of
//! its meaning would go, or done by the room whose it is.
//!
//! It stands above all rooms. It refuses to know how a statement runs ([`super::statement`]).

mod prepare;

use crate::frontend::login;
use crate::frontend::login::LoginContext;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::response::OkPacket;
use crate::protocol::status::Status;
use crate::rules::Route;
use crate::session::error::{SessionEnd, StatementError};
use crate::session::holdings::{Hold, Holdings};
use crate::session::home::{quote, use_statement};
use crate::session::link::conversation::TalkError;
use crate::session::parts::Session;
use crate::session::parts::flight::{Planned, UNPLACED};
use crate::session::parts::left::Left;
use crate::session::parts::place::{Place, Why};
use crate::session::parts::previous::{Keeps, Previous};
use crate::session::state::State;
use crate::session::state::base::Born;
use crate::session::state::pins::Pins;
use crate::session::supply::Tried;
use crate::sql::effects::Effects;
use std::rc::Rc;

impl Session {
    /// After sign-in: makes sure that the schema exists, and says OK. `before_ok` is a packet that the sign-in plugin wants
    /// to go first; it has the sequence number.
    pub(super) async fn open(&mut self, mut sequence: u8, before_ok: Option<Vec<u8>>) -> Result<(), SessionEnd> {
        if let Err(error) = self.meet_home().await {
            self.send_error(&error, sequence).await?;
            return Err(error.into());
        }
        self.count_schema();
        let mut out = self.worker.buffers.take();
        if let Some(first) = before_ok {
            sequence = self.put(&mut out, |out| out.extend_from_slice(&first), sequence);
        }
        let ok = OkPacket { status: self.own_status(), ..OkPacket::default() };
        self.put(&mut out, |out| ok.encode(out, self.capabilities), sequence);
        self.send_packets(out).await
    }

    /// Every command but COM_QUERY, COM_STMT_EXECUTE and COM_QUIT.
    pub(super) async fn other_command(&mut self, command: Command) -> Result<(), SessionEnd> {
        if is_sent_on(command) && self.must_carry(Effects::empty()) {
            self.carry_aside().await?;
        }
        match command {
            Command::Ping => {
                self.count_conditions().await;
                self.left.commanded(command);
                self.send_ok_as_left().await
            }
            Command::InitDb => self.init_db().await,
            Command::FieldList => self.forward(command, Effects::METADATA | Effects::READ).await,
            Command::Statistics => self.forward(command, Effects::SERVER_BOUND).await,
            Command::SetOption => {
                self.count_conditions().await;
                self.left.commanded(command);
                self.set_option().await
            }
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

    /// COM_INIT_DB, which diagnostics outlast on both engines.
    async fn init_db(&mut self) -> Result<(), SessionEnd> {
        self.count_conditions().await;
        let before = (self.left, self.previous);
        if !self.init_schema().await? {
            self.forward(Command::InitDb, Effects::SET_SCHEMA).await?;
            self.outlasted(before);
            self.fail_beside_diagnostics(before).await;
        }
        Ok(())
    }

    /// MySQL adds the error of COM_INIT_DB to the diagnostics that are there. Where those are on another connection than the one that
    /// has refused it, they get the same error from their own server.
    async fn fail_beside_diagnostics(&mut self, (left, previous): (Left, Previous)) {
        let serial = previous.asked_by(Effects::NEEDS_WARNINGS);
        let has_moved = serial != self.previous.asked_by(Effects::NEEDS_WARNINGS);
        if left.is_kept() || left.has_no_diagnostics() || !has_moved {
            return;
        }
        let Some(mut hold) = self.take_untouched(serial, |_| true) else { return };
        let schema = self.inbox.payload().get(1..).unwrap_or_default();
        let worker = Rc::clone(&self.worker);
        match worker.talk().ask(&mut hold.link, Command::InitDb, schema).await {
            Err(TalkError::Refused { .. }) => {
                hold.link.diagnostics = self.serial;
                self.previous.diagnosed_on(serial);
                let settled = self.holdings.settle(hold, Pins::empty(), Pins::WARNINGS);
                self.keep_or_release(settled);
            }
            // A server that has the schema is in it now; one that is gone has nothing to be asked for.
            Ok(_) | Err(TalkError::Broken(_)) => self.lose(hold).untold(),
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
        match command == Command::InitDb && self.is_added_to_diagnostics(&planned.route) {
            true => {
                self.ticket.set_digest(planned.plan.hash);
                planned.placed = (Place::Last, Why::NeedsPrevious);
            }
            false => self.locate(&mut planned),
        }
        self.run_with(planned, None, Tried::default()).await
    }

    /// True if a command that clears no diagnostics can be sent to the connection that has some: what it leaves is added to those.
    fn is_added_to_diagnostics(&self, route: &Route) -> bool {
        let goes_there = |last: &Hold| {
            route.tiers.first() == Some(&last.link.hostgroup)
                && self.previous.asked_by(Effects::NEEDS_WARNINGS) == last.link.serial
        };
        !self.left.has_no_diagnostics()
            && self.holdings.home().is_none()
            && self.holdings.last().is_some_and(|last| last.link.writer && goes_there(last))
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
        if let Some(mut last) = self.holdings.take_last() {
            match self.agree_on_option(&mut last.link).await {
                Ok(()) => self.put_back(last),
                // The next statement will say so if it asks for what was there.
                Err(_) => self.lose(last).untold(),
            }
        }
        if let Some(mut home) = self.holdings.take_home() {
            match self.agree_on_option(&mut home.link).await {
                Ok(()) => self.put_back(home),
                Err(error) => return Err(self.talk_failed(home, error).into()),
            }
        }
        self.send_end().await
    }

    /// COM_RESET_CONNECTION: a new session for the same account and schema.
    async fn reset_connection(&mut self) -> Result<(), SessionEnd> {
        self.end_links().await;
        let state = self.fresh_by_reset().await;
        self.start_anew(state, Born::ByReset);
        self.send_ok(b"").await
    }

    /// COM_CHANGE_USER: another account, on the same socket. The worker has no way to judge passwords itself; the gate's
    /// sign-in machine does.
    async fn change_user(&mut self) -> Result<(), SessionEnd> {
        self.end_links().await;
        let snapshot = self.worker.snapshot();
        let version = snapshot.greeting().version;
        let context = LoginContext {
            connection_id: self.connection_id,
            host: self.subject.client_addr().into(),
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
        self.start_anew(self.fresh(changed.schema.as_deref()), Born::BySignIn);
        self.open(changed.sequence, changed.before_ok).await
    }

    /// What a new session starts with, whose life began so.
    pub(super) fn start_anew(&mut self, state: Rc<State>, born: Born) {
        self.born = born;
        self.prepared = None;
        self.previous.ran_nowhere(Keeps::default());
        self.left.began_anew();
        self.holdings = Holdings::default();
        (self.wrote_at, self.wrote_on, self.vain_wait) = (None, None, None);
        self.token = None;
        self.transaction_wrote = false;
        self.enter(state);
        self.status = Status::AUTOCOMMIT;
        self.status.set(Status::AUTOCOMMIT, self.state.autocommit);
    }

    /// The end: what the session held is cleaned and given back, or closed.
    pub(super) fn close(&mut self) {
        self.drop_links();
    }
}

/// True for commands that a server answers, or may.
fn is_sent_on(command: Command) -> bool {
    matches!(command, Command::InitDb | Command::FieldList | Command::Statistics | Command::Prepare | Command::Fetch)
}
