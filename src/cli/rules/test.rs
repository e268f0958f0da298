//! `rules test`: runs the tests beside each rule through the whole of decode, normalise and detect. All rules are loaded together.

mod one;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use self::one::Outcome;
use super::super::Exit;
use super::super::args::{Format, RulesPathArgs};
use super::super::output::{self, printable};
use super::{settings, texts};
use crate::detect::cases;
use crate::detect::pack;
use crate::detect::rule::RuleSet;
use crate::detect::sigma::{self, Diagnostic, Severity};
use crate::source::file::{Input, walk};

/// How the names of files of tests end.
const TEST_SUFFIX: &str = ".test.yml";

/// How a test, or a file that can not be tested, came out.
#[derive(Debug)]
struct Told {
    file: Arc<str>,
    /// Name and line of the test; none for a file.
    test: Option<(String, usize)>,
    outcome: Outcome,
}

/// Runs the command.
pub(super) fn run(args: &RulesPathArgs) -> anyhow::Result<Exit> {
    orphans(&args.paths).for_each(|orphan| eprintln!("{}", printable(&orphan.to_string())));
    let texts = texts(&args.paths.iter().map(|path| rule_of(path)).collect::<Vec<_>>())?;
    let (rules, diagnostics) = sigma::parse(&texts, &settings(args.any_logsource));
    let (mut told, mut untested) = (Vec::new(), 0);
    for (file, _) in &texts {
        let tests = if args.paths.is_empty() { pack::tests_of(file).map(str::to_owned) } else { beside(file) };
        match tests {
            Some(tests) => of_file(file, &tests, &rules, &diagnostics, &mut told),
            None => untested += 1,
        }
    }
    let failed = told.iter().filter(|told| told.outcome.problem.is_some()).count();
    if args.output == Format::Table {
        told.iter().for_each(print);
    } else {
        output::json(told.iter().map(|told| line(told).to_string()), args.output == Format::Json)?;
    }
    eprintln!("{} tests passed, {failed} failed; {untested} of {} files have none", told.len() - failed, texts.len());
    Ok(if failed == 0 { Exit::Done } else { Exit::Found })
}

/// The file of rules that a path means: a file of tests means the rules beside it.
fn rule_of(path: &Path) -> PathBuf {
    let Some([short, long]) = rules_beside(path).filter(|_| path.is_file()) else { return path.to_owned() };
    if short.is_file() { short } else { long }
}

/// Where the rule of a file of tests may stand; `None` of any other file.
fn rules_beside(path: &Path) -> Option<[PathBuf; 2]> {
    let name = path.to_string_lossy();
    let stem = name.strip_suffix(TEST_SUFFIX)?;
    Some([".yml", ".yaml"].map(|suffix| PathBuf::from(format!("{stem}{suffix}"))))
}

/// A warning of each file of tests under these paths that no rule stands beside: nobody runs those.
fn orphans(paths: &[PathBuf]) -> impl Iterator<Item = Diagnostic> {
    walk(paths).0.into_iter().filter_map(|input| {
        let Input::File(path) = input else { return None };
        let may_be = rules_beside(&path)?;
        let missing = may_be[0].file_name()?.to_string_lossy().into_owned();
        (!may_be.iter().any(|rule| rule.is_file())).then(|| Diagnostic {
            severity: Severity::Warning,
            file: Arc::from(path.to_string_lossy()),
            line: 1,
            column: 1,
            rule: None,
            code: "tests-without-rule",
            message: format!("no rule `{missing}` stands beside these tests, so they are not run"),
            help: Some("bring the rule back, give the tests the name of theirs, or delete them".to_owned()),
        })
    })
}

fn beside(file: &str) -> Option<String> {
    let stem = file.strip_suffix(".yml").or_else(|| file.strip_suffix(".yaml"))?;
    fs::read_to_string(format!("{stem}{TEST_SUFFIX}")).ok()
}

fn of_file(file: &Arc<str>, tests: &str, rules: &RuleSet, diagnostics: &[Diagnostic], to: &mut Vec<Told>) {
    let broken = |problem: String| Told { file: Arc::clone(file), test: None, outcome: Outcome { problem: Some(problem), ..Outcome::default() } };
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error && diagnostic.file == *file);
    to.extend(errors.map(|error| broken(error.to_string())));
    let folder = Path::new(file.as_ref()).parent().map(Path::to_owned).unwrap_or_default();
    match cases::read(tests, |path| fs::read(folder.join(path)).map_err(|error| format!("cannot read `{path}`: {error}"))) {
        Err(error) => to.push(broken(format!("tests: {error}"))),
        Ok(cases) => {
            let part = cases::part(rules, file);
            to.extend(cases.iter().map(|case| {
                let outcome = one::run(&part, case);
                Told { file: Arc::clone(file), test: Some((case.name.clone(), case.line)), outcome }
            }));
        }
    }
}

fn print(told: &Told) {
    let Some(problem) = &told.outcome.problem else { return };
    match &told.test {
        Some((name, line)) => println!("{}", printable(&format!("{}: `{name}` (line {line} of the tests): {problem}", told.file))),
        None => println!("{}", printable(&format!("{}: {problem}", told.file))),
    }
    for line in &told.outcome.why {
        println!("  {}", printable(line));
    }
}

fn line(told: &Told) -> Value {
    let (name, line) = told.test.as_ref().map_or((None, None), |(name, line)| (Some(name), Some(line)));
    let Outcome { problem, why, alerts } = &told.outcome;
    json!({"file": told.file.as_ref(), "test": name, "line": line, "passed": problem.is_none(), "problem": problem, "why": why, "alerts": alerts})
}
