//! The tables of the admin port, schema by schema.
//!
//! Names, columns and their order are ProxySQL's, because tools rely on them; what is Switchboard's own is in tables that
//! begin with `switchboard_`, never in new columns of ProxySQL's. A table here is its definition and no more: `model` fills
//! `main`, `runtime_` and `disk`, [`crate::admin::feed`] gives the rows of `stats` and `monitor`, [`crate::admin::stats_history`] its schema.

pub mod checksums;
pub mod main;
pub mod monitor;
pub mod servers;
pub mod stats;
pub mod stats_history;
pub mod values;

/// A table's definition.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name, without a schema and without `runtime_`.
    pub name: &'static str,
    /// What stands between the parentheses of its CREATE TABLE.
    pub body: &'static str,
}

/// What a table of `main` is about: LOAD and SAVE carry whole units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// `MYSQL SERVERS`: servers, and what hostgroups are.
    Servers,
    /// `MYSQL USERS`.
    Users,
    /// `MYSQL QUERY RULES`.
    Rules,
    /// `MYSQL VARIABLES`.
    MysqlVariables,
    /// `ADMIN VARIABLES`.
    AdminVariables,
    /// `MYSQL FIREWALL`.
    Firewall,
    /// `LDAP VARIABLES`, and the mapping.
    Ldap,
    /// `SCHEDULER`.
    Scheduler,
    /// `RESTAPI`.
    RestApi,
    /// `PROXYSQL SERVERS`.
    ProxySqlServers,
}

impl Unit {
    /// All of them, by the words of LOAD and SAVE. Longer ones stand before what they begin with.
    pub const NAMES: [(&'static str, Unit); 14] = [
        ("MYSQL QUERY RULES", Unit::Rules),
        ("MYSQL SERVERS", Unit::Servers),
        ("MYSQL USERS", Unit::Users),
        ("MYSQL VARIABLES", Unit::MysqlVariables),
        ("MYSQL FIREWALL", Unit::Firewall),
        ("ADMIN VARIABLES", Unit::AdminVariables),
        ("LDAP VARIABLES", Unit::Ldap),
        ("LDAP MAPPING", Unit::Ldap),
        ("SCHEDULER", Unit::Scheduler),
        ("RESTAPI", Unit::RestApi),
        ("PROXYSQL SERVERS", Unit::ProxySqlServers),
        // Switchboard's own units go with ProxySQL's of the same kind.
        ("SWITCHBOARD RULES", Unit::Rules),
        ("SWITCHBOARD HOSTGROUPS", Unit::Servers),
        ("SWITCHBOARD TABLES", Unit::Rules),
    ];

    /// Every unit once.
    pub const ALL: [Unit; 10] = [
        Unit::Servers,
        Unit::Users,
        Unit::Rules,
        Unit::MysqlVariables,
        Unit::AdminVariables,
        Unit::Firewall,
        Unit::Ldap,
        Unit::Scheduler,
        Unit::RestApi,
        Unit::ProxySqlServers,
    ];

    /// The words of LOAD and SAVE.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, unit)| *unit == self).map_or("", |(name, _)| name)
    }
}

/// The column names of a table's body, in order.
pub fn columns(body: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0usize, 0usize);
    let mut quoted = false;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => {
                names.extend(column_name(&body[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names.extend(column_name(&body[start..]));
    names
}

/// The name that a part of a body defines; none for a constraint.
fn column_name(part: &str) -> Option<&str> {
    let name = part.split_whitespace().next()?;
    let constraint = ["PRIMARY", "UNIQUE", "CHECK"].iter().any(|word| name.split('(').next() == Some(word));
    (!constraint).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_a_body() {
        let body = "a INT CHECK (a IN (0,1)) NOT NULL DEFAULT 0, b VARCHAR DEFAULT 'x,y', PRIMARY KEY (a, b)";
        assert_eq!(columns(body), ["a", "b"]);
    }
}
