//! Conditions over rules as alternatives: each a set of rules that must be there, and of rules that must not.

use crate::detect::rule::Condition;

/// Rules that a condition can be over: they stand in the bits of one word.
pub(crate) const RULES_MAX: usize = 64;

/// Alternatives that a condition may come apart into. `8 of` 16 rules would be 12,870.
const WAYS_MAX: usize = 256;

/// One way to meet a condition. Rules are positions in the correlation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Way {
    /// Rules that must be there, as bits.
    pub(crate) wanted: u64,
    /// Rules that must not.
    pub(crate) unwanted: u64,
}

impl Way {
    /// The rules that must be there, in the order of the correlation.
    pub(crate) fn chain(self) -> impl Iterator<Item = u16> {
        bits(self.wanted)
    }

    pub(crate) fn wants(self, rule: u16) -> bool {
        self.wanted >> rule & 1 == 1
    }
}

/// The set bits of a word, from the lowest.
pub(crate) fn bits(word: u64) -> impl Iterator<Item = u16> {
    (0..64_u16).filter(move |at| word >> at & 1 == 1)
}

/// Takes a condition over so many rules apart. The error says why it cannot be run.
pub(crate) fn ways(condition: &Condition, rules: usize) -> Result<Vec<Way>, String> {
    if rules > RULES_MAX {
        return Err(format!("a condition is over at most {RULES_MAX} rules, and this over {rules}"));
    }
    let mut ways = apart(condition, false)?;
    ways.retain(|way| way.wanted & way.unwanted == 0);
    // What another way asks less for is no way of its own.
    let is_within = |small: &Way, large: &Way| small.wanted & !large.wanted == 0 && small.unwanted & !large.unwanted == 0;
    let all = ways.clone();
    ways.retain(|way| !all.iter().any(|other| other != way && is_within(other, way)));
    if ways.is_empty() {
        return Err("the condition contradicts itself".to_owned());
    }
    if ways.iter().any(|way| way.wanted == 0) {
        return Err("the condition can hold where nothing happened: it must ask for a rule beside what it rules out".to_owned());
    }
    Ok(ways)
}

/// Every choice of at least so many of the rules.
pub(super) fn choices(least: usize, rules: usize) -> Result<Vec<Way>, String> {
    let of: Vec<Condition> = (0..rules).map(Condition::Selection).collect();
    ways(&if least == rules { Condition::And(of) } else { Condition::AtLeast(least, of) }, rules)
}

fn apart(condition: &Condition, is_negated: bool) -> Result<Vec<Way>, String> {
    Ok(match (condition, is_negated) {
        (Condition::Selection(at), false) => vec![Way { wanted: 1 << at, unwanted: 0 }],
        (Condition::Selection(at), true) => vec![Way { wanted: 0, unwanted: 1 << at }],
        (Condition::Not(inner), _) => apart(inner, !is_negated)?,
        (Condition::And(of), false) | (Condition::Or(of), true) => all(&each(of, is_negated)?, of.len())?,
        (Condition::Or(of), false) | (Condition::And(of), true) => all(&each(of, is_negated)?, 1)?,
        (Condition::AtLeast(least, of), false) => all(&each(of, false)?, *least)?,
        // Fewer than so many hold: the others do not.
        (Condition::AtLeast(least, of), true) => all(&each(of, true)?, (of.len() + 1).saturating_sub(*least))?,
    })
}

fn each(of: &[Condition], is_negated: bool) -> Result<Vec<Vec<Way>>, String> {
    of.iter().map(|inner| apart(inner, is_negated)).collect()
}

/// At least so many of these, each of which is met in any of its ways.
fn all(of: &[Vec<Way>], least: usize) -> Result<Vec<Way>, String> {
    // By how many are met so far: the ways to it.
    let mut met: Vec<Vec<Way>> = vec![Vec::new(); least + 1];
    met[0].push(Way { wanted: 0, unwanted: 0 });
    for ways in of {
        for count in (0..least).rev() {
            let more: Vec<Way> = met[count]
                .iter()
                .flat_map(|so_far| ways.iter().map(|way| Way { wanted: so_far.wanted | way.wanted, unwanted: so_far.unwanted | way.unwanted }))
                .collect();
            met[count + 1].extend(more);
            met[count + 1].sort_unstable();
            met[count + 1].dedup();
            if met[count + 1].len() > WAYS_MAX {
                return Err(format!("the condition can be met in more than {WAYS_MAX} ways"));
            }
        }
    }
    Ok(met.pop().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(condition: &Condition, expected: &str) {
        let names = |word: u64| bits(word).map(|rule| rule.to_string()).collect::<String>();
        let shown = match ways(condition, 8) {
            Ok(ways) => ways.iter().map(|way| format!("{}-{}", names(way.wanted), names(way.unwanted))).collect::<Vec<_>>().join(" "),
            Err(reason) => reason,
        };
        assert_eq!(shown, expected, "{condition:?}");
    }

    #[test]
    fn conditions_come_apart() {
        use Condition::{And, AtLeast, Not, Or, Selection as S};
        let not = |condition| Not(Box::new(condition));
        let three = || vec![S(0), S(1), S(2)];
        check(&S(0), "0-");
        check(&And(vec![S(0), S(1), not(S(2))]), "01-2");
        check(&And(vec![Or(vec![S(0), S(1)]), S(2)]), "02- 12-");
        check(&And(vec![S(0), not(Or(vec![S(1), S(2)]))]), "0-12");
        check(&And(vec![S(0), not(And(vec![S(1), S(2)]))]), "0-1 0-2");
        check(&AtLeast(2, three()), "01- 02- 12-");
        check(&And(vec![S(3), not(AtLeast(2, three()))]), "3-01 3-02 3-12");
        check(&Or(vec![S(0), And(vec![S(0), S(1)])]), "0-");
        check(&not(not(S(1))), "1-");
        check(&And(vec![S(0), not(S(0))]), "the condition contradicts itself");
        let nothing = "the condition can hold where nothing happened: it must ask for a rule beside what it rules out";
        check(&not(S(0)), nothing);
        check(&Or(vec![S(0), not(S(1))]), nothing);
        assert_eq!(choices(2, 3).map(|ways| ways.len()), Ok(3));
        assert_eq!(choices(8, 16), Err("the condition can be met in more than 256 ways".to_owned()));
    }
}
