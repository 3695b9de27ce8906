//! `switchboard explain`: it reads statements, and prints the route of each and the reasons.
//!
//! [`crate::rules::explain`] finds them, on a configuration's rules or on a writer and readers alone. Nothing is run,
//! and no server is asked: what servers know (their definitions, their health) has no part in the answer.

use super::{CliError, report};
use crate::config::load_without_secrets;
use crate::rules::{Explanation, HostgroupId, RuleSet, Subject, explain as explain_route};
use crate::sql::LexMode;
use crate::sql::effects::Access;
use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
#[command(after_help = "\
Without --config, statements are routed by what they do: hostgroup 10 is the writer, hostgroup 20 the readers.

With --json each statement becomes one object on one line:
  statement     the text
  digest        the text with its literals out; digest_hash is its hash
  reader_safe   true only if it may run on a reader
  effects       what it does
  tables        the tables it names
  rule          the rule that decided, or null
  hostgroups    where it may go, in order of preference; empty if it is refused
  earliest      the earliest moment it can touch (RFC 3339), or null where none is proven
  reason        why, in words

Examples:
  echo 'DELETE FROM call_records WHERE id = 5' | switchboard explain --config rules/bigdb.toml
  switchboard explain --json < statements.sql | jq -r '[.hostgroups[0], .statement] | @tsv'")]
pub(super) struct ExplainArgs {
    /// Configuration file or directory; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    config: Vec<PathBuf>,
    /// The user who would send the statements
    #[arg(long, value_name = "NAME", default_value = "")]
    user: String,
    /// The session's default schema
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// Where the client would come from; a unix socket unless given
    #[arg(long, value_name = "ADDRESS")]
    client_addr: Option<IpAddr>,
    /// The local port that the client would have connected to
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    proxy_port: u16,
    /// The session's sql_mode, as far as it changes how text is read
    #[arg(long, value_name = "MODES", default_value = "")]
    sql_mode: String,
    /// The moment to take for now (RFC 3339)
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Statements end with a NUL byte, not with the line
    #[arg(short = '0', long = "null")]
    null: bool,
}

/// The longest statement that is read, in bytes.
const MAX_STATEMENT: u64 = 64 << 20;

pub(super) fn explain(args: &ExplainArgs) -> Result<(), CliError> {
    let (rules, time_zone) = rules(args)?;
    let mut subject = Subject::new(&args.user)
        .with_addresses(args.client_addr, None, args.proxy_port)
        .with_schema(args.schema.as_deref());
    subject.set_mode(LexMode::from_sql_mode(&args.sql_mode));
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("Statements, one a line; Ctrl-D ends.");
    }
    let mut input = BufReader::new(stdin.lock());
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut statement = Vec::new();
    while next(&mut input, args.null, &mut statement)? {
        let now = args.at.unwrap_or_else(Timestamp::now);
        let found = explain_route(&rules, &subject, &statement, &[], now, &time_zone);
        if args.json {
            json(&mut out, &statement, &found)?
        } else {
            text(&mut out, &rules, &statement, &found)?
        }
        // Answered at once where somebody waits for it, and not once a line where much is there.
        if input.buffer().is_empty() {
            out.flush()?;
        }
    }
    out.flush()?;
    Ok(())
}

fn rules(args: &ExplainArgs) -> Result<(Arc<RuleSet>, TimeZone), CliError> {
    if args.config.is_empty() {
        let built = RuleSet::build(RuleSet::by_effect(10, &[20]));
        let rules = built.map_err(|_| CliError::Failed("the built-in rules are broken".to_owned()))?;
        return Ok((Arc::new(rules), TimeZone::UTC));
    }
    let loaded = load_without_secrets(&args.config).map_err(|faults| report(&faults))?;
    Ok((loaded.rules, loaded.session.time_zone))
}

/// Reads the next statement; false at the end. Lines of nothing but white space are passed over.
fn next(input: &mut impl BufRead, null: bool, statement: &mut Vec<u8>) -> Result<bool, CliError> {
    loop {
        statement.clear();
        let end = if null { 0 } else { b'\n' };
        input.by_ref().take(MAX_STATEMENT).read_until(end, statement)?;
        if statement.is_empty() {
            return Ok(false);
        }
        if statement.last() == Some(&end) {
            statement.pop();
        } else if statement.len() as u64 >= MAX_STATEMENT {
            return Err(CliError::Failed(format!("a statement is longer than {} MiB", MAX_STATEMENT >> 20)));
        }
        if !null && statement.last() == Some(&b'\r') {
            statement.pop();
        }
        if null || !statement.trim_ascii().is_empty() {
            return Ok(true);
        }
    }
}

/// What `--json` prints. The names are an interface.
#[derive(Serialize)]
struct Line<'a> {
    statement: &'a str,
    digest: &'a str,
    digest_hash: String,
    reader_safe: bool,
    effects: &'a [String],
    tables: Vec<&'a str>,
    functions: &'a [String],
    pins: &'a [&'static str],
    rule: Option<u32>,
    matched_rules: &'a [u32],
    hostgroups: &'a [HostgroupId],
    excluded: &'a [HostgroupId],
    earliest: Option<String>,
    refusal: Option<&'a str>,
    reason: &'a str,
}

fn json(out: &mut impl Write, statement: &[u8], found: &Explanation) -> Result<(), CliError> {
    let line = Line {
        statement: &String::from_utf8_lossy(statement),
        digest: &found.digest,
        digest_hash: format!("0x{:016X}", found.hash),
        reader_safe: found.reader_safe,
        effects: &found.effects,
        tables: found.tables.iter().map(|(name, _)| name.as_str()).collect(),
        functions: &found.functions,
        pins: &found.pins,
        rule: found.rule(),
        matched_rules: &found.matched,
        hostgroups: found.hostgroups(),
        excluded: &found.route.excluded,
        earliest: found.earliest().map(|t| t.to_string()),
        refusal: found.route.refusal.as_deref(),
        reason: &found.reason,
    };
    serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}

fn text(out: &mut impl Write, rules: &RuleSet, statement: &[u8], found: &Explanation) -> Result<(), CliError> {
    let or_none = |list: Vec<String>| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    let named = |&id: &HostgroupId| match rules.hostgroups().get(id).map(|g| &*g.name) {
        Some(name) if !name.is_empty() => format!("{id} ({name})"),
        _ => id.to_string(),
    };
    let table = |(name, access): &(String, Access)| match access {
        Access::Read => format!("{name} (read)"),
        Access::Write => format!("{name} (written)"),
    };
    writeln!(out, "{}", String::from_utf8_lossy(statement))?;
    writeln!(out, "  digest       {}", found.digest)?;
    writeln!(out, "  hash         0x{:016X}", found.hash)?;
    writeln!(out, "  effects      {}", or_none(found.effects.clone()))?;
    writeln!(out, "  tables       {}", or_none(found.tables.iter().map(table).collect()))?;
    writeln!(out, "  pins         {}", or_none(found.pins.iter().map(|p| (*p).to_owned()).collect()))?;
    writeln!(out, "  reader safe  {}", if found.reader_safe { "yes" } else { "no" })?;
    writeln!(out, "  earliest     {}", found.reach_words())?;
    writeln!(out, "  rule         {}", found.rule().map_or_else(|| "none".to_owned(), |id| id.to_string()))?;
    let tiers: Vec<String> = found.hostgroups().iter().map(named).collect();
    writeln!(out, "  hostgroups   {}", if tiers.is_empty() { "none".to_owned() } else { tiers.join(", then ") })?;
    writeln!(out, "  reason       {}", found.reason)?;
    writeln!(out)?;
    Ok(())
}
