//! Checks of single values, named by the schema's `format`. A value that passes is one that its type takes.

use std::net::SocketAddr;

use super::Secret;
use crate::model::ClusterId;

type Check = fn(&str) -> Result<(), String>;

/// Every format that the settings name.
const FORMATS: &[(&str, Check)] = &[
    ("socket-address", socket_address),
    ("not-empty", not_empty),
    ("log-filter", log_filter),
    ("name", name),
    ("cluster", cluster),
    ("pattern", pattern),
    ("http-url", http_url),
    ("secret", secret),
];

/// Checks a value; a format that is not ours (`uint32`) says nothing about text.
pub(super) fn check(format: &str, text: &str) -> Result<(), String> {
    FORMATS.iter().find(|(known, _)| *known == format).map_or(Ok(()), |(_, check)| check(text))
}

fn socket_address(text: &str) -> Result<(), String> {
    text.parse::<SocketAddr>().map(drop).map_err(|_| "must be an IP address and a port, as `127.0.0.1:7117` or `[::]:7117`".to_owned())
}

fn not_empty(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(()) }
}

fn log_filter(text: &str) -> Result<(), String> {
    crate::telemetry::check_level(text)
}

fn name(text: &str) -> Result<(), String> {
    let ok = !text.is_empty() && text.len() <= 63 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if ok { Ok(()) } else { Err("must be 1 to 63 letters, digits, `-`, `_` or `.`".to_owned()) }
}

fn cluster(text: &str) -> Result<(), String> {
    text.parse::<ClusterId>().map(drop)
}

fn pattern(text: &str) -> Result<(), String> {
    if text.len() > 1024 {
        return Err("must not be longer than 1024 bytes".to_owned());
    }
    let regex =
        regex::RegexBuilder::new(text).size_limit(1 << 20).build().map_err(|error| format!("is no regular expression: {}", last_line(&error)))?;
    if regex.captures_len() < 2 { Err("must have a group: `^audit/([^/]+)/`".to_owned()) } else { Ok(()) }
}

/// The regex crate draws a picture over several lines; its last says what is wrong.
fn last_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn http_url(text: &str) -> Result<(), String> {
    let url: http::Uri = text.parse().map_err(|_| "must be a URL".to_owned())?;
    match (url.scheme_str(), url.authority()) {
        (Some("http" | "https"), Some(authority)) if !authority.as_str().contains('@') => Ok(()),
        _ => Err("must be a URL that starts with `https://` or `http://` and holds no password".to_owned()),
    }
}

fn secret(text: &str) -> Result<(), String> {
    Secret::parse(text).map(drop)
}
