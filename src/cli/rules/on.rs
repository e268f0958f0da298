//! `--on`: rules held against logs, read as `scan` does.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::decode::Run;
use crate::detect::engine::{Engine, EngineSettings};
use crate::detect::rule::RuleSet;
use crate::detect::sight::Sight;

/// Of these rules, or of all if none is named, what the logs show; and the run, whose engine has seen them too if rules are named.
pub(super) fn look(rules: &Arc<RuleSet>, which: &[usize], on: &[PathBuf]) -> anyhow::Result<(Sight, Run)> {
    let settings = EngineSettings { is_finite: true, ..EngineSettings::default() };
    let mut run = Run::new(Engine::new(if which.is_empty() { Arc::default() } else { Arc::clone(rules) }, settings));
    let mut sight = Sight::new(Arc::clone(rules), which);
    run.over(on, "default", |worker, events| {
        drop(worker.detect(&events));
        events.iter().for_each(|event| sight.see(event));
        Ok(())
    })?;
    run.report(None)?;
    Ok((sight, run))
}
