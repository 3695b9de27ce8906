//! Capability flags: what a client and a server agree on at sign-in.
//!
//! Source: MariaDB Knowledge Base "Connecting to a server / Capabilities"; MySQL 8.0 source `mysql_com.h`.

use bitflags::bitflags;

bitflags! {
    /// The capability flags; the lower 32 bits are shared, the upper 32 are MariaDB's extended ones.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Capabilities: u64 {
        /// Old long passwords; in MariaDB's greeting its absence says "I am MariaDB, read the extended flags".
        const LONG_PASSWORD = 1 << 0;
        /// An UPDATE's count is of rows found, not of rows changed.
        const FOUND_ROWS = 1 << 1;
        /// Column flags are two bytes long.
        const LONG_FLAG = 1 << 2;
        /// The handshake names a schema.
        const CONNECT_WITH_DB = 1 << 3;
        /// `schema.table.column` is refused.
        const NO_SCHEMA = 1 << 4;
        /// zlib compression.
        const COMPRESS = 1 << 5;
        /// An ODBC client; means nothing.
        const ODBC = 1 << 6;
        /// LOAD DATA LOCAL.
        const LOCAL_FILES = 1 << 7;
        /// Spaces before `(` of a function.
        const IGNORE_SPACE = 1 << 8;
        /// The 4.1 protocol; nothing older is spoken here.
        const PROTOCOL_41 = 1 << 9;
        /// `interactive_timeout` instead of `wait_timeout`.
        const INTERACTIVE = 1 << 10;
        /// TLS.
        const SSL = 1 << 11;
        /// The client ignores SIGPIPE; means nothing.
        const IGNORE_SIGPIPE = 1 << 12;
        /// Status flags say whether a transaction is open.
        const TRANSACTIONS = 1 << 13;
        /// Unused; old 4.1 flag.
        const RESERVED = 1 << 14;
        /// 4.1 authentication; named `RESERVED2` in newer sources.
        const SECURE_CONNECTION = 1 << 15;
        /// Several statements in one COM_QUERY.
        const MULTI_STATEMENTS = 1 << 16;
        /// Several results of one COM_QUERY.
        const MULTI_RESULTS = 1 << 17;
        /// Several results of one COM_STMT_EXECUTE.
        const PS_MULTI_RESULTS = 1 << 18;
        /// Authentication plugins.
        const PLUGIN_AUTH = 1 << 19;
        /// Connection attributes.
        const CONNECT_ATTRS = 1 << 20;
        /// The authentication answer's length is length-encoded.
        const PLUGIN_AUTH_LENENC = 1 << 21;
        /// The client can handle expired passwords.
        const CAN_HANDLE_EXPIRED_PASSWORDS = 1 << 22;
        /// OK packets carry session state changes.
        const SESSION_TRACK = 1 << 23;
        /// No EOF packets after columns and rows; an OK with header 0xfe ends the rows.
        const DEPRECATE_EOF = 1 << 24;
        /// The client can do without result set metadata (MySQL).
        const OPTIONAL_RESULTSET_METADATA = 1 << 25;
        /// zstd compression (MySQL).
        const ZSTD_COMPRESSION = 1 << 26;
        /// Query attributes in COM_QUERY and COM_STMT_EXECUTE (MySQL).
        const QUERY_ATTRIBUTES = 1 << 27;
        /// Several authentication factors (MySQL).
        const MULTI_FACTOR_AUTHENTICATION = 1 << 28;
        /// Client-side only: progress reports (MariaDB before 10.2 used bit 29).
        const PROGRESS_OLD = 1 << 29;
        /// Verify the server's certificate; client side only.
        const SSL_VERIFY_SERVER_CERT = 1 << 30;
        /// Remember options; client side only.
        const REMEMBER_OPTIONS = 1 << 31;
        /// MariaDB: progress reports in ERR packets.
        const MARIADB_PROGRESS = 1 << 32;
        /// MariaDB: COM_MULTI (reserved).
        const MARIADB_COM_MULTI = 1 << 33;
        /// MariaDB: bulk operations (COM_STMT_BULK_EXECUTE).
        const MARIADB_STMT_BULK_OPERATIONS = 1 << 34;
        /// MariaDB: extended metadata in column definitions.
        const MARIADB_EXTENDED_METADATA = 1 << 35;
        /// MariaDB: result set metadata can be left out of repeated executions.
        const MARIADB_CACHE_METADATA = 1 << 36;
        /// MariaDB: unit results of bulk operations.
        const MARIADB_BULK_UNIT_RESULTS = 1 << 37;
    }
}

impl Capabilities {
    /// Flags that change the shape of what either side sends after sign-in, or what a statement means. A backend
    /// connection serves a client only if they agree on all of these, so they are part of the pool's key.
    pub const SHAPE: Capabilities = Capabilities::FOUND_ROWS
        .union(Capabilities::NO_SCHEMA)
        .union(Capabilities::LOCAL_FILES)
        .union(Capabilities::IGNORE_SPACE)
        .union(Capabilities::INTERACTIVE)
        .union(Capabilities::MULTI_STATEMENTS)
        .union(Capabilities::MULTI_RESULTS)
        .union(Capabilities::PS_MULTI_RESULTS)
        .union(Capabilities::DEPRECATE_EOF)
        .union(Capabilities::OPTIONAL_RESULTSET_METADATA)
        .union(Capabilities::QUERY_ATTRIBUTES)
        .union(Capabilities::MARIADB_STMT_BULK_OPERATIONS)
        .union(Capabilities::MARIADB_EXTENDED_METADATA)
        .union(Capabilities::MARIADB_CACHE_METADATA)
        .union(Capabilities::MARIADB_BULK_UNIT_RESULTS);

    /// What every server of the estate honours, MariaDB 10.4+ and MySQL 5.7+ alike, and so what a client is offered.
    pub const COMMON: Capabilities = Capabilities::LONG_PASSWORD
        .union(Capabilities::FOUND_ROWS)
        .union(Capabilities::LONG_FLAG)
        .union(Capabilities::CONNECT_WITH_DB)
        .union(Capabilities::NO_SCHEMA)
        .union(Capabilities::ODBC)
        .union(Capabilities::LOCAL_FILES)
        .union(Capabilities::IGNORE_SPACE)
        .union(Capabilities::PROTOCOL_41)
        .union(Capabilities::INTERACTIVE)
        .union(Capabilities::IGNORE_SIGPIPE)
        .union(Capabilities::TRANSACTIONS)
        .union(Capabilities::RESERVED)
        .union(Capabilities::SECURE_CONNECTION)
        .union(Capabilities::MULTI_STATEMENTS)
        .union(Capabilities::MULTI_RESULTS)
        .union(Capabilities::PS_MULTI_RESULTS)
        .union(Capabilities::PLUGIN_AUTH)
        .union(Capabilities::CONNECT_ATTRS)
        .union(Capabilities::PLUGIN_AUTH_LENENC)
        .union(Capabilities::SESSION_TRACK)
        .union(Capabilities::DEPRECATE_EOF);
}
