//! What the keys of a source of kind `kafka` say of each other.

use super::SourceSettings;
use super::check::Checker;

/// Bytes of a topic's name.
const TOPIC_BYTES_MAX: usize = 249;

impl Checker<'_> {
    /// Whether what is set goes together; keys of other kinds were told of already.
    pub(super) fn kafka(&mut self, index: usize, source: &SourceSettings) {
        if source.kind != "kafka" {
            return;
        }
        self.each(index, "brokers", source.brokers.as_deref(), broker);
        self.each(index, "topics", source.topics.as_deref(), topic);
        let path = format!("source[{index}]");
        let has_tls = source.tls.unwrap_or(false);
        let files = [("tls_ca", source.tls_ca.is_some()), ("tls_cert", source.tls_cert.is_some()), ("tls_key", source.tls_key.is_some())];
        for (key, _) in files.iter().filter(|(_, is_set)| *is_set && !has_tls) {
            self.problem(&format!("{path}.{key}"), format!("`{path}.{key}` says nothing without `tls = true`"));
        }
        if source.tls_cert.is_some() != source.tls_key.is_some() {
            self.problem(&path, format!("`{path}` needs both `tls_cert` and `tls_key`, or none"));
        }
        let shown = [source.sasl.is_some(), source.username.is_some(), source.password.is_some()];
        if shown.contains(&true) && shown.contains(&false) {
            let text = format!(
                "`{path}` needs all of `sasl`, `username` and `password`, or none (Event Hubs: `plain`, `$ConnectionString`, and the connection string)"
            );
            self.problem(&path, text);
        }
    }

    /// A list that must not be empty, entry by entry.
    fn each(&mut self, index: usize, key: &str, entries: Option<&[String]>, check: fn(&str) -> Result<(), String>) {
        let path = format!("source[{index}].{key}");
        if entries.is_some_and(<[String]>::is_empty) {
            self.problem(&path, format!("`{path}` must not be empty"));
        }
        for (at, entry) in entries.unwrap_or_default().iter().enumerate() {
            if let Err(why) = check(entry) {
                self.problem(&format!("{path}[{at}]"), format!("`{path}[{at}]` {why}"));
            }
        }
    }
}

fn broker(text: &str) -> Result<(), String> {
    let ok = !text.contains(['/', ',', ' ', '@'])
        && text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    if ok { Ok(()) } else { Err("must be a host and a port, as `kafka.example.com:9093`".to_owned()) }
}

fn topic(text: &str) -> Result<(), String> {
    if text.starts_with('^') {
        return regex::Regex::new(text).map(drop).map_err(|_| "is no regular expression".to_owned());
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/');
    let ok = !text.is_empty() && text.len() <= TOPIC_BYTES_MAX && text.bytes().all(is_name);
    if ok {
        Ok(())
    } else {
        Err(format!("must be a topic's name (1 to {TOPIC_BYTES_MAX} letters, digits, `.`, `_`, `-` or `/`), or a pattern that begins with `^`"))
    }
}
