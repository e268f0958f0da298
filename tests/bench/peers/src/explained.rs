//! Why the two engines may differ: one entry for each decision that the peer takes otherwise, with who says so and the test that pins this side.

use super::values::{Quirk, Quirks};

/// A known difference.
pub struct Class {
    pub quirk: Quirk,
    pub name: &'static str,
    /// The specification, where it decides; else where this engine's decision is written down.
    pub says: &'static str,
    /// The test of the library, in `detect::sigma::conformance::differences`.
    pub test: &'static str,
}

/// Every class. The first that alone gives the peer's answer is the explanation.
pub const CLASSES: [Class; 22] = [
    Class {
        quirk: Quirk::KeywordsAll,
        name: "the peer wants one value that equals every word of `'|all'`",
        says: "Sigma 2.1, Keywords search: \"searching for keywords across an entire event\"; `'|all'` is \"and\"",
        test: "words_of_all_are_found_anywhere_in_any_value",
    },
    Class {
        quirk: Quirk::KeywordNumbers,
        name: "the peer finds no word in a number, and no word that is a number",
        says: "Sigma 2.1, Keywords search: \"across an entire event\"; module doc of detect/matcher",
        test: "words_look_at_numbers",
    },
    Class {
        quirk: Quirk::WildcardNewline,
        name: "a wildcard of the peer stops at a line's end",
        says: "Sigma 2.1, Wildcards: `*` replaces \"an unbounded length of characters\", `?` \"a single character\"",
        test: "wildcards_go_past_the_end_of_a_line",
    },
    Class {
        quirk: Quirk::PlacedWildcards,
        name: "the peer anchors startswith and endswith at the wrong end if the value has wildcards",
        says: "Sigma 2.1, Modifiers: startswith \"at the beginning of the field's content\", endswith \"at the end\"",
        test: "a_value_with_wildcards_stands_where_its_modifier_says",
    },
    Class {
        quirk: Quirk::NullInList,
        name: "the peer does not see null among the elements of a list",
        says: "open in Sigma 2.1 (\"depends on the target SIEM system\"); module doc of detect/matcher: `null` holds when any of its elements is null",
        test: "null_is_seen_among_elements",
    },
    Class {
        quirk: Quirk::NullAmongValues,
        name: "of a rule's list with null the peer does not let a missing field pass",
        says: "Sigma 2.1, Lists: elements are joined with \"OR\"; null is as it is alone (warning `null-in-list`)",
        test: "null_in_a_list_of_values_means_what_it_means_alone",
    },
    Class {
        quirk: Quirk::NeqMissing,
        name: "`neq` of the peer wants the field to be there",
        says: "open in Sigma 2.1 (\"different from the specified values\"); pySigma writes `not field=value`; doc of rule::Item::negated",
        test: "neq_holds_of_a_field_that_is_missing",
    },
    Class {
        quirk: Quirk::ExistsNull,
        name: "`exists` of the peer takes null for missing",
        says: "Sigma 2.1, Modifiers: exists \"only verifies the presence of a field, not its value, be it empty or null\"",
        test: "a_field_that_is_null_exists",
    },
    Class {
        quirk: Quirk::FieldRefLists,
        name: "`fieldref` of the peer compares lists as a whole, and null with null",
        says: "open in Sigma 2.1; module doc of detect/matcher: a test holds when any element of a list passes it",
        test: "fieldref_compares_elements_and_never_null",
    },
    Class {
        quirk: Quirk::Base64Edges,
        name: "`base64offset` of the peer keeps a last character that hangs on what follows, and is always `contains`",
        says: "Sigma 2.1, Modifiers: \"except the first and last byte the encoded values have a static part\"; pySigma cuts 3 or 2 characters",
        test: "base64_is_cut_at_both_edges",
    },
    Class {
        quirk: Quirk::Windash,
        name: "`windash` of the peer varies hyphens within words and no slashes, and takes wildcards for text",
        says: "Sigma 2.1, Modifiers: windash converts \"the aforementioned characters interchangeably\"; pySigma varies `\\B[-/]\\b`",
        test: "dashes_and_slashes_of_arguments_are_one",
    },
    Class {
        quirk: Quirk::BooleanWords,
        name: "the peer takes `yes`, `no`, `1` and `0` for booleans",
        says: "open in Sigma 2.1; doc of rule::Test::Text: booleans match the text that spells them",
        test: "a_boolean_is_the_text_that_spells_it",
    },
    Class {
        quirk: Quirk::NumberWords,
        name: "the peer takes `inf`, `nan` and digits without end for numbers",
        says: "Sigma 2.1, Numeric modifiers: \"can only be applied to numeric values\"; doc of detect/fold::number",
        test: "words_are_no_numbers",
    },
    Class {
        quirk: Quirk::NumberSpelling,
        name: "the peer writes numbers anew before it compares them as text: 1.0 becomes 1",
        says: "open in Sigma 2.1; ARCHITECTURE, Detection: a number matches the text that spells it",
        test: "a_number_is_spelled_as_the_record_has_it",
    },
    Class {
        quirk: Quirk::LongNumbers,
        name: "the peer compares whole numbers past 2^53 inexactly",
        says: "Sigma 2.1, Lists and maps: a value is equal to the field's",
        test: "long_numbers_are_compared_exactly",
    },
    Class {
        quirk: Quirk::MappedAddresses,
        name: "the peer does not see an address of version 4 written as one of 6, nor past a zone",
        says: "RFC 4291, 2.5.5.2; Sigma 2.1, cidr: \"supports both IPv4 and IPv6 notations\"; doc of detect/cidr::Cidr",
        test: "mapped_addresses_count_as_what_they_map",
    },
    Class {
        quirk: Quirk::DottedKeys,
        name: "the peer cannot reach keys with dots within objects, and looks no further once a whole name is a key",
        says: "Sigma 2.1, Field usage: names \"as they appear in the log source\"; ARCHITECTURE, Doc: every way of parting it into keys",
        test: "dots_part_keys_or_belong_to_them",
    },
    Class {
        quirk: Quirk::AnyObject,
        name: "a lone `*` of the peer is no object",
        says: "open in Sigma 2.1; module doc of detect/matcher: a lone `*` is any value but null, an object included",
        test: "any_value_may_be_an_object",
    },
    Class {
        quirk: Quirk::Folding,
        name: "the peer lowers text with regard to neighbours and to one character more or less",
        says: "Sigma 2.1: \"case-insensitive\"; module doc of detect/matcher: case folds character by character",
        test: "case_folds_character_by_character",
    },
    Class {
        quirk: Quirk::Alias,
        name: "the rule's name is an alias here",
        says: "ARCHITECTURE, Detection: names that public Kubernetes rules make up lead to what events have (note `alias-used`)",
        test: "names_that_no_event_has_lead_to_what_events_have",
    },
    Class {
        quirk: Quirk::Expand,
        name: "the peer fills a placeholder with a field of the event",
        says: "Sigma 2.1, Placeholders: \"replaced with a single, multiple or-linked values or patterns\"; doc of Settings::lists",
        test: "placeholders_are_lists",
    },
    Class {
        quirk: Quirk::Facts,
        name: "normalised fields have values only: no null, no object",
        says: "ARCHITECTURE, Detection; doc of model::Facts",
        test: "normalised_fields_have_no_null",
    },
];

/// All that is known of the peer.
pub fn all() -> Quirks {
    Quirks::of(CLASSES.iter().map(|class| class.quirk))
}

/// The classes that give the peer's answer: one alone if one does, else no more than are needed. `reads` reads the rule with a set of quirks.
pub fn explain(theirs: bool, reads: impl Fn(Quirks) -> bool) -> Option<Vec<&'static str>> {
    if let Some(class) = CLASSES.iter().find(|class| reads(Quirks::of([class.quirk])) == theirs) {
        return Some(vec![class.name]);
    }
    let mut set = all();
    if reads(set) != theirs {
        return None;
    }
    for class in &CLASSES {
        let fewer = set.without(class.quirk);
        if reads(fewer) == theirs {
            set = fewer;
        }
    }
    Some(CLASSES.iter().filter(|class| set.has(class.quirk)).map(|class| class.name).collect())
}
