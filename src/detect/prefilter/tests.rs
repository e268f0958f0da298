//! The index of a field against the plain way: every literal looked for by itself.

use proptest::prelude::*;

use super::super::fold::{fold, stands};
use super::*;

const PLACES: [Place; 4] = [Place::Whole, Place::Start, Place::End, Place::Anywhere];

fn check(literals: &[(Place, String)], text: &str) {
    let mut known: Vec<(Place, String)> = literals.iter().map(|(place, literal)| (*place, fold(literal))).collect();
    known.sort();
    known.dedup();
    let mut index = FieldIndex::default();
    for (at, (place, literal)) in (0..).zip(&known) {
        index.add(&Quick::Text(*place, literal.as_str().into()), at);
    }
    index.seal();
    let mut bits = Bits::with_size(known.len());
    index.touch(Value { kind: ValueKind::Text, text }, false, &mut bits, &mut String::new());
    for (at, (place, literal)) in (0..).zip(&known) {
        assert_eq!(bits.has(at), stands(&fold(text), *place, literal), "{place:?} {literal:?} in {text:?}");
    }
}

#[test]
fn literals_are_found_where_they_stand() {
    let all = |literals: &[&str]| -> Vec<(Place, String)> {
        literals.iter().flat_map(|literal| PLACES.map(|place| (place, (*literal).to_owned()))).collect()
    };
    for text in ["", "a", "abcd", "xabcdx", "ABCD", "abc@", "abc`", "a[b{c", "Ärger", "xÄRGERx", "\u{212a}elvin", "aaaaaaaa"] {
        check(&all(&["", "a", "ab", "abc", "abcd", "bcdx", "abc@", "abc`", "a[b", "ärger", "kelvin", "aaaa", "aaaaa"]), text);
        check(&all(&["abcdefg", "bcdefgh", "aaaaaaa"]), text);
    }
}

proptest! {
    #[test]
    fn the_index_finds_what_the_plain_way_finds(
        literals in proptest::collection::vec((proptest::sample::select(PLACES.to_vec()), "[abAB@`ä/.]{0,9}"), 0..24),
        least in 0_usize..8,
        text in "[abAB@`äÄ/.]{0,40}",
    ) {
        // The shortest literal decides on the step.
        let literals: Vec<(Place, String)> = literals.into_iter().filter(|(_, literal)| literal.len() >= least).collect();
        check(&literals, &text);
    }
}
