use std::sync::Arc;
use switchboard::{
    app,
    auth::*,
    backend::{self, *},
    rules::{CacheLimits, RuleSet},
    session::{settings::*, snapshot::*},
};
fn main() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).init();
    let port: u16 = std::env::args().nth(1).unwrap().parse().unwrap();
    let workers: usize = std::env::args().nth(2).unwrap_or("2".into()).parse().unwrap();
    let target = connect::Target::tcp("127.0.0.1", port);
    let backend = Arc::new(Backend::new(
        backend::server::BackendId(1),
        target,
        500,
        health::Health::new(Default::default(), health::State::Up),
    ));
    let hg = |id, writer| Hostgroup {
        id,
        name: "x".into(),
        writer,
        members: vec![hostgroup::Member { backend: backend.clone(), weight: 1 }],
        balance: Default::default(),
    };
    let rules = RuleSet::build(RuleSet::by_effect(10, &[20])).unwrap();
    let accounts = Accounts::build(
        [AccountSpec {
            name: "app".into(),
            passwords: vec![StoredPassword::Clear("apppw".into())],
            ..Default::default()
        }],
        None,
    )
    .unwrap();
    let snapshot = Snapshot {
        version: 1,
        rules: Arc::new(rules),
        topology: Topology::new([hg(10, true), hg(20, false)]),
        accounts,
        settings: SessionSettings::default(),
        frontend: Frontend {
            version: None,
            learnt_version: Arc::default(),
            collation: 45,
            plugin: Plugin::Native,
            tls: None,
            max_clients: 100000 }, checks: Default::default() };
    let setup = app::setup::Setup {
        listen: vec!["127.0.0.1:6033".parse().unwrap()],
        socket: None,
        workers,
        backlog: 4096,
        caches: CacheLimits::default(),
    };
    let _router = app::Router::start(&setup, app::publish(snapshot)).unwrap();
    loop {
        std::thread::park()
    }
}
