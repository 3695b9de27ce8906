//! Plays steps on one side: the sessions that are signed in there, and what each of them has prepared.
//!
//! The two sides of a program have a [`Side`] each and know nothing of each other. A session that is not there signs in by itself.
//! Steps never fail here: a connection that breaks is a reply like any other.

use super::compare::Numbers;
use super::environment::{CAPABILITIES, Environment, MORE_CAPABILITIES};
use super::program::{Op, Step, Value, shown};
use super::reply::{Replies, Reply, simple};
use crate::traffic_support::raw::{Fault, Raw};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use switchboard::auth::Credentials;
use switchboard::backend::connect::{ConnectOptions, Target};
use switchboard::protocol::capabilities::Capabilities;
use switchboard::protocol::codec::put_lenenc_bytes;

/// For one packet of an answer. Longer than any lock wait of the servers and than the router's wait for a connection.
const PATIENCE: Duration = Duration::from_secs(8);

/// Says the same on both sides in a session that has set both seeds: a broken session has lost them.
const UNSEEDED: &[u8] = b"SELECT RAND() AS r";

/// The schemas of one program, by the names `a`, `b` and `c`. Both servers have the same.
#[derive(Clone, Debug)]
pub struct Schemas(pub [String; 3]);

impl Schemas {
    /// The schema that a step calls so; any other name is itself.
    pub fn named(&self, name: &str) -> String {
        match name {
            "a" => self.0[0].clone(),
            "b" => self.0[1].clone(),
            "c" => self.0[2].clone(),
            other => other.to_owned(),
        }
    }
}

/// One side.
pub struct Side<'a> {
    /// Where clients sign in: a server or the router.
    pub target: Target,
    /// An account of the server's own behind it.
    pub admin: &'a mut Raw,
    /// True for a server without a router in front.
    pub direct: bool,
    pub environment: Environment,
    pub schemas: Schemas,
    pub sessions: BTreeMap<usize, Client>,
    /// The connection numbers that the sessions had last.
    pub numbers: Numbers,
}

/// A session that is signed in.
pub struct Client {
    raw: Raw,
    statements: HashMap<String, Prepared>,
}

struct Prepared {
    id: u32,
    parameters: usize,
    columns: Vec<Vec<u8>>,
}

impl Side<'_> {
    /// Does a step, and gives what came back.
    pub async fn perform(&mut self, step: &Step) -> Vec<Reply> {
        let session = step.session;
        if let Op::Killed { by, sql } = &step.op {
            return self.killed(session, *by, sql).await;
        }
        if let Op::Enter { schema, collation, capabilities } = &step.op {
            self.leave(session, true).await;
            let entered = self.enter(session, schema.as_deref(), *collation, capabilities.as_deref()).await;
            return vec![entered.err().unwrap_or(Reply::Nothing("signed in"))];
        }
        if let Op::Leave | Op::Vanish = step.op {
            self.leave(session, step.op == Op::Leave).await;
            return vec![Reply::Nothing("left")];
        }
        if step.op.statement() == Some(UNSEEDED) && !self.sessions.contains_key(&session) {
            return vec![Reply::Nothing("not seeded")];
        }
        if let Err(refused) = self.present(session).await {
            return vec![refused];
        }
        let sent = step.op.statement().map(|sql| self.filled(session, sql));
        let schemas = self.schemas.clone();
        let collation = self.environment.collation;
        let Some(client) = self.sessions.get_mut(&session) else { return vec![Reply::Nothing("no session")] };
        let replies = match &step.op {
            Op::Lose => self.lose(session).await,
            op => client.perform(op, sent.as_deref().unwrap_or_default(), &schemas, collation).await,
        };
        if replies.iter().any(|reply| matches!(reply, Reply::Broken(_))) {
            self.leave(session, false).await;
        }
        replies
    }

    /// Signs the session in unless it is.
    async fn present(&mut self, session: usize) -> Result<(), Reply> {
        match self.sessions.contains_key(&session) {
            true => Ok(()),
            false => self.enter(session, None, None, None).await,
        }
    }

    async fn enter(
        &mut self,
        session: usize,
        schema: Option<&str>,
        collation: Option<u16>,
        capabilities: Option<&str>,
    ) -> Result<(), Reply> {
        let schema = self.schemas.named(schema.unwrap_or("a"));
        let wanted = capabilities.unwrap_or(self.environment.capabilities);
        let flags = CAPABILITIES
            .iter()
            .chain(&MORE_CAPABILITIES)
            .find(|(name, _)| *name == wanted)
            .map_or(Capabilities::empty(), |(_, flags)| *flags);
        let options = ConnectOptions {
            capabilities: flags,
            schema: (schema != "none").then_some(schema.as_str()),
            collation: collation.unwrap_or(self.environment.collation),
            ..ConnectOptions::default()
        };
        match Raw::sign_in(&self.target, &Credentials::new("app", "app-secret"), &options).await {
            Ok(raw) => {
                self.numbers.insert(session, raw.thread_id);
                self.sessions.insert(session, Client { raw, statements: HashMap::new() });
                Ok(())
            }
            Err(error) => {
                let text = error.to_string();
                let text = text.split_once("refused").map_or(text.clone(), |(_, why)| why.to_owned());
                Err(Reply::Err { code: 0, state: String::new(), text })
            }
        }
    }

    /// Ends a session, and waits until its server is done with it: what it leaves behind is gone only then.
    async fn leave(&mut self, session: usize, in_words: bool) {
        let Some(mut client) = self.sessions.remove(&session) else { return };
        if in_words {
            let _ = client.raw.try_send(0x01, b"").await;
            let _ = client.raw.next_packet(Duration::from_secs(2)).await;
        }
        let number = client.raw.thread_id;
        drop(client);
        if !self.direct {
            // The router's own connections outlive it; what it does to them then, it does at once.
            tokio::time::sleep(Duration::from_millis(8)).await;
            return;
        }
        let asked = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {number}");
        self.until(&asked, "0", Duration::from_secs(2)).await;
    }

    /// Waits until the server's own account is answered so.
    async fn until(&mut self, sql: &str, wanted: &str, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if ask(self.admin, sql).await.first().and_then(|row| row.first()).is_some_and(|value| value == wanted) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        false
    }

    /// `session` runs a statement, and `by` kills it when it runs.
    async fn killed(&mut self, session: usize, by: usize, sql: &[u8]) -> Vec<Reply> {
        for each in [session, by] {
            if let Err(refused) = self.present(each).await {
                return vec![refused];
            }
        }
        let sent = self.filled(session, sql);
        let kill = self.filled(by, format!("KILL QUERY {{s{session}}}").as_bytes());
        let Some(victim) = self.sessions.get_mut(&session) else { return vec![Reply::Nothing("no session")] };
        if let Err(fault) = victim.raw.try_send(0x03, &sent).await {
            return vec![Reply::Broken(fault)];
        }
        let text = String::from_utf8_lossy(&sent).replace('\'', "''");
        let running = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep' AND INFO = '{text}'"
        );
        let mut replies = Vec::new();
        if !self.until(&running, "1", Duration::from_secs(5)).await {
            // It failed at once.
            replies.push(Reply::Nothing("was never seen to run"));
        } else if let Some(killer) = self.sessions.get_mut(&by) {
            replies.extend(killer.query(&kill).await);
        }
        if let Some(victim) = self.sessions.get_mut(&session) {
            replies.extend(victim.replies().all(false).await);
        }
        replies
    }

    /// Kills the server's connection of a session from outside. Behind a router that is one that has a transaction open.
    async fn lose(&mut self, session: usize) -> Vec<Reply> {
        let number = match self.numbers.get(&session) {
            Some(number) if self.direct => number.to_string(),
            _ => {
                // The table is a picture that is taken anew when nobody has looked at it for a tenth of a second.
                tokio::time::sleep(Duration::from_millis(150)).await;
                let open = ask(self.admin, "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX").await;
                open.into_iter().flatten().next().unwrap_or_default()
            }
        };
        if !number.is_empty() {
            ask(self.admin, &format!("KILL {number}")).await;
            let gone = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {number}");
            self.until(&gone, "0", Duration::from_secs(2)).await;
        }
        if self.direct {
            self.sessions.remove(&session);
        }
        vec![Reply::Nothing("lost")]
    }

    /// A statement with names filled in.
    fn filled(&self, session: usize, sql: &[u8]) -> Vec<u8> {
        if !sql.contains(&b'{') {
            return sql.to_vec();
        }
        let mut out = sql.to_vec();
        let mut fill = |name: String, value: &str| {
            while let Some(at) = out.windows(name.len()).position(|window| window == name.as_bytes()) {
                out.splice(at..at + name.len(), value.bytes());
            }
        };
        for (name, schema) in ["a", "b", "c"].iter().zip(&self.schemas.0) {
            fill(format!("{{{name}}}"), schema);
        }
        for (number, thread) in &self.numbers {
            fill(format!("{{s{number}}}"), &thread.to_string());
            if *number == session {
                fill("{me}".to_owned(), &thread.to_string());
            }
        }
        out
    }
}

impl Client {
    fn replies(&mut self) -> Replies<'_> {
        Replies { raw: &mut self.raw, patience: PATIENCE, cursor: false }
    }

    async fn query(&mut self, sql: &[u8]) -> Vec<Reply> {
        match self.raw.try_send(0x03, sql).await {
            Ok(()) => self.replies().all(false).await,
            Err(fault) => vec![Reply::Broken(fault)],
        }
    }

    /// A command whose answer is one OK, EOF or ERR.
    async fn command(&mut self, command: u8, argument: &[u8]) -> Vec<Reply> {
        let capabilities = self.raw.capabilities;
        let answer = match self.raw.try_send(command, argument).await {
            Ok(()) => self.raw.next_packet(PATIENCE).await,
            Err(fault) => Err(fault),
        };
        vec![answer.map_or_else(Reply::Broken, |packet| simple(&packet, capabilities))]
    }

    async fn perform(&mut self, op: &Op, sql: &[u8], schemas: &Schemas, collation: u16) -> Vec<Reply> {
        match op {
            Op::Query(_) => self.query(sql).await,
            Op::InitDb(schema) => self.command(0x02, schemas.named(schema).as_bytes()).await,
            Op::Ping => self.command(0x0e, b"").await,
            Op::Reset => {
                self.statements.clear();
                self.command(0x1f, b"").await
            }
            Op::Multi(on) => self.command(0x1b, &[u8::from(!on), 0]).await,
            Op::ChangeUser { schema, collation: own } => {
                self.statements.clear();
                let schema = schemas.named(schema.as_deref().unwrap_or("a"));
                let schema = (schema != "none").then_some(schema.as_str());
                let capabilities = self.raw.capabilities;
                let last = self.raw.change_user(schema, own.unwrap_or(collation), PATIENCE).await;
                vec![last.map_or_else(Reply::Broken, |packet| simple(&packet, capabilities))]
            }
            Op::Prepare { name, .. } => self.prepare(name, sql).await,
            Op::Execute { name, cursor, values } => self.execute(name, *cursor, values).await,
            Op::Fetch { name, rows } => self.fetch(name, *rows).await,
            Op::Restart(name) => match self.statements.get(name).map(|statement| statement.id) {
                Some(id) => self.command(0x1a, &id.to_le_bytes()).await,
                None => vec![Reply::Nothing("not prepared")],
            },
            Op::Close(name) => match self.statements.remove(name) {
                Some(Prepared { id, .. }) => self.silent(0x19, &id.to_le_bytes()).await,
                None => vec![Reply::Nothing("not prepared")],
            },
            Op::Long { name, parameter, data } => match self.statements.get(name) {
                Some(statement) if usize::from(*parameter) < statement.parameters => {
                    let argument = [&statement.id.to_le_bytes()[..], &parameter.to_le_bytes(), data].concat();
                    self.silent(0x18, &argument).await
                }
                _ => vec![Reply::Nothing("not prepared")],
            },
            Op::Enter { .. } | Op::Leave | Op::Vanish | Op::Killed { .. } | Op::Lose => Vec::new(),
        }
    }

    async fn silent(&mut self, command: u8, argument: &[u8]) -> Vec<Reply> {
        let sent = self.raw.try_send(command, argument).await;
        vec![sent.map_or_else(Reply::Broken, |()| Reply::Nothing("sent"))]
    }

    async fn prepare(&mut self, name: &str, sql: &[u8]) -> Vec<Reply> {
        if let Some(old) = self.statements.remove(name) {
            let _ = self.raw.try_send(0x19, &old.id.to_le_bytes()).await;
        }
        if let Err(fault) = self.raw.try_send(0x16, sql).await {
            return vec![Reply::Broken(fault)];
        }
        match self.replies().prepared().await {
            Ok((reply, id)) => {
                if let (Reply::Prepared { parameters, columns, .. }, Some(id)) = (&reply, id) {
                    let prepared = Prepared { id, parameters: parameters.len(), columns: columns.clone() };
                    self.statements.insert(name.to_owned(), prepared);
                }
                vec![reply]
            }
            Err(fault) => vec![Reply::Broken(fault)],
        }
    }

    /// Values that the program has too few of are NULL; those that it has too many of are left out.
    async fn execute(&mut self, name: &str, cursor: bool, values: &[Value]) -> Vec<Reply> {
        let Some(statement) = self.statements.get(name) else { return vec![Reply::Nothing("not prepared")] };
        let bound: Vec<&Value> = (0..statement.parameters).map(|i| values.get(i).unwrap_or(&Value::Null)).collect();
        let argument = execution(statement.id, cursor, &bound);
        if let Err(fault) = self.raw.try_send(0x17, &argument).await {
            return vec![Reply::Broken(fault)];
        }
        Replies { cursor, ..self.replies() }.all(true).await
    }

    async fn fetch(&mut self, name: &str, rows: u32) -> Vec<Reply> {
        let Some(statement) = self.statements.get(name) else { return vec![Reply::Nothing("not prepared")] };
        let (id, columns) = (statement.id, statement.columns.clone());
        if let Err(fault) = self.raw.try_send(0x1c, &[id.to_le_bytes(), rows.to_le_bytes()].concat()).await {
            return vec![Reply::Broken(fault)];
        }
        vec![self.replies().rows(columns, true).await.unwrap_or_else(Reply::Broken)]
    }
}

/// The argument of COM_STMT_EXECUTE.
fn execution(id: u32, cursor: bool, values: &[&Value]) -> Vec<u8> {
    let mut out = id.to_le_bytes().to_vec();
    out.push(u8::from(cursor));
    out.extend_from_slice(&1u32.to_le_bytes());
    if values.is_empty() {
        return out;
    }
    let mut nulls = vec![0u8; values.len().div_ceil(8)];
    for (i, value) in values.iter().enumerate().filter(|(_, value)| ***value == Value::Null) {
        nulls[i / 8] |= u8::from(*value == &Value::Null) << (i % 8);
    }
    out.extend_from_slice(&nulls);
    out.push(1);
    for value in values {
        out.extend_from_slice(match value {
            Value::Null => &[0x06, 0],
            Value::Int(_) => &[0x08, 0],
            Value::Text(_) => &[0xfd, 0],
        });
    }
    for value in values {
        match value {
            Value::Null => {}
            Value::Int(number) => out.extend_from_slice(&number.to_le_bytes()),
            Value::Text(text) => put_lenenc_bytes(&mut out, text),
        }
    }
    out
}

/// Rows of a statement of the server's own account; none where it fails.
pub async fn ask(admin: &mut Raw, sql: &str) -> Vec<Vec<String>> {
    tell(admin, sql).await.unwrap_or_default()
}

/// The same with the error's text.
pub async fn tell(admin: &mut Raw, sql: &str) -> Result<Vec<Vec<String>>, String> {
    admin.try_send(0x03, sql.as_bytes()).await.map_err(|fault| format!("{fault:?}"))?;
    let replies = Replies { raw: admin, patience: Duration::from_secs(60), cursor: false }.all(false).await;
    match replies.into_iter().next() {
        Some(Reply::Rows { rows, .. }) => Ok(rows
            .iter()
            .map(|row| super::reply::row_shown(row, false).split(" | ").map(str::to_owned).collect())
            .collect()),
        Some(Reply::Err { code, text, .. }) => Err(format!("{code}: {text}\n{}", shown(sql.as_bytes()))),
        Some(Reply::Broken(Fault::Closed)) => Err("the server closed".into()),
        _ => Ok(Vec::new()),
    }
}
