//! Modifiers of a field: `CommandLine|contains|all`.

use super::diagnostic::{Scope, suggest};
use super::encode::Wide;
use super::yaml::Mark;
use crate::detect::rule::{Comparison, Place};
use crate::model::TimePart;

/// Every modifier that is read.
const KNOWN: [&str; 31] = [
    "contains",
    "startswith",
    "endswith",
    "all",
    "cased",
    "re",
    "i",
    "m",
    "s",
    "cidr",
    "lt",
    "lte",
    "gt",
    "gte",
    "neq",
    "exists",
    "base64",
    "base64offset",
    "utf16le",
    "wide",
    "utf16be",
    "utf16",
    "windash",
    "fieldref",
    "expand",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
];

/// What values are compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    /// Text with wildcards, or a number, boolean or null as it stands.
    Value,
    Regex,
    Cidr,
    Number(Comparison),
    Exists,
    FieldRef,
}

/// What the modifiers of one field say, in no order: encodings come before placing, whatever the order written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Modifiers {
    pub(super) test: Test,
    pub(super) place: Place,
    pub(super) all: bool,
    pub(super) cased: bool,
    pub(super) negated: bool,
    pub(super) expand: bool,
    pub(super) windash: bool,
    pub(super) wide: Option<Wide>,
    /// `Some(true)` at any offset.
    pub(super) base64: Option<bool>,
    /// Compares a part of the time that the value is.
    pub(super) time: Option<TimePart>,
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_all: bool,
}

impl Default for Modifiers {
    fn default() -> Self {
        Self {
            test: Test::Value,
            place: Place::Whole,
            all: false,
            cased: false,
            negated: false,
            expand: false,
            windash: false,
            wide: None,
            base64: None,
            time: None,
            ignore_case: false,
            multi_line: false,
            dot_all: false,
        }
    }
}

impl Modifiers {
    /// Reads the modifiers after a field's name. What is unknown or does not go together refuses the rule.
    pub(super) fn parse<'n>(scope: &mut Scope<'_>, at: Mark, names: impl Iterator<Item = &'n str>) -> Option<Self> {
        let mut modifiers = Self::default();
        let mut is_good = true;
        let mut written: Vec<&str> = Vec::new();
        for name in names {
            is_good &= modifiers.add(scope, at, name, &written);
            written.push(name);
        }
        (is_good && modifiers.go_together(scope, at, &written)).then_some(modifiers)
    }

    fn add(&mut self, scope: &mut Scope<'_>, at: Mark, name: &str, written: &[&str]) -> bool {
        match name {
            "contains" => return self.place(scope, at, Place::Anywhere),
            "startswith" => return self.place(scope, at, Place::Start),
            "endswith" => return self.place(scope, at, Place::End),
            "all" => self.all = true,
            "cased" => self.cased = true,
            "neq" => self.negated = true,
            "expand" => self.expand = true,
            "windash" => self.windash = true,
            "base64" => self.base64 = Some(false),
            "base64offset" => self.base64 = Some(true),
            "utf16le" | "wide" => self.wide = Some(Wide::Little),
            "utf16be" => self.wide = Some(Wide::Big),
            "utf16" => self.wide = Some(Wide::Marked),
            "re" => return self.test(scope, at, Test::Regex),
            "cidr" => return self.test(scope, at, Test::Cidr),
            "exists" => return self.test(scope, at, Test::Exists),
            "fieldref" => return self.test(scope, at, Test::FieldRef),
            "lt" => return self.test(scope, at, Test::Number(Comparison::Lt)),
            "lte" => return self.test(scope, at, Test::Number(Comparison::Lte)),
            "gt" => return self.test(scope, at, Test::Number(Comparison::Gt)),
            "gte" => return self.test(scope, at, Test::Number(Comparison::Gte)),
            "i" | "ignorecase" if written.contains(&"re") => self.ignore_case = true,
            "m" | "multiline" if written.contains(&"re") => self.multi_line = true,
            "s" | "dotall" if written.contains(&"re") => self.dot_all = true,
            "i" | "m" | "s" => {
                scope.error(at, "modifier-conflict", format!("modifier `{name}` belongs after `re`"), format!("write `|re|{name}`"));
                return false;
            }
            name if let Some(part) = TimePart::by_name(name) => return self.time(scope, at, part),
            name => {
                scope.error(at, "unknown-modifier", format!("unknown modifier `{}`", name.escape_debug()), suggest(name, &KNOWN));
                return false;
            }
        }
        true
    }

    fn place(&mut self, scope: &mut Scope<'_>, at: Mark, place: Place) -> bool {
        let is_first = self.place == Place::Whole || self.place == place;
        if !is_first {
            scope.error(
                at,
                "modifier-conflict",
                "only one of contains, startswith and endswith can hold",
                "use two fields of one map: both must hold",
            );
        }
        self.place = place;
        is_first
    }

    fn test(&mut self, scope: &mut Scope<'_>, at: Mark, test: Test) -> bool {
        let is_first = self.test == Test::Value || self.test == test;
        if !is_first {
            let help = "use two fields of one map: both must hold";
            scope.error(at, "modifier-conflict", "only one of re, cidr, exists, fieldref, lt, lte, gt and gte can hold", help);
        }
        self.test = test;
        is_first
    }

    fn time(&mut self, scope: &mut Scope<'_>, at: Mark, part: TimePart) -> bool {
        let is_first = self.time.is_none_or(|known| known == part);
        if !is_first {
            let help = "use two fields of one map: both must hold";
            scope.error(at, "modifier-conflict", "only one of minute, hour, day, week, month and year can hold", help);
        }
        self.time = Some(part);
        is_first
    }

    fn go_together(&self, scope: &mut Scope<'_>, at: Mark, written: &[&str]) -> bool {
        let is_placed = self.place != Place::Whole;
        let is_encoded = self.windash || self.wide.is_some() || self.base64.is_some();
        let (name, conflict, help) = match self.test {
            Test::Value | Test::Number(_) if self.time.is_some() && (is_placed || is_encoded || self.cased || self.expand) => {
                ("a part of a time", "modifiers of text", "a number is all that is needed")
            }
            Test::Value | Test::Number(_) if self.time.is_some() => return true,
            _ if self.time.is_some() => ("a part of a time", "a test that is not of numbers", "lt, lte, gt, gte and neq go with it"),
            Test::Value if self.wide.is_some() && self.base64.is_none() => {
                ("utf16le, wide, utf16be and utf16", "values that no `base64` or `base64offset` follows", "add `|base64offset|contains`")
            }
            Test::Regex if is_placed || is_encoded || self.expand => {
                ("re", "other modifiers of text", "a regular expression is searched for anywhere; `^` and `$` place it")
            }
            Test::Cidr if is_placed || is_encoded || self.cased => ("cidr", "modifiers of text", "a network is all that is needed"),
            Test::Number(_) if is_placed || is_encoded || self.cased || self.expand => {
                ("a comparison", "modifiers of text", "a number is all that is needed")
            }
            Test::Exists if is_placed || is_encoded || self.cased || self.expand || self.all => ("exists", "other modifiers", "give true or false"),
            Test::FieldRef if is_encoded || self.expand => ("fieldref", "modifiers of values", "the value is the name of the other field"),
            _ => return true,
        };
        scope.error(at, "modifier-conflict", format!("{name} cannot go with {conflict} (`|{}`)", written.join("|")), help);
        false
    }
}
