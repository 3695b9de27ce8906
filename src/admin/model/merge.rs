//! Two people at once: rows that were edited here, and rows that took effect meanwhile, brought together.
//!
//! [`super::super::desk`] calls it when another version took effect. Rows are compared one by one under their keys; a
//! row that both sides changed stays as it was edited here, and is reported as a conflict. It knows rows only, no
//! texts.

use super::book::{same, text_of};
use super::rows::Rows;
use rusqlite::types::Value as Sql;
use std::collections::{BTreeMap, HashMap};

/// How many columns tell the rows of a table apart. All of them where there are fewer.
pub fn key_columns(table: &str) -> usize {
    match table {
        "mysql_servers" | "mysql_servers_ssl_params" | "mysql_query_rules_fast_routing" => 3,
        "mysql_replication_hostgroups" => 2,
        "mysql_users" | "mysql_query_rules" | "global_variables" | "switchboard_rules" | "switchboard_tables" => 1,
        "switchboard_hostgroups" | "mysql_hostgroup_attributes" => 1,
        _ => usize::MAX,
    }
}

type Key = Vec<Option<String>>;

fn key(row: &[Sql], columns: usize) -> Key {
    row.iter().take(columns).map(text_of).collect()
}

fn keyed(rows: &Rows, columns: usize) -> BTreeMap<Key, &Vec<Sql>> {
    rows.iter().map(|row| (key(row, columns), row)).collect()
}

/// For each of `rows`, the place of its like among the `known` ones; none for one that is new. Both are in the order of their
/// first columns: a row that stayed stands further on than the last that did.
pub fn places(table: &str, known: &Rows, rows: &Rows) -> Vec<Option<usize>> {
    let columns = key_columns(table);
    let alike = |a: &Vec<Sql>, b: &Vec<Sql>| a.iter().take(columns).eq(b.iter().take(columns));
    // Made for the first row that is not the next of the known ones: mostly there is none.
    let mut by_key: Option<HashMap<Key, Vec<usize>>> = None;
    let mut at = 0;
    let mut place_of = |row: &Vec<Sql>| {
        let place = if known.get(at).is_some_and(|next| alike(next, row)) {
            at
        } else {
            let places = by_key.get_or_insert_with(|| by_keys(known, columns)).get(&key(row, columns))?;
            *places.get(places.partition_point(|place| *place < at))?
        };
        at = place + 1;
        Some(place)
    };
    rows.iter().map(&mut place_of).collect()
}

/// The places of rows by their keys, in order.
fn by_keys(rows: &Rows, columns: usize) -> HashMap<Key, Vec<usize>> {
    let mut places: HashMap<Key, Vec<usize>> = HashMap::with_capacity(rows.len());
    for (place, row) in rows.iter().enumerate() {
        places.entry(key(row, columns)).or_default().push(place);
    }
    places
}

fn equal(a: Option<&&Vec<Sql>>, b: Option<&&Vec<Sql>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b)),
        (None, None) => true,
        _ => false,
    }
}

/// The rows that both sides want; none where they are the `edited` ones. `base` is what both began from; `edited` what one made
/// of it, `theirs` what the other did. Rows that both changed stay as they were edited, and are named as conflicts.
pub fn merge(table: &str, base: &Rows, edited: &Rows, theirs: &Rows) -> (Option<Rows>, Vec<String>) {
    if edited == theirs {
        return (None, Vec::new());
    }
    let columns = key_columns(table);
    let (base, mine, others) = (keyed(base, columns), keyed(edited, columns), keyed(theirs, columns));
    let mut keys: Vec<&Key> = mine.keys().chain(others.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let (mut rows, mut conflicts, mut differs) = (Rows::new(), Vec::new(), false);
    for key in keys.into_iter().chain(base.keys().filter(|k| !mine.contains_key(*k) && !others.contains_key(*k))) {
        let (was, here, there) = (base.get(key), mine.get(key), others.get(key));
        let chosen = if equal(here, was) { there } else { here };
        if !equal(here, was) && !equal(there, was) && !equal(here, there) {
            let words: Vec<&str> = key.iter().map(|part| part.as_deref().unwrap_or("NULL")).collect();
            conflicts.push(format!("{table} ({})", words.join(", ")));
        }
        differs |= !equal(chosen, here);
        rows.extend(chosen.map(|row| (*row).clone()));
    }
    (differs.then_some(rows), conflicts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(list: &[(i64, &str)]) -> Rows {
        list.iter().map(|(id, text)| vec![Sql::Integer(*id), Sql::Text((*text).into())]).collect()
    }

    #[test]
    fn rows_that_stayed_are_found_and_new_ones_are_not() {
        let known = rows(&[(1, "a"), (2, "b"), (4, "d"), (7, "g")]);
        let now = rows(&[(0, "new"), (2, "b"), (3, "new"), (4, "changed"), (8, "new")]);
        assert_eq!(places("mysql_query_rules", &known, &now), [None, Some(1), None, Some(2), None]);
        // The whole row is the key here, and the same row may stand there twice.
        let twice = rows(&[(1, "a"), (1, "a"), (2, "b")]);
        assert_eq!(places("scheduler", &twice, &twice), [Some(0), Some(1), Some(2)]);
        assert_eq!(places("scheduler", &twice, &rows(&[(2, "b"), (1, "a")])), [Some(2), None], "not back again");
    }

    #[test]
    fn what_one_side_changed_wins_and_what_both_changed_is_a_conflict() {
        let base = rows(&[(1, "a"), (2, "b"), (3, "c")]);
        let edited = rows(&[(1, "mine"), (2, "b"), (4, "new")]);
        let theirs = rows(&[(1, "a"), (2, "theirs"), (3, "c"), (5, "other")]);
        let (merged, conflicts) = merge("mysql_query_rules", &base, &edited, &theirs);
        assert_eq!(merged, Some(rows(&[(1, "mine"), (2, "theirs"), (4, "new"), (5, "other")])));
        assert!(conflicts.is_empty(), "{conflicts:?}");
        let (_, conflicts) =
            merge("mysql_query_rules", &base, &rows(&[(1, "x"), (2, "b")]), &rows(&[(1, "y"), (3, "z")]));
        assert_eq!(conflicts, ["mysql_query_rules (1)", "mysql_query_rules (3)"]);
        let (merged, conflicts) = merge("mysql_query_rules", &base, &rows(&[(1, "x")]), &rows(&[(1, "x")]));
        assert!(conflicts.is_empty(), "the same change twice is none: {conflicts:?}");
        assert_eq!(merged, None);
    }
}
