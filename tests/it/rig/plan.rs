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

    /// A full run may name another build than the one that cargo made beside the tests.
    fn program() -> String {
        setting("BARTIZAN_PROGRAM").unwrap_or_else(|| PROGRAM.to_owned())
    }

    /// What `bartizan verify` complains of, if it does.
    pub(crate) fn verify(&self) -> Result<(), String> {
        let mut command = Command::new(Self::program());
        let output = command.arg("verify").arg("--config").arg(self.data.with_extension("toml")).output().map_err(|error| error.to_string())?;
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        if output.status.success() { Ok(()) } else { Err(format!("verify ends with {}: {said}", output.status)) }
    }

    /// Starts it and waits until it answers; else what it said.
    pub(crate) fn start(&self) -> Result<Service, String> {
        let mut words = self.before.iter().cloned().chain([Self::program()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        Service::by(&mut command, &self.data, "searches_per_principal_max = 16\n", &self.more)
    }
}
