//! Where a program is played: which engine, what the servers' globals are, how the router is set up, how clients sign in.
//!
//! All of it but the engine follows from the program's seed, so that a seed is enough to play it again. Servers are slow to
//! start: one pair for each engine serves the whole test binary, and globals are set before a block of programs ([`Profile`]).
//! The router is a new process for each program, so that no connection remembers an earlier one.

use super::random::Random;
use std::fmt;
use switchboard::cli::demo::servers::Engine;
use switchboard::protocol::capabilities::Capabilities;

/// What the servers' globals are. Both servers of a pair have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As the engine comes, with utf8mb4.
    Plain,
    /// The character set is latin1, as on a server that was set up long ago.
    Latin1,
    /// What else a router might take for granted is otherwise: no strict mode, another isolation, time zone and bounds.
    Odd,
    /// As the engine comes, but that nothing is committed unless somebody says so.
    Manual,
}

impl Profile {
    pub const ALL: [Profile; 4] = [Profile::Plain, Profile::Latin1, Profile::Odd, Profile::Manual];

    /// The globals of this profile; a later profile sets all that an earlier one has set.
    pub fn globals(self, engine: Engine) -> Vec<(&'static str, &'static str)> {
        let mariadb = engine == Engine::MariaDb;
        let (charset, collation) = match self {
            Profile::Latin1 => ("'latin1'", "'latin1_swedish_ci'"),
            _ if mariadb => ("'utf8mb4'", "'utf8mb4_general_ci'"),
            _ => ("'utf8mb4'", "'utf8mb4_0900_ai_ci'"),
        };
        let odd = self == Profile::Odd;
        let isolation = if mariadb { "tx_isolation" } else { "transaction_isolation" };
        let strict = if mariadb {
            "'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION'"
        } else {
            "'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
        };
        vec![
            ("character_set_server", charset),
            ("collation_server", collation),
            ("character_set_client", charset),
            ("character_set_results", charset),
            ("collation_connection", collation),
            ("sql_mode", if odd { "'PIPES_AS_CONCAT'" } else { strict }),
            (isolation, if odd { "'READ-COMMITTED'" } else { "'REPEATABLE-READ'" }),
            ("time_zone", if odd { "'+03:00'" } else { "'SYSTEM'" }),
            (
                "group_concat_max_len",
                if odd {
                    "77"
                } else if mariadb {
                    "1048576"
                } else {
                    "1024"
                },
            ),
            ("div_precision_increment", if odd { "7" } else { "4" }),
            ("sql_safe_updates", "0"),
            ("auto_increment_increment", if odd { "3" } else { "1" }),
            ("max_sort_length", if odd { "512" } else { "1024" }),
            ("unique_checks", if odd { "0" } else { "1" }),
            ("lc_time_names", if odd { "'de_DE'" } else { "'en_US'" }),
            ("autocommit", if self == Profile::Manual { "0" } else { "1" }),
        ]
    }
}

/// All that a program's seed says of where it is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Environment {
    pub engine: Engine,
    pub profile: Profile,
    /// Reads go to a hostgroup of readers, which are connections of their own to the same server.
    pub readers: bool,
    /// Connections to the readers begin otherwise than those to the writer, as on a server with other globals.
    pub other_readers: bool,
    /// READ ONLY transactions go there too: what is not proven safe is refused in them, and directly it is not.
    pub reader_transactions: bool,
    /// The most connections of each hostgroup.
    pub pool: usize,
    /// The collation that clients sign in with, unless their program says otherwise.
    pub collation: u16,
    /// The flags that they ask for, by their names.
    pub capabilities: &'static str,
}

/// What clients may ask for.
pub const CAPABILITIES: [(&str, Capabilities); 4] = {
    use crate::traffic_support::raw::{MODERN, PLAIN};
    [
        ("plain", PLAIN),
        ("modern", MODERN),
        ("tracking", MODERN.union(Capabilities::SESSION_TRACK)),
        ("found_rows", MODERN.union(Capabilities::FOUND_ROWS).union(Capabilities::MULTI_STATEMENTS)),
    ]
};

/// Flags of sign-ins that programs of the table ask for by name, and that no search does.
pub const MORE_CAPABILITIES: [(&str, Capabilities); 1] =
    [("ignore_space", crate::traffic_support::raw::MODERN.union(Capabilities::IGNORE_SPACE))];

/// utf8mb4_general_ci, latin1_swedish_ci, utf8mb3_general_ci, utf8mb4_unicode_ci, utf8mb4_bin, cp1251_general_ci, gbk_chinese_ci.
const COLLATIONS: [u16; 8] = [45, 45, 8, 33, 224, 46, 51, 28];

/// Programs in a row that have the same profile, since to change globals everybody must wait.
pub const BLOCK: u64 = 32;

impl Environment {
    /// That of a program of `sessions` sessions; `all`: also what the router is known to do otherwise.
    pub fn of_seed(seed: u64, engine: Engine, sessions: usize, all: bool) -> Self {
        let profile = *Random::new(seed / BLOCK).pick(&Profile::ALL);
        let mut random = Random::new(seed ^ 0x00e1_1ea5);
        let collation = *random.pick(&COLLATIONS);
        Environment {
            engine,
            profile,
            readers: random.chance(60),
            reader_transactions: all,
            // Hostgroups of one server share its connections, and a session may hold one on each, and one more for a cursor.
            pool: 2 * sessions + 1 + random.below(3),
            collation,
            capabilities: random.pick(&CAPABILITIES).0,
            other_readers: random.chance(40),
        }
    }

    /// Those that each small program of the table is played in.
    pub fn of_tables(engine: Engine, pool: usize) -> [Self; 4] {
        [(true, "modern"), (false, "modern"), (true, "plain"), (false, "plain")].map(|(readers, capabilities)| {
            Environment {
                engine,
                profile: Profile::Latin1,
                readers,
                other_readers: false,
                reader_transactions: true,
                pool,
                collation: 45,
                capabilities,
            }
        })
    }

    /// The configuration of a router in front of the server on `port`. It is told the version that clients are to see, as it learns
    /// that some time after its start only. `timeouts` are lines for that section.
    pub fn config(&self, port: u16, version: &str, timeouts: &str) -> String {
        let pool = self.pool;
        let hostgroup = |id: u32, role: &str, host: &str, more: &str| {
            format!(
                "[[hostgroup]]\nid = {id}\nrole = \"{role}\"\n{more}[[backend]]\nhostgroup = {id}\n\
                 address = \"{host}:{port}\"\nmax_connections = {pool}\n"
            )
        };
        let (host, init) = match self.other_readers {
            // By another name it is another server, whose connections are its own.
            true => ("localhost", format!("init_connect = \"{}\"\n", other_globals(self.engine))),
            false => ("127.0.0.1", String::new()),
        };
        let (readers, rule) = match self.readers {
            true => (
                hostgroup(
                    20,
                    "reader",
                    host,
                    &format!("writer = 10\n[hostgroup.attributes]\nfree_connections_pct = 100\n{init}"),
                ),
                "[[rule]]\nrule_id = 1\nreader_safe = true\ndestination_hostgroups = [20, 10]\napply = true\n",
            ),
            false => (String::new(), ""),
        };
        let begin = match self.readers && self.reader_transactions {
            true => "[[rule]]\nrule_id = 0\neffect = [\"begin_read_only\"]\ndestination_hostgroup = 20\napply = true\n",
            false => "",
        };
        format!(
            "workers = 1\nserver_version = \"{version}\"\nread_your_writes = \"0s\"\n[listen]\naddresses = [\"{{listen}}\"]\n\
             [timeouts]\npool_wait = \"2s\"\n{timeouts}\n\
             [health]\nusername = \"app\"\npassword = \"app-secret\"\n[[user]]\nusername = \"app\"\npassword = \"app-secret\"\n\
             {writer}{readers}{begin}{rule}[[rule]]\nrule_id = 2\ndestination_hostgroup = 10\napply = true\n",
            writer = hostgroup(10, "writer", "127.0.0.1", "[hostgroup.attributes]\nfree_connections_pct = 100\n"),
        )
    }
}

/// What connections to other readers begin with: nothing as in any [`Profile`].
fn other_globals(engine: Engine) -> String {
    let isolation = if engine == Engine::MariaDb { "tx_isolation" } else { "transaction_isolation" };
    format!(
        "SET time_zone = '-07:00', {isolation} = 'SERIALIZABLE', group_concat_max_len = 55, max_sort_length = 64, div_precision_increment = 2, \
         lc_time_names = 'fr_FR', sql_select_limit = 1, sql_safe_updates = 1, foreign_key_checks = 0, default_week_format = 3"
    )
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {:?} globals, {}, {} connections for each hostgroup, clients sign in with collation {} as {}",
            self.engine.name(),
            self.profile,
            match (self.readers, self.other_readers, self.reader_transactions) {
                (true, true, _) => "readers that begin otherwise",
                (true, false, true) => "readers, of READ ONLY transactions too",
                (true, false, false) => "readers",
                (false, ..) => "a writer alone",
            },
            self.pool,
            self.collation,
            self.capabilities
        )
    }
}
