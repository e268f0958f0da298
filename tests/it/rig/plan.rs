//! How a rig starts the program.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::service::{PROGRAM, Service, setting};

/// How it is started.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// What the configuration has besides.
    pub(crate) more: String,
    /// Words before the program: a tracer.
    pub(crate) before: Vec<String>,
}

impl Plan {
    pub(crate) fn new(data: &Path, more: &str) -> Self {
        Self { data: data.to_owned(), more: more.to_owned(), before: Vec::new() }
    }

    /// Starts it and waits until it answers; else what it said.
    pub(crate) fn start(&self) -> Result<Service, String> {
        // A full run may name another build than the one that cargo made beside the tests.
        let program = setting("BARTIZAN_PROGRAM").unwrap_or_else(|| PROGRAM.to_owned());
        let mut words = self.before.iter().cloned().chain([program]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        Service::by(&mut command, &self.data, "searches_per_principal_max = 16\n", &self.more)
    }
}
