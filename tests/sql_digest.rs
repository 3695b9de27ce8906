//! Digests: their text as tables after ProxySQL's conventions, their literals, and what must keep them apart.

use switchboard::sql::LexMode;
use switchboard::sql::digest::{Digest, MAX_LITERALS, hash};

fn digest(sql: &[u8]) -> Digest {
    let mut digest = Digest::default();
    digest.read(sql, LexMode::default());
    digest
}

fn text(sql: &str) -> String {
    String::from_utf8(digest(sql.as_bytes()).text).expect("text stays UTF-8")
}

/// The literals as `slot=text`.
fn literals(sql: &str) -> String {
    let digest = digest(sql.as_bytes());
    let shown: Vec<String> = digest
        .literals
        .iter()
        .map(|literal| format!("{}={}", literal.slot, String::from_utf8_lossy(literal.text(sql.as_bytes()))))
        .collect();
    shown.join(" ")
}

#[test]
fn texts() {
    let rows = [
        ("", ""),
        (" \n ", ""),
        (";", ""),
        ("SELECT c FROM sbtest1 WHERE id=5017", "SELECT c FROM sbtest1 WHERE id=?"),
        ("select  *\n\tfrom t  where a = 'x' and b=\"y\"", "select * from t where a = ? and b=?"),
        ("SELECT 1;", "SELECT ?"),
        ("SELECT 1 ; ;\n", "SELECT ?"),
        ("SELECT 1; SELECT 2", "SELECT ?;SELECT ?"),
        // Comments.
        ("select/* c */1", "select ?"),
        ("/* c */ select 1 -- d", "select ?"),
        ("# c\nselect 1.1 # d", "select ?"),
        ("select 1--1", "select ?- ?"),
        ("a/**/,/**/b", "a,b"),
        ("f( /* c */ )", "f()"),
        // Numbers.
        ("select 1.1e+9, .5, 0x1F, x'00', b'1', 1e-5", "select ?,?,?,..."),
        ("select 1e5from t", "select ?from t"),
        // Strings.
        ("select 'it''s', 'a\\'b', N'x', _utf8'y'", "select ?,?,?,_utf8?"),
        // NULL.
        ("select null, NuLL", "select ?,?"),
        ("select \\N", "select ?"),
        ("a is not null", "a is not ?"),
        ("t.null, nullable, `null`", "t.null,nullable,`null`"),
        ("true, false", "true,false"),
        // Signs.
        ("select -1, +1, - 1", "select ?,?,?"),
        ("a=-1", "a=?"),
        ("a -1", "a -?"),
        ("a-1", "a-?"),
        ("1-1", "?-?"),
        ("(a)-1", "(a)-?"),
        ("between -5 and -3", "between ? and ?"),
        ("1 - -1", "? - ?"),
        ("- -1", "- ?"),
        ("a--b", "a- -b"),
        ("a---- b\nc", "a- - c"),
        ("-a", "-a"),
        ("interval -1 day", "interval ? day"),
        ("-null", "?"),
        // White space around parentheses and commas.
        ("in ( 1 , 2 )", "in (?,?)"),
        ("insert into t( a ,b ) values ( 1 , 'x' )", "insert into t(a,b) values (?,?)"),
        // Lists.
        ("in (1)", "in (?)"),
        ("in (1,2,3,4)", "in (?,?,?,?)"),
        ("in (1,2,3,4,5)", "in (?,?,?,...)"),
        ("in (1, 2, 3, 4, 5, 6, 7)", "in (?,?,?,...)"),
        ("in (-1,-2,-3,-4,-5,-6)", "in (?,?,?,...)"),
        ("in (- 1,- 2,- 3,- 4,- 5,- 6)", "in (?,?,?,...)"),
        ("in (?,?,?,?,?,?)", "in (?,?,?,...)"),
        ("in (1,2,3,4,5,a,6,7,8,9,10)", "in (?,?,?,...,a,?,?,?,...)"),
        ("(1,2,3,'x',5+10,6,7)", "(?,?,?,...+?,?,?)"),
        ("in (1,2,3,4,NULL,'5')", "in (?,?,?,...)"),
        // Rows.
        ("values (1,'a'),(2,'b')", "values (?,?),..."),
        ("values (1,'a') , (2,'b') , (3,'c')", "values (?,?),..."),
        ("values (1,now()),(2,now()),(3,now())", "values (?,now()),..."),
        ("values (1,a),(2,b)", "values (?,a),(?,b)"),
        ("values (1),(2),(3,4),(5,6),(7)", "values (?),...,(?,?),...,(?)"),
        ("values (1,2,3,4,5,6),(1,2,3,4,5,6)", "values (?,?,?,...),..."),
        ("values row(1,2),row(3,4)", "values row(?,?),row(?,?)"),
        ("(a,b) in ((1,2),(3,4),(5,6))", "(a,b) in ((?,?),...)"),
        ("values ((select 1)),((select 2))", "values ((select ?)),((select ?))"),
        ("values (f(1,2),3),(f(4,5),6)", "values (f(?,?),?),..."),
        ("values (1),(2) on duplicate key update a=values(a)", "values (?),... on duplicate key update a=values(a)"),
        ("f(1),f(2)", "f(?),f(?)"),
        (")) (1),(2)", ")) (?),..."),
        // Nobody can write a fold.
        ("in (?,...)", "in (?,. . .)"),
        ("in (1,2,3,...)", "in (?,?,?,. . .)"),
        // What changes meaning stays.
        ("select /*!50003 a */ 1", "select /*!50003 a */ ?"),
        ("select /*!50003  a='x'*/1", "select /*!50003 a=?*/?"),
        ("select 1 /*! , 'a', -5, 0x1F, _utf8'b' */ , 5", "select ? /*!,?,?,?,_utf8? */,?"),
        ("select 1 /*! 'a' /* b */ , 5 */ , 5", "select ? /*! ? /*"),
        ("select 1 /*! '*/' */", "select ? /*! /*"),
        ("select 1 /*! a -- '*/ 'b'\n */", "select ? /*! a /*"),
        ("select 1 /*! 'a", "select ? /*! /*"),
        ("select 1 /*! 2 *'a", "select ? /*! ? * /*"),
        ("select 1 /*! 'a'", "select ? /*! ?"),
        ("select /*!1234 a */ 5", "select /*!? a */ ?"),
        ("values (1) /*! ,(2),(3) */,(4)", "values (?) /*!,(?),... */,(?)"),
        ("(/*! 1 */),(/*! 2 */)", "(/*! ? */),(/*! ? */)"),
        ("select /*M! for update */", "select /*M! for update */"),
        ("select /*+ MAX_EXECUTION_TIME(1000)  */ 1", "select /*+ MAX_EXECUTION_TIME(?)  */ ?"),
        ("select /*+ SET_VAR(a='b') JOIN_ORDER(t1, `2`) */ 1", "select /*+ SET_VAR(a=?) JOIN_ORDER(t1, `2`) */ ?"),
        ("select /*+ SET_VAR(a='*/ b') */ 1", "select /*"),
        ("select $$a$$, 'b'", "select /*"),
        ("/* switchboard: hostgroup=10 */ select 1", "/* switchboard: hostgroup=10 */ select ?"),
        ("select @a, @'x y', @@session.sql_mode", "select @a,@'x y',@@session.sql_mode"),
        ("select @a:=1", "select @a:=?"),
        ("select `a``b` from `2024`.t1", "select `a``b` from `2024`.t1"),
        ("limit 5, 10", "limit ?,?"),
        // What an earlier statement of the same text may have made of the next.
        ("set sql_mode=''; select 'a', \"x\"", "set sql_mode=?;select ?,/*"),
        ("set sql_mode=''; select 'a\\'b'", "set sql_mode=?;select /*"),
        ("set sql_mode=''; select @\"x\"", "set sql_mode=?;select /*"),
        ("set names latin1; select `é` 5", "set names latin1;select /*"),
        ("set sql_mode=''; select /*+ a(\"x\") */ 1", "set sql_mode=?;select /*"),
        ("execute s; select \"x\"", "execute s;select /*"),
        ("set sql_mode=''; select '\"', `a` -- \"\n", "set sql_mode=?;select ?,`a`"),
        ("set names utf8mb4; select `a`, 'é'", "set names utf8mb4;select `a`,?"),
        ("update t set a=1; select \"x\"", "update t set a=?;select ?"),
        // Broken text.
        ("select 'a", "select /*"),
        ("select 1 /* a", "select ? /*"),
        ("select 1.e(1)", "select /*"),
        ("a\0b", "a\0b"),
    ];
    for (sql, expected) in rows {
        assert_eq!(text(sql), expected, "of {sql:?}");
    }
}

#[test]
fn literal_slots() {
    let rows = [
        ("id=5017", "0=5017"),
        ("a='x' and b=-1 and c=? and d is null", "0='x' 1=-1 2=? 3=null"),
        ("a=- /* c */ 1", "0=- /* c */ 1"),
        ("in (1,2,3,4)", "0=1 1=2 2=3 3=4"),
        ("in (1,2,3,4,5,6) and a=7", "0=1 1=2 2=3 2=4 2=5 2=6 3=7"),
        ("values (1,2),(3,4),(5,6) x 7", "0=1 1=2 0=3 1=4 0=5 1=6 2=7"),
        ("values (1,2,3,4,5),(1,2,3,4,5) 7", "0=1 1=2 2=3 2=4 2=5 0=1 1=2 2=3 2=4 2=5 3=7"),
        ("9 values (1),(2),(3,4),(5,6) 7", "0=9 1=1 1=2 2=3 3=4 2=5 3=6 4=7"),
    ];
    for (sql, expected) in rows {
        assert_eq!(literals(sql), expected, "of {sql:?}");
    }
}

#[test]
fn as_many_slots_as_question_marks() {
    for sql in
        ["values (1,2,3,4,5,6),(1,2,3,4,5,6),(1,2) in (1,2,3,4,5) and a=-1 or ?", "f(1,f(2,f(3))),g(1,2,3,4,5,6,7)"]
    {
        let digest = digest(sql.as_bytes());
        let marks = digest.text.iter().filter(|b| **b == b'?').count();
        let slots = digest.literals.iter().map(|literal| literal.slot as usize + 1).max().unwrap_or(0);
        assert_eq!(slots, marks, "of {sql:?}");
    }
}

#[test]
fn what_differs_in_meaning_differs_in_digest() {
    let rows = [
        ("select 1 /*!50003 for update */", "select 1"),
        ("select 1 /*!50003 for update */", "select 1 for update"),
        ("select 1 /*M! for update */", "select 1 /*! for update */"),
        ("select 1 /*! 'a' */", "select 1 /*! '*/' */"),
        ("select 1 /*! a */", "select 1 /*! /* */ a */"),
        ("select last_insert_id()", "select last_insert_id(1)"),
        ("select 'a'", "select `a`"),
        ("select @a", "select @b"),
        ("select @@a", "select @a"),
        ("select 1.e(a)", "select 1.5(a)"),
        ("select /*!100100 1*/ 1", "select /*!1001001*/ 1"),
        ("select t.null", "select t.1"),
        ("select a", "select A"),
        ("select 1 -- x\n for update", "select 1 -- x for update"),
    ];
    for (a, b) in rows {
        assert_ne!(text(a), text(b), "of {a:?} and {b:?}");
    }
}

#[test]
fn modes_change_what_a_literal_is() {
    let mut digest = Digest::default();
    digest.read(b"select \"a\" from t", LexMode { ansi_quotes: true, ..LexMode::default() });
    assert_eq!(digest.text, b"select \"a\" from t");
    digest.read(b"select /*+ X(\"a\", 'b') */ 1", LexMode { ansi_quotes: true, ..LexMode::default() });
    assert_eq!(digest.text, b"select /*+ X(\"a\", ?) */ ?");
    digest.read(br"select '\', a from t -- '", LexMode { no_backslash_escapes: true, ..LexMode::default() });
    assert_eq!(digest.text, b"select ?,a from t");
    digest.read(b"select '\x81\\', 'a'", LexMode { foreign_charset: true, ..LexMode::default() });
    assert_eq!(digest.text, b"/*");
}

/// Operators write hashes into rules: these values are a promise.
#[test]
fn the_hash_never_changes() {
    assert_eq!(hash(b""), 0xd79b_0957_4bb4_eca3);
    assert_eq!(hash(b"SELECT ?"), 0x700f_218c_e7df_1e1b);
    assert_eq!(hash(b"SELECT c FROM sbtest1 WHERE id=?"), 0xd88f_2524_378e_a6be);
    assert_eq!(digest(b"SELECT 5").hash, hash(b"SELECT ?"));
}

#[test]
fn hashes_spread() {
    let mut seen = std::collections::HashSet::new();
    for i in 0..50_000u32 {
        assert!(seen.insert(hash(format!("SELECT c{i} FROM t").as_bytes())));
        assert!(seen.insert(hash(&vec![b'a'; i as usize % 2000][..]) ^ u64::from(i / 2000)));
    }
    // Zero bytes at the end count.
    assert_ne!(hash(b"a"), hash(b"a\0"));
}

#[test]
fn buffers_are_bounded() {
    let many = MAX_LITERALS + 10;
    let mut sql = b"insert into t values ".to_vec();
    for i in 0..many {
        sql.extend_from_slice(if i == 0 { b"(1)" } else { b",(1)" });
    }
    let mut digest = Digest::default();
    digest.read(&sql, LexMode::default());
    assert_eq!(digest.text, b"insert into t values (?),...");
    assert!(digest.truncated);
    assert_eq!(digest.literals.len(), MAX_LITERALS);
    // Unlike rows cannot be folded; the text is long once, and the memory goes back.
    let long: Vec<u8> = (0..100_000).flat_map(|i| format!("c{i},").into_bytes()).collect();
    digest.read(&long, LexMode::default());
    assert!(digest.text.capacity() > 256 * 1024);
    digest.read(b"select 1", LexMode::default());
    assert!(digest.text.capacity() < 1024);
    assert!(!digest.truncated);
    // A run that is folded where literals are no longer recorded.
    let run = vec![b"1,".as_slice(); many].concat();
    digest.read(&[b"a=1,b=2,c=3 ".repeat(MAX_LITERALS / 3), run].concat(), LexMode::default());
    assert!(digest.truncated);
}
