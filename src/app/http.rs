//! The HTTP port: metrics, health, and a page for people. Read-only, on a thread of its own.
//!
//! | path | what |
//! |---|---|
//! | `/metrics` | Prometheus text |
//! | `/healthz` | 200 while the process lives |
//! | `/readyz` | 200 if the router can do its work; else 503 and why |
//! | `/` | the status page |
//! | `/api/status` | what the page shows, as JSON |
//! | `/api/explain` | `POST {"sql", "user", "schema"}`: where a statement would go |
//!
//! The page and what it asks for are served where the port is on loopback, or to those who know the password (HTTP basic
//! authentication, any name). Literals are in none of it.

use super::reloads::Reload;
use super::view::{Then, View};
use super::{StartError, metrics};
use crate::auth::Secret;
use crate::backend::{Backend, Hostgroup};
use crate::rules::{RuleSettings, Subject, explain};
use crate::session::statement::tally::REASON_NAMES;
use crate::session::worker::snapshot::Snapshot;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

/// The largest body that is read.
const MAX_BODY: usize = 1 << 20;
/// Digests that the page shows.
const TOP: usize = 20;
/// Rules that it is told of, however many there are.
const TOP_RULES: usize = 100;

struct Page {
    view: View,
    on_loopback: bool,
    password: Option<Secret>,
}

/// The socket of the port, and its address with the port that it got. Clients may connect, and wait until it is served.
///
/// # Errors
/// [`StartError::Listen`] if the address cannot be had.
pub(super) fn bind(address: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address: address.to_string(), source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves `view` for as long as the process lives.
///
/// # Errors
/// [`StartError::Thread`].
pub(super) fn serve(
    (listener, address): (std::net::TcpListener, SocketAddr),
    password: Option<Secret>,
    view: View,
) -> Result<(), StartError> {
    let page = Arc::new(Page { view, on_loopback: address.ip().is_loopback(), password });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, routes(page)).await
        });
        if let Err(error) = served {
            tracing::error!(%error, "the HTTP port is not served any more");
        }
    })?;
    tracing::info!(%address, "serving HTTP: /metrics, /healthz, /readyz and the status page");
    Ok(())
}

fn routes(page: Arc<Page>) -> Router {
    let guarded = Router::new()
        .route("/", get(|| async { Html(include_str!("status.html")) }))
        .route("/api/status", get(status))
        .route("/api/explain", post(explain_statement))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&page), guard));
    Router::new()
        .route(
            "/metrics",
            get(|State(page): State<Arc<Page>>| async move {
                ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::page(&page.view))
            }),
        )
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .merge(guarded)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::map_response(harden))
        .with_state(page)
}

/// What every answer says to browsers: nothing from elsewhere, nowhere else to show it.
async fn harden(mut response: Response) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
        img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] as [(HeaderName, &str); 4]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn guard(State(page): State<Arc<Page>>, request: Request, next: Next) -> Response {
    match &page.password {
        Some(password) if !knows(request.headers(), password) => {
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"switchboard\", charset=\"UTF-8\"")];
            (StatusCode::UNAUTHORIZED, ask, "a password is needed\n").into_response()
        }
        None if !page.on_loopback => {
            let text = "this page is served on loopback, or with a password: set [http] password_env\n";
            (StatusCode::FORBIDDEN, text).into_response()
        }
        // A page from elsewhere must not read ours by a name that it points at this address.
        None if !is_local_name(request.headers()) => {
            (StatusCode::FORBIDDEN, "without a password, only localhost and addresses are served\n").into_response()
        }
        _ => next.run(request).await,
    }
}

fn knows(headers: &HeaderMap, password: &Secret) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Basic "));
    let decoded = given.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text.trim()).ok());
    let Some(decoded) = decoded else { return false };
    // What stands before the first colon is a name, which nobody looks at.
    let given = decoded.splitn(2, |b| *b == b':').nth(1);
    given.is_some_and(|given| *password == Secret::from(given))
}

/// True if the client asked for this port by an address or as localhost.
fn is_local_name(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|h| h.to_str().ok()) else { return true };
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(n, _)| n);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

async fn ready(State(page): State<Arc<Page>>) -> (StatusCode, String) {
    let why = page.view.why_not_ready();
    match why.is_empty() {
        true => (StatusCode::OK, "ready\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, why.join("\n") + "\n"),
    }
}

async fn status(State(page): State<Arc<Page>>) -> Json<Value> {
    let view = &page.view;
    let snapshot = view.snapshot();
    let (published, refused) = view.reloads();
    let reasons: serde_json::Map<String, Value> =
        REASON_NAMES.iter().zip(view.reasons()).map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": view.uptime().as_secs_f64(),
        "ready": view.why_not_ready(),
        "config": { "version": snapshot.version, "published": published, "refused": refused },
        "clients": view.clients(),
        "statements": view.count(|c| &c.statements),
        "errors": view.count(|c| &c.errors),
        "unproven": view.count(|c| &c.unproven),
        "rules": top_rules(view, &snapshot),
        "rules_total": snapshot.rules.rules().len(),
        "reasons": reasons,
        "hostgroups": hostgroups(view, &snapshot),
        "digests": top_digests(view),
        "changes": health_changes(&snapshot),
        "reloads": reloads(view),
    }))
}

fn hostgroups(view: &View, snapshot: &Snapshot) -> Vec<Value> {
    let mut groups: Vec<Value> = Vec::new();
    for hostgroup in snapshot.topology.hostgroups() {
        groups.push(json!({ "id": hostgroup.id, "name": hostgroup.name, "writer": hostgroup.writer, "backends": [] }));
    }
    view.places(snapshot, |place| {
        let backend = &place.member.backend;
        let entry = json!({
            "lag": lag(place.hostgroup, backend), "read_only": place.hostgroup.is_read_only(backend),
            "name": backend.name, "weight": place.member.weight, "state": backend.health.state().name(),
            "open": backend.open(), "max": backend.max_connections(), "waiting": backend.waiting(),
            "statements": place.tally.statements.get(), "sum_us": place.tally.sum_us.get(),
            "sent": place.tally.bytes_sent.get(), "received": place.tally.bytes_received.get(),
        });
        let group = groups.iter_mut().find(|g| g["id"] == json!(place.hostgroup.id));
        if let Some(backends) = group.and_then(|g| g["backends"].as_array_mut()) {
            backends.push(entry);
        }
    });
    groups
}

/// What is known of a backend's lag; nothing where nobody asks.
fn lag(hostgroup: &Hostgroup, backend: &Backend) -> Option<Value> {
    let seen = backend.lag.seen();
    let reading = seen.reading.filter(|_| seen.limit > 0)?;
    let left_out = hostgroup.is_too_far_behind(backend);
    Some(json!({ "state": reading.name(), "seconds": seen.seconds, "limit": seen.limit, "left_out": left_out }))
}

/// The rules with the most hits, in the order in which they are tried.
fn top_rules(view: &View, snapshot: &Snapshot) -> Vec<Value> {
    let hits = view.rule_hits();
    let mut rules: Vec<_> = snapshot.rules.rules().enumerate().collect();
    let of = |rule: &RuleSettings| hits.get(&rule.rule_id).copied().unwrap_or(0);
    rules.sort_by_key(|(_, rule)| (std::cmp::Reverse(of(rule)), !rule.active));
    rules.truncate(TOP_RULES);
    rules.sort_by_key(|(place, _)| *place);
    let row = |rule: &RuleSettings| {
        json!({ "rule": rule.rule_id, "active": rule.active, "comment": rule.comment, "hostgroups": rule.destination,
                "hits": of(rule) })
    };
    rules.into_iter().map(|(_, rule)| row(rule)).collect()
}

/// The digests that took the most time.
fn top_digests(view: &View) -> Vec<Value> {
    let (mut digests, _) = view.digests(Then::Keep);
    digests.sort_unstable_by_key(|d| std::cmp::Reverse(d.tally.sum_us.get()));
    digests.truncate(TOP);
    let row = |d: super::view::DigestSum| {
        json!({ "hostgroup": d.label.hostgroup, "user": &*d.label.user, "schema": &*d.label.schema, "text": &*d.label.text,
                "digest": format!("0x{:016X}", d.label.digest), "count": d.tally.count.get(), "errors": d.tally.errors.get(),
                "sum_us": d.tally.sum_us.get(), "max_us": d.tally.max_us.get(), "rows": d.tally.rows_sent.get() })
    };
    digests.into_iter().map(row).collect()
}

/// The latest changes of the backends' health, newest first.
fn health_changes(snapshot: &Snapshot) -> Vec<Value> {
    let mut changes: Vec<_> = Vec::new();
    for backend in snapshot.topology.backends() {
        changes.extend(backend.health.history().into_iter().map(|change| (backend.name.clone(), change)));
    }
    changes.sort_by_key(|(_, change)| std::cmp::Reverse(change.at));
    changes.truncate(TOP);
    let row = |(backend, change): (Box<str>, crate::backend::health::Change)| json!({ "backend": backend, "at": iso(change.at), "from": change.from, "to": change.to, "cause": change.cause });
    changes.into_iter().map(row).collect()
}

/// The latest reloads, newest first.
fn reloads(view: &View) -> Vec<Value> {
    let row = |reload: Reload| {
        let (version, why) = match reload.outcome {
            Ok(version) => (Some(version), None),
            Err(why) => (None, Some(why)),
        };
        json!({ "at": iso(reload.at), "author": reload.author, "change": reload.change, "version": version, "why": why })
    };
    view.latest_reloads().into_iter().map(row).collect()
}

fn iso(at: SystemTime) -> String {
    Timestamp::try_from(at).map(|t| t.to_string()).unwrap_or_default()
}

#[derive(Deserialize)]
struct Asked {
    sql: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    schema: Option<String>,
}

async fn explain_statement(State(page): State<Arc<Page>>, Json(asked): Json<Asked>) -> Json<Value> {
    let snapshot = page.view.snapshot();
    let subject = Subject::new(&asked.user).with_schema(asked.schema.as_deref().filter(|s| !s.is_empty()));
    let sql = asked.sql.trim().as_bytes();
    let found = explain(&snapshot.rules, &subject, sql, &[], Timestamp::now(), &snapshot.settings.time_zone);
    let name = |id: &u32| match snapshot.topology.hostgroup(*id) {
        Some(hostgroup) if !hostgroup.name.is_empty() => format!("{id} ({})", hostgroup.name),
        _ => id.to_string(),
    };
    Json(json!({
        "digest": found.digest,
        "reader_safe": found.reader_safe,
        "effects": found.effects,
        "tables": found.tables.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "pins": found.pins,
        "earliest": found.reach_words(),
        "rule": found.rule(),
        "hostgroups": found.hostgroups().iter().map(name).collect::<Vec<_>>(),
        "reason": found.reason,
        "left_out": snapshot.topology.left_out(found.hostgroups()),
        "refusal": found.route.refusal.as_deref(),
    }))
}
