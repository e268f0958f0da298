//! The program as a process that a rig starts, signals, kills and waits for.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::service::{PROGRAM, setting};

/// How it is started.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// What the configuration has besides.
    pub(crate) more: String,
    /// Words before the program: a tracer.
    pub(crate) before: Vec<String>,
    /// The seeded defect, in a build that has them.
    pub(crate) defect: Option<String>,
}

impl Plan {
    pub(crate) fn new(data: &Path, more: &str) -> Self {
        Self { data: data.to_owned(), more: more.to_owned(), before: Vec::new(), defect: None }
    }

    fn command(&self, config: &Path) -> Command {
        // A full run may name another build than the one that cargo made beside the tests.
        let program = setting("BARTIZAN_PROGRAM").unwrap_or_else(|| PROGRAM.to_owned());
        let mut words = self.before.iter().cloned().chain([program]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("serve").arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some(defect) = &self.defect {
            command.env("BARTIZAN_DEFECT", defect);
        }
        command
    }

    /// Starts it and waits until it answers; else what it said.
    pub(crate) fn start(&self) -> Result<Process, String> {
        let config = self.data.with_extension("toml");
        let listen = "[server]\nlisten = \"127.0.0.1:0\"\nsearches_per_principal_max = 16\n";
        let text = format!("{listen}[store]\npath = {:?}\nflush_every_s = 1\n[log]\nformat = \"json\"\n{}", self.data, self.more);
        std::fs::write(&config, text).unwrap();
        let mut child = self.command(&config).spawn().map_err(|error| error.to_string())?;
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let url = loop {
            let Some(Ok(line)) = lines.next() else {
                let status = child.wait().unwrap();
                return Err(format!("it ended with {status}: {}", said.join("\n")));
            };
            let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(url) = value.get("url").and_then(serde_json::Value::as_str) {
                break url.to_owned();
            }
            said.push(line);
        };
        let said = Arc::new(Mutex::new(said));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut said = heard.lock().unwrap();
                // A rig that makes it complain for minutes wants the first and the last of it.
                if said.len() > 2_000 {
                    said.remove(1_000);
                }
                said.push(line);
            }
        });
        Ok(Process { child, url, said })
    }
}

/// It runs; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and gone.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success(), "cannot send SIG{name}");
    }

    /// How it ended, if it does within this time.
    pub(crate) async fn ended_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if since.elapsed() > patience {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
