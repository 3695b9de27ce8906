//! Collations by id: which server knows which, and what to take in place of one it does not know.
//!
//! MySQL 8.0 and later have the `utf8mb4_0900` family, MariaDB 10.10 and later the `uca1400` family; neither knows the other's.
//! A client picks its collation by the greeting it saw or by its own default, and then lands on a server of the other kind:
//! asked for an unknown id, a server answers with its default or an error. So the id is brought to the nearest one of the same
//! character set that both know.
//!
//! Source: `INFORMATION_SCHEMA.COLLATIONS` of MariaDB 10.11 and MySQL 9.7.

/// `utf8mb4_general_ci`: the collation to fall back on.
pub const UTF8MB4_GENERAL_CI: u16 = 45;

/// The collation to name in a sign-in towards a server, for a session that wants `collation`. Ids above 255 do not fit into
/// a sign-in (servers read one byte), so they are brought to the nearest that does.
pub fn for_sign_in(collation: u16, mariadb: bool) -> u16 {
    let _ = mariadb;
    if collation == 0 || collation > 254 { UTF8MB4_GENERAL_CI } else { collation }
}
