//! A new connection to a backend: signed in, its life begun, and in the state that is asked for.
//!
//! A server that does not answer is noted as unwell; what it refuses is the session's own affair, and remembered for a while.

use super::{NoLink, Supply};
use crate::backend::connect::ConnectOptions;
use crate::backend::health::Cause;
use crate::backend::server::Lease;
use crate::backend::{Hostgroup, connect};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::status::Status;
use crate::session::link::Link;
use crate::session::link::conversation::TalkError;
use crate::session::link::relay::Relay;
use crate::session::state::State;
use crate::session::state::base::Born;
use crate::session::worker::snapshot::Snapshot;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

impl Supply<'_> {
    /// Connects, signs in, and brings the new connection to this state.
    pub(super) async fn open(
        &self,
        state: &Rc<State>,
        lease: Lease,
        hostgroup: &Hostgroup,
        snapshot: &Snapshot,
    ) -> Result<Box<Link>, NoLink> {
        let backend = Arc::clone(lease.backend());
        let Some(credentials) = self.account.credentials() else {
            return Err(NoLink::Lasting(format!(
                "the router has no password for account '{}' at the backends: set backend_password",
                self.account.name()
            )));
        };
        let options = ConnectOptions {
            capabilities: (Capabilities::COMMON - Capabilities::SHAPE) | self.shape,
            collation: self.collation,
            schema: None,
            timeout: snapshot.settings.connect_timeout,
            ..ConnectOptions::default()
        };
        let connected = match connect::connect(&backend.target(), &credentials, &options).await {
            Ok(connected) => connected,
            Err(error) => {
                if error.says_unwell() {
                    backend.failed(Cause::Connection(error.to_string()));
                }
                tracing::warn!(backend = &*backend.name, user = self.account.name(), error = %error, "no connection to a backend");
                return Err(match error.says_unwell() || error.is_full() {
                    true => NoLink::Other(error.to_string()),
                    false => NoLink::Lasting(error.to_string()),
                });
            }
        };
        backend.learn(&connected.server);
        self.worker.stats.counters.connects.inc();
        backend.record.connected();
        let mut link = Box::new(Link {
            stream: connected.stream,
            relay: Relay::default(),
            key: self.key(&backend),
            counted: self.worker.pool.borrow_mut().counted(backend.id),
            lease,
            hostgroup: hostgroup.id,
            writer: hostgroup.writer,
            serial: self.worker.next_serial(),
            thread_id: connected.server.thread_id.into(),
            base: self.worker.states.unknown(),
            state: self.worker.states.unmet(None),
            prepared: hashbrown::HashMap::default(),
            uses: 0,
            owner: 0,
            diagnostics: 0,
            is_doubtful: false,
            has_given_id: false,
            knows: (0, false),
            deprecate_eof: connected.capabilities.contains(Capabilities::DEPRECATE_EOF),
            born: self.worker.ticks(),
            status: Status::empty(),
            fate: Cell::default(),
            busy: false,
        });
        let made_ready = async {
            self.worker.life(snapshot, &link, None).begin(&mut link).await?;
            self.worker.learn_base(&link, Born::BySignIn);
            self.worker.bring(&mut link, state).await
        };
        match made_ready.await {
            Ok(()) => Ok(link),
            Err(TalkError::Refused { code, sqlstate, message }) => {
                Err(self.refused(state, &link, code, sqlstate, message))
            }
            Err(TalkError::Broken(why)) => {
                backend.failed(Cause::Connection(why.to_string()));
                Err(NoLink::Other(why.to_string()))
            }
        }
    }
}
