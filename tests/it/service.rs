//! A running service as a process, for tests that talk to it, kill it or deny it things.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_bartizan");

/// A test's own setting: how much it does, and against what.
#[expect(clippy::disallowed_methods, reason = "a test's size is no setting of the program")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A service on a data folder; killed when dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) url: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Starts it and waits until it says where it serves.
    pub(crate) fn start(data: &Path, more: &str) -> Self {
        let config = data.with_extension("toml");
        std::fs::write(
            &config,
            format!("[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\nflush_every_s = 1\n[log]\nformat = \"json\"\n{more}", data),
        )
        .unwrap();
        let mut child = Command::new(PROGRAM).arg("serve").arg("--config").arg(&config).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let url = loop {
            let line = lines.next().unwrap_or_else(|| panic!("the service ended: {}", said.join("\n"))).unwrap();
            let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(url) = value.get("url").and_then(serde_json::Value::as_str) {
                break url.to_owned();
            }
            said.push(line);
        };
        let said = Arc::new(Mutex::new(said));
        let heard = Arc::clone(&said);
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line)));
        Self { child, url, said }
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
        self.child.kill().unwrap();
        self.child.wait().unwrap();
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
    for _ in 0..1_800 {
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
