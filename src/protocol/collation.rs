//! Collations by id: which engine knows which, and what to take in place of one it does not know.
//!
//! A client picks its collation by the greeting that it saw or by its own default, and then lands on servers of either kind.
//! MySQL 8.0 and later have the `utf8mb4_0900` family (255 to 323) and gb18030; MariaDB has `nopad` collations (1025 to
//! 1295) and, since 10.10, the `uca1400` family (2048 to 3327). Neither has the other's, and asked for an unknown id a
//! server silently takes its default or refuses. So the id is brought to the nearest one of the same character set that
//! every server has: same language, same care for case; the older version of the Unicode collation algorithm.
//!
//! Never another character set: the client's bytes would mean something else.
//!
//! Source: `INFORMATION_SCHEMA` of MariaDB 10.11 and MySQL 9.7 (`COLLATIONS`, `COLLATION_CHARACTER_SET_APPLICABILITY`).

/// `utf8mb4_general_ci`, which every server since MySQL 5.5 has.
pub const UTF8MB4_GENERAL_CI: u16 = 45;
/// `utf8mb4_bin`.
const UTF8MB4_BIN: u16 = 46;
/// `utf8mb3_general_ci`.
const UTF8MB3_GENERAL_CI: u16 = 33;
/// `utf8mb3_bin`.
const UTF8MB3_BIN: u16 = 83;
/// `utf8mb4_unicode_ci`; the languages follow in the same order in all families.
const UTF8MB4_UNICODE_CI: u16 = 224;
/// `utf8mb3_unicode_ci`.
const UTF8MB3_UNICODE_CI: u16 = 192;
/// Where `unicode_520` stands in that order. It is nearest to what is newer.
const UNICODE_520: u16 = 22;
/// Where the last language (Vietnamese) stands.
const LAST_LANGUAGE: u16 = 23;

/// True if the collation's character set may hide an ASCII byte inside another character (big5, cp932, gbk, gb18030,
/// sjis), puts letters where ASCII has marks (swe7), or is none that a client may have (UCS-2, UTF-16, UTF-32); also for
/// ids that nobody knows. Source: as above.
pub fn is_foreign(collation: u16) -> bool {
    match collation {
        1 | 84 | 10 | 82 | 13 | 88 | 28 | 87 | 95 | 96 | 248..=250 => true,
        35 | 90 | 128..=151 | 159 | 54..=56 | 60..=62 | 101..=124 | 160..=183 => true,
        1..=247 | 254..=323 | 576..=578 | 608..=610 | 2048..=2559 => false,
        1025..=1271 => is_foreign(collation - 1024),
        _ => true,
    }
}

/// The nearest collation that the engine knows; the same if it knows it. `None` if the engine does not have the character set,
/// or nobody knows the id.
pub fn nearest(collation: u16, mariadb: bool) -> Option<u16> {
    match collation {
        // utf8mb3_tolower_ci is MySQL's alone.
        76 => Some(if mariadb { UTF8MB3_GENERAL_CI } else { 76 }),
        1..=247 => Some(collation),
        // gb18030.
        248..=250 | 255..=323 if !mariadb => Some(collation),
        576..=738 | 1025..=1295 | 2048..=3327 if mariadb => Some(collation),
        _ => everywhere(collation),
    }
}

/// The collation to name in a sign-in, for a session that wants `collation`: the nearest that the engine knows and that fits,
/// because servers read one byte. `None` as for [`nearest`].
pub fn for_sign_in(collation: u16, mariadb: bool) -> Option<u16> {
    match nearest(collation, mariadb)? {
        fits @ 1..=255 => Some(fits),
        large => everywhere(large),
    }
}

/// The nearest collation that both engines know.
fn everywhere(collation: u16) -> Option<u16> {
    match collation {
        76 => Some(UTF8MB3_GENERAL_CI),
        1..=247 => Some(collation),
        255..=323 => Some(from_0900(collation)),
        // Croatian, Myanmar and Thai, in blocks of 32 by character set.
        576 => Some(213),
        577 => Some(UTF8MB3_UNICODE_CI),
        578 => Some(UTF8MB3_UNICODE_CI + UNICODE_520),
        608 => Some(245),
        609 => Some(UTF8MB4_UNICODE_CI),
        610 => Some(UTF8MB4_UNICODE_CI + UNICODE_520),
        // The same as 1024 less, but that trailing spaces count.
        1025..=1271 => everywhere(collation - 1024),
        2048..=2303 => Some(from_uca1400(collation - 2048, UTF8MB3_UNICODE_CI, UTF8MB3_BIN)),
        2304..=2559 => Some(from_uca1400(collation - 2304, UTF8MB4_UNICODE_CI, UTF8MB4_BIN)),
        _ => None,
    }
}

/// Blocks of eight by language: four with padding and four without, of which the odd ones care for case.
fn from_uca1400(offset: u16, unicode: u16, binary: u16) -> u16 {
    match (offset / 8, offset & 1) {
        (_, 1) => binary,
        (language @ 1..=LAST_LANGUAGE, 0) => unicode + language,
        _ => unicode + UNICODE_520,
    }
}

fn from_0900(collation: u16) -> u16 {
    let language = match collation {
        // `as_cs`, Japanese, and the binary one: all care for case.
        278..=304 | 309 => return UTF8MB4_BIN,
        306..=323 if collation & 1 == 1 || collation == 308 => return UTF8MB4_BIN,
        // German phone book.
        256 => 20,
        // Icelandic to Roman.
        257..=271 => collation - 256,
        // Esperanto, Hungarian; Croatian.
        273 | 274 => collation - 256,
        275 => 21,
        277 => LAST_LANGUAGE,
        // Norwegian has no older collation; Danish sorts the same.
        310 | 312 => 11,
        _ => UNICODE_520,
    };
    UTF8MB4_UNICODE_CI + language
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_is_asked_for_what_it_knows() {
        let table: [(u16, &str, Option<u16>, Option<u16>); 24] = [
            // id, name, for MariaDB, for MySQL
            (45, "utf8mb4_general_ci", Some(45), Some(45)),
            (8, "latin1_swedish_ci", Some(8), Some(8)),
            (76, "utf8mb3_tolower_ci", Some(33), Some(76)),
            (248, "gb18030_chinese_ci", None, Some(248)),
            (255, "utf8mb4_0900_ai_ci", Some(246), Some(255)),
            (256, "utf8mb4_de_pb_0900_ai_ci", Some(244), Some(256)),
            (257, "utf8mb4_is_0900_ai_ci", Some(225), Some(257)),
            (264, "utf8mb4_sv_0900_ai_ci", Some(232), Some(264)),
            (271, "utf8mb4_la_0900_ai_ci", Some(239), Some(271)),
            (273, "utf8mb4_eo_0900_ai_ci", Some(241), Some(273)),
            (275, "utf8mb4_hr_0900_ai_ci", Some(245), Some(275)),
            (277, "utf8mb4_vi_0900_ai_ci", Some(247), Some(277)),
            (278, "utf8mb4_0900_as_cs", Some(46), Some(278)),
            (304, "utf8mb4_ja_0900_as_cs_ks", Some(46), Some(304)),
            (305, "utf8mb4_0900_as_ci", Some(246), Some(305)),
            (308, "utf8mb4_zh_0900_as_cs", Some(46), Some(308)),
            (309, "utf8mb4_0900_bin", Some(46), Some(309)),
            (322, "utf8mb4_mn_cyrl_0900_ai_ci", Some(246), Some(322)),
            (608, "utf8mb4_croatian_ci", Some(608), Some(245)),
            (1070, "utf8mb4_nopad_bin", Some(1070), Some(46)),
            (2304, "utf8mb4_uca1400_ai_ci", Some(2304), Some(246)),
            (2307, "utf8mb4_uca1400_as_cs", Some(2307), Some(46)),
            (2368, "utf8mb4_uca1400_swedish_ai_ci", Some(2368), Some(232)),
            (4000, "nobody's", None, None),
        ];
        for (id, name, mariadb, mysql) in table {
            assert_eq!(nearest(id, true), mariadb, "{name} at MariaDB");
            assert_eq!(nearest(id, false), mysql, "{name} at MySQL");
        }
    }

    #[test]
    fn a_sign_in_names_what_fits_into_a_byte_and_both_know() {
        for id in 0..=u16::MAX {
            for mariadb in [true, false] {
                match for_sign_in(id, mariadb) {
                    Some(named) => {
                        assert!((1..=255).contains(&named));
                        assert_eq!(nearest(named, mariadb), Some(named), "{id} became {named}");
                    }
                    None => assert!(nearest(id, mariadb).is_none_or(|n| n > 255), "{id}"),
                }
            }
        }
        assert_eq!(for_sign_in(278, false), Some(46));
        assert_eq!(for_sign_in(255, false), Some(255));
        assert_eq!(for_sign_in(2312, true), Some(225));
    }
}
