//! JSON text out, with the characters escaped that could move a terminal or hide in a page, as `decode` has it.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

use super::object::Object;

/// Compact, and safe to print.
#[derive(Debug)]
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        for c in fragment.chars() {
            match c {
                '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
                    write!(to, "\\u{:04x}", u32::from(c))?;
                }
                c => to.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?,
            }
        }
        Ok(())
    }
}

/// Appends the object.
pub(super) fn object(object: Object, to: &mut String) {
    let mut bytes = Vec::with_capacity(4096);
    let written = Value::from(object).serialize(&mut Serializer::with_formatter(&mut bytes, Printable));
    debug_assert!(written.is_ok(), "a `Value` is always JSON, and memory takes it");
    to.push_str(&String::from_utf8_lossy(&bytes));
}
