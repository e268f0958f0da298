//! Rules by configuration: the built-in pack or files, with the lists, levels and names that the operator gives.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::config::DetectSettings;
use crate::detect::pack;
use crate::detect::rule::RuleSet;
use crate::detect::sigma::{self, Diagnostic, Settings};
use crate::source::file::{Input, walk};

/// Bytes of one file of rules that are read at all.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Rules as file names and texts: those under the paths, or the built-in ones.
pub fn texts(paths: &[PathBuf]) -> anyhow::Result<Vec<(Arc<str>, String)>> {
    if paths.is_empty() {
        return Ok(pack::rules());
    }
    let (inputs, problems) = walk(paths);
    if let Some(problem) = problems.first() {
        bail!("cannot read rules from `{}`: {}", problem.path, problem.why);
    }
    let mut texts = Vec::new();
    for input in inputs {
        let Input::File(path) = input else { continue };
        let name = path.display().to_string();
        let is_rule = paths.contains(&path) || [".yml", ".yaml"].iter().any(|suffix| name.ends_with(suffix));
        if !is_rule || name.ends_with(".test.yml") || name.ends_with("lists.yaml") {
            continue;
        }
        let size = fs::metadata(&path).with_context(|| format!("cannot read `{name}`"))?.len();
        if size > FILE_BYTES_MAX {
            bail!("`{name}` has {size} bytes: no file of rules is that long");
        }
        let bytes = fs::read(&path).with_context(|| format!("cannot read `{name}`"))?;
        texts.push((Arc::from(name), String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(texts)
}

/// How rules are read: the built-in lists, with the operator's in their place where he has some.
pub fn settings(detect: Option<&DetectSettings>, any_logsource: bool) -> Settings {
    let mut settings = Settings { lists: pack::lists(), any_logsource, ..Settings::default() };
    if let Some(detect) = detect {
        settings.lists.extend(detect.lists.clone());
        settings.field_mappings = detect.fields.clone();
        settings.disable = detect.disable.clone();
        settings.levels = detect.level.clone();
    }
    settings
}

/// The rules in force, and what is wrong with those that are not.
pub fn load(detect: &DetectSettings) -> anyhow::Result<(RuleSet, Vec<Diagnostic>)> {
    Ok(sigma::parse(&texts(&detect.rules)?, &settings(Some(detect), false)))
}
