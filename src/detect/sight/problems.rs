//! What events show to be wrong with rules, as diagnostics beside those of parsing.

use super::Sight;
use super::told::{Seen, Standing};
use crate::detect::rule::Rule;
use crate::detect::sigma::{Diagnostic, Severity};

/// How many rules stand how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub matched: usize,
    pub blind: usize,
    /// Something that they need never held, or never all at once.
    pub never_held: usize,
    pub no_events: usize,
}

impl Sight {
    /// One diagnostic for each rule that did not match, in the order of the rules, and how many there are of each sort. Blind rules are warnings.
    pub fn problems(&self) -> (Vec<Diagnostic>, Tally) {
        let (mut out, mut tally) = (Vec::new(), Tally::default());
        for (at, rule) in self.set.rules.iter().enumerate() {
            let Some(seen) = self.seen(at) else { continue };
            let (severity, code, count) = match seen.standing {
                Standing::Matched => {
                    tally.matched += 1;
                    continue;
                }
                Standing::NotApplicable => continue,
                Standing::Blind => (Severity::Warning, "blind-rule", &mut tally.blind),
                Standing::NeverHeld => (Severity::Note, "never-held", &mut tally.never_held),
                Standing::NotTogether => (Severity::Note, "not-together", &mut tally.never_held),
                Standing::NoEvents => (Severity::Note, "no-events", &mut tally.no_events),
            };
            *count += 1;
            out.push(self.problem(at, rule, &seen, severity, code));
        }
        (out, tally)
    }

    fn problem(&self, at: usize, rule: &Rule, seen: &Seen, severity: Severity, code: &'static str) -> Diagnostic {
        let missing: Vec<&str> = self.missing(at).iter().map(|field| field.name()).collect();
        let fields = std::iter::once(seen).chain(&seen.steps).flat_map(|seen| &seen.fields);
        let needed = fields.filter(|field| missing.contains(&field.name.as_str()) && !field.near.is_empty());
        let near: Vec<String> = needed.map(|field| format!("near `{}` are {}", field.name, field.near.join(", "))).collect();
        let message = match seen.standing {
            Standing::Blind => format!("`{}` cannot fire: none of {} events of its kind has {}", seen.title, seen.events, missing.join(", ")),
            Standing::NoEvents if seen.steps.is_empty() => format!("`{}`: no event of its kind was seen", seen.title),
            _ if !seen.steps.is_empty() => {
                let idle = seen.steps.iter().filter(|step| step.standing != Standing::Matched);
                let steps: Vec<String> = idle.map(|step| format!("`{}` {}", step.title, step.standing.words())).collect();
                format!("`{}`: of the rules it stands on, {}", seen.title, steps.join("; "))
            }
            _ => {
                let reasons: Vec<String> = seen.reasons.iter().map(ToString::to_string).collect();
                format!("`{}` never matched: {}", seen.title, reasons.join("; "))
            }
        };
        Diagnostic {
            severity,
            file: std::sync::Arc::clone(&rule.file),
            line: rule.line,
            column: 1,
            rule: Some(rule.header.id.clone()),
            code,
            message,
            help: (!near.is_empty()).then(|| near.join("; ")),
        }
    }
}
