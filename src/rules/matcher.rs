//! Which rules match a statement, without looking at all of them.
//!
//! Each rule is filed under the narrowest thing that it needs: a digest, a table, a piece of text, a user, a schema, a set of
//! effects. A new digest is asked for what it has, and gets the few lists that can hold a match, merged in the order of the
//! rules. This is done when a plan is made; an execution sees only the rules that are left.

use super::literal::{self, Pieces};
use super::rule::{Known, Rule};
use crate::sql::effects::Effects;
use foldhash::fast::FixedState;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A rule's `effect` and `reader_safe`.
type EffectKey = (Option<Effects>, Option<bool>);

type Map<K> = HashMap<K, Vec<u32>, FixedState>;

/// Rules by what they need. Lists hold places in the rule list, ascending.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_digest: Map<u64>,
    by_table: Map<Box<str>>,
    /// By what `match_digest` cannot match without.
    by_piece: Option<Pieces>,
    by_user: Map<Box<str>>,
    by_schema: Map<Box<str>>,
    by_effect: Vec<(EffectKey, Vec<u32>)>,
    rest: Vec<u32>,
}

impl Index {
    /// Files every rule under one heading (under each of its tables, where it has several).
    pub fn new(rules: &[Arc<Rule>]) -> Self {
        let (mut index, mut pieces) = (Self::default(), Vec::new());
        // What a rule set may hold is bounded long before 2^32 rules.
        for (place, rule) in (0u32..).zip(rules) {
            index.file(place, rule, &mut pieces);
        }
        if !pieces.is_empty() {
            match Pieces::new(pieces) {
                Ok(pieces) => index.by_piece = Some(pieces),
                Err(pieces) => {
                    index.rest.extend(pieces.into_iter().map(|(_, place)| place));
                    index.rest.sort_unstable();
                }
            }
        }
        index
    }

    fn file(&mut self, place: u32, rule: &Rule, pieces: &mut Vec<(Box<[u8]>, u32)>) {
        let s = &rule.settings;
        if let Some(digest) = s.digest {
            self.by_digest.entry(digest).or_default().push(place);
            return;
        }
        let names: Option<Vec<String>> = s.tables.iter().map(|t| t.exact_name()).collect();
        if let Some(names) = names.filter(|n| !n.is_empty()) {
            for name in names {
                self.by_table.entry(name.into()).or_default().push(place);
            }
        } else if let Some(piece) =
            s.match_digest.as_deref().filter(|_| !s.negate_match_pattern).and_then(literal::required)
        {
            pieces.push((piece, place));
        } else if let Some(user) = &s.username {
            self.by_user.entry(user.clone()).or_default().push(place);
        } else if let Some(schema) = &s.schemaname {
            self.by_schema.entry(schema.clone()).or_default().push(place);
        } else if s.effect.is_some() || s.reader_safe.is_some() {
            let key = (s.effect, s.reader_safe);
            match self.by_effect.iter_mut().find(|(k, _)| *k == key) {
                Some((_, list)) => list.push(place),
                None => self.by_effect.push((key, vec![place])),
            }
        } else {
            self.rest.push(place);
        }
    }

    /// Places of all rules that may match, ascending, each once. What they promise must still be checked.
    pub fn candidates<'a>(&'a self, known: &Known<'_>) -> Merge<'a> {
        let mut lists: Vec<&[u32]> = vec![&self.rest];
        let pieces = self.by_piece.as_ref().map(|pieces| pieces.found_in(known.digest)).unwrap_or_default();
        lists.extend(self.by_digest.get(&known.hash).map(Vec::as_slice));
        if !self.by_table.is_empty() {
            let names = known.facts.tables.iter().map(|t| t.name.to_lowercase());
            lists.extend(names.filter_map(|name| self.by_table.get(name.as_str())).map(Vec::as_slice));
        }
        lists.extend(self.by_user.get(known.subject.user()).map(Vec::as_slice));
        lists.extend(known.subject.schema().and_then(|s| self.by_schema.get(s)).map(Vec::as_slice));
        for ((effect, safe), list) in &self.by_effect {
            if effect.is_none_or(|e| known.facts.effects.intersects(e))
                && safe.is_none_or(|s| s == known.facts.reader_safe())
            {
                lists.push(list);
            }
        }
        let lists = lists.into_iter().map(Cow::Borrowed).chain([Cow::Owned(pieces)]);
        Merge { lists: lists.filter(|list| !list.is_empty()).map(|list| (list, 0)).collect() }
    }
}

/// Several ascending lists as one.
pub(super) struct Merge<'a> {
    /// Each with how many of its places were given.
    lists: Vec<(Cow<'a, [u32]>, usize)>,
}

impl Iterator for Merge<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let least = self.lists.iter().filter_map(|(list, given)| list.get(*given)).min().copied()?;
        for (list, given) in &mut self.lists {
            while list.get(*given) == Some(&least) {
                *given += 1;
            }
        }
        Some(least)
    }
}

/// The rules, of those whose known conditions match, that an execution can still reach, in order.
///
/// `conditional` says of a rule whether an execution may still refuse it. `flags` are followed forward only, as in
/// ProxySQL: a rule that was passed is not come back to.
pub(super) fn reachable(rules: impl Iterator<Item = Arc<Rule>>, conditional: impl Fn(&Rule) -> bool) -> Vec<Arc<Rule>> {
    let mut flags: Vec<u32> = vec![0];
    let mut kept = Vec::new();
    for rule in rules {
        let s = &rule.settings;
        let Some(at) = flags.iter().position(|&f| f == s.flag_in) else { continue };
        let open = conditional(&rule);
        if !open {
            flags.swap_remove(at);
        }
        if !rule.ends() {
            let next = s.flag_out.unwrap_or(s.flag_in);
            if !flags.contains(&next) {
                flags.push(next);
            }
        }
        if rule.ends() || rule.destination.is_some() || s.log || s.flag_out.is_some_and(|f| f != s.flag_in) {
            kept.push(rule);
        }
        if flags.is_empty() {
            break;
        }
    }
    drop_overridden(&mut kept, conditional);
    kept
}

/// Drops rules whose destination a later rule surely replaces. Only where no flag is set: then every later rule is reached
/// by whoever passes an earlier one.
fn drop_overridden(kept: &mut Vec<Arc<Rule>>, conditional: impl Fn(&Rule) -> bool) {
    if kept.iter().any(|r| r.settings.flag_out.is_some()) {
        return;
    }
    let Some(sure) = kept.iter().position(|r| !conditional(r) && r.destination.is_some()) else { return };
    // A rule that may end the search without a destination of its own leaves it with that of a rule before it.
    let inherits = |r: &Arc<Rule>| r.ends() && !r.answers() && r.destination.is_none();
    let from = kept.iter().take(sure).rposition(inherits).map_or(0, |last| last + 1);
    let mut place = 0;
    kept.retain(|rule| {
        let overridden = (from..sure).contains(&place) && !rule.ends() && !rule.settings.log;
        place += 1;
        !overridden
    });
}
