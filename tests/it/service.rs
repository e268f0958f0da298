//! A running service as a process, for tests that talk to it, kill it or deny it things.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_bartizan");

/// A test's own setting: how much it does, and against what.
#[expect(clippy::disallowed_methods, reason = "a test's size is no setting of the program")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Lines of the log that are remembered. A test that makes it complain for minutes wants the first and the last of it.
const SAID_MAX: usize = 2_000;

/// A process that was told to stop does within this.
const STILL_AFTER_MAX: Duration = Duration::from_secs(60);

/// A service on a data folder; killed when dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) url: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Starts it and waits until it says where it serves.
    pub(crate) fn start(data: &Path, more: &str) -> Self {
        Self::by(&mut Command::new(PROGRAM), data, "", more).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Starts it by a command, to which its own words are added, with more lines for the server's settings and for all others. Else what it said.
    pub(crate) fn by(command: &mut Command, data: &Path, server: &str, more: &str) -> Result<Self, String> {
        let config = data.with_extension("toml");
        let store = format!("[store]\npath = {data:?}\nflush_every_s = 1\n[log]\nformat = \"json\"\n");
        std::fs::write(&config, format!("[server]\nlisten = \"127.0.0.1:0\"\n{server}{store}{more}")).unwrap();
        command.arg("serve").arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
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
        // What it says later must not fill the pipe.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut said = heard.lock().unwrap();
                if said.len() > SAID_MAX {
                    said.remove(SAID_MAX / 2);
                }
                said.push(line);
            }
        });
        Ok(Self { child, url, said })
    }

    /// What it has logged so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no goodbye.
    pub(crate) fn kill(mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success(), "cannot send SIG{name}");
    }

    /// Stops it where it is; returns once none of its threads runs any more, and how long that took. The signal is given to one of them, which stops the
    /// others when it gets its turn: on a busy machine they go on meanwhile.
    pub(crate) fn stand_still(&self) -> Duration {
        let since = Instant::now();
        self.signal("STOP");
        while !self.stands_still() {
            assert!(since.elapsed() < STILL_AFTER_MAX, "it goes on after SIGSTOP");
            std::thread::sleep(Duration::from_micros(200));
        }
        since.elapsed()
    }

    /// Whether every thread of it is stopped. The state is the first word after the name, which is in brackets.
    fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let is_stopped = |path: std::path::PathBuf| {
            // A thread that ended meanwhile writes nothing.
            std::fs::read_to_string(path.join("stat")).map_or(true, |stat| stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T')))
        };
        threads.filter_map(Result::ok).all(|entry| is_stopped(entry.path()))
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

impl Drop for Service {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A runtime and a client for a test.
pub(crate) fn client() -> (tokio::runtime::Runtime, reqwest::Client) {
    bartizan::app::build::install_tls();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    (runtime, client)
}

/// The answer's JSON, whatever its status.
pub(crate) async fn json(request: reqwest::RequestBuilder) -> (u16, serde_json::Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// Asks again and again until the answer is right, or fails with the last one.
pub(crate) async fn until(client: &reqwest::Client, url: &str, is_right: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let mut last = serde_json::Value::Null;
    for _ in 0..3_600 {
        last = json(client.get(url)).await.1;
        if is_right(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{url} did not become right: {last}");
}

#[test]
fn a_client_that_says_nothing_is_cut_off() {
    use std::io::{Read, Write};
    let dir = tempfile::tempdir().unwrap();
    let service = Service::start(&dir.path().join("data"), "");
    let address = service.url.strip_prefix("http://").unwrap().to_owned();
    // Silence, half of HTTP/2's preface, and half a request line: each would hold its slot for ever.
    let clients = [&b""[..], b"PRI * HT", b"GET / HT"].map(|said| {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        stream.write_all(said).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    });
    for mut client in clients {
        let mut rest = Vec::new();
        // Whether it ends by a close or a reset, it ends; a timeout of the read would be an error of another kind.
        let ended = client.read_to_end(&mut rest);
        let is_open = ended.is_err_and(|error| matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
        assert!(!is_open, "the connection is still held");
    }
}
