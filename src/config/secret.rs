//! A secret: written down as where to find it, shown nowhere.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest secret that is read from a file, in bytes. Longer ones are an error.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Env(String),
    File(PathBuf),
}

/// `env:NAME` or `file:/path`, and after loading the value behind it. Neither `Debug` nor `Serialize` shows the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    place: Place,
    value: Option<Arc<str>>,
}

impl Secret {
    /// Reads the written form. The error never repeats the text: it may be the secret itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let place = match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => Place::Env(name.to_owned()),
            Some(("file", path)) if !path.is_empty() => Place::File(PathBuf::from(path)),
            _ => return Err("a secret is written as `env:NAME` or `file:/path`, never as itself".to_owned()),
        };
        Ok(Self { place, value: None })
    }

    /// Fetches the value. A line end after it is not part of it.
    pub(super) fn resolve(&mut self, env: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
        let text = match &self.place {
            Place::Env(name) => env(name).ok_or_else(|| format!("the environment variable `{name}` is not set"))?,
            Place::File(path) => read(path)?,
        };
        let value = text.trim_end_matches(['\r', '\n']);
        if value.is_empty() {
            return Err(format!("the secret at `{self}` is empty"));
        }
        self.value = Some(Arc::from(value));
        Ok(())
    }

    /// The value; empty if it was not loaded, which [`super::Config::load`] does not let pass.
    pub fn expose(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}

fn read(path: &Path) -> Result<String, String> {
    let fail = |error: std::io::Error| format!("cannot read the secret file `{}`: {error}", path.display());
    let mut text = String::new();
    std::fs::File::open(path).map_err(fail)?.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!("the secret file `{}` is longer than {SECRET_BYTES_MAX} bytes", path.display()));
    }
    Ok(text)
}

impl fmt::Display for Secret {
    /// Where it is found, not what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Env(name) => write!(f, "env:{name}"),
            Place::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}
