//! What modifiers make of a value before it is looked for: Base64, UTF-16, dashes.

use crate::detect::rule::Part;

/// Dashes that a command line may use for one another (`windash`).
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// The byte orders of UTF-16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wide {
    Little,
    Big,
    /// Little, with a byte order mark.
    Marked,
}

/// The bytes of a text in UTF-16.
pub(super) fn wide(text: &str, order: Wide) -> Vec<u8> {
    let mark = (order == Wide::Marked).then_some(0xfeff_u16);
    mark.into_iter()
        .chain(text.encode_utf16())
        .flat_map(|unit| match order {
            Wide::Big => unit.to_be_bytes(),
            Wide::Little | Wide::Marked => unit.to_le_bytes(),
        })
        .collect()
}

/// Base64 by the usual alphabet, padded.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let sextet = (group >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    text
}

/// The three texts one of which is found in Base64 that holds the bytes at any offset: what depends on the neighbours is cut off.
pub(super) fn base64_offsets(bytes: &[u8]) -> Vec<String> {
    const CUT_BEFORE: [usize; 3] = [0, 2, 3];
    const CUT_AFTER: [usize; 3] = [0, 3, 2];
    (0..3)
        .map(|offset| {
            let mut shifted = vec![b' '; offset];
            shifted.extend_from_slice(bytes);
            let text = base64(&shifted);
            let end = text.len().saturating_sub(CUT_AFTER[shifted.len() % 3]);
            text.get(CUT_BEFORE[offset]..end).unwrap_or_default().to_owned()
        })
        .filter(|text| !text.is_empty())
        .collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where dashes start an argument: after no word character, before one. A part of the pattern and a place in its characters.
fn dashes(parts: &[Part]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let Part::Text(text) = part else { continue };
        let chars: Vec<char> = text.chars().collect();
        for (place, c) in chars.iter().enumerate() {
            let starts = place == 0 || !is_word(chars[place - 1]);
            if matches!(c, '-' | '/') && starts && chars.get(place + 1).is_some_and(|next| is_word(*next)) {
                found.push((at, place));
            }
        }
    }
    found
}

/// Every way to write the argument dashes of a pattern; none if there are more than `variants_max`.
pub(super) fn windash(parts: &[Part], variants_max: usize) -> Option<Vec<Vec<Part>>> {
    let places = dashes(parts);
    let count = DASHES.len().checked_pow(u32::try_from(places.len()).ok()?).filter(|count| *count <= variants_max)?;
    let variant = |number: usize| {
        let mut number = number;
        let mut parts = parts.to_vec();
        for (at, place) in &places {
            let dash = DASHES[number % DASHES.len()];
            number /= DASHES.len();
            if let Some(Part::Text(text)) = parts.get_mut(*at) {
                *text = text.chars().enumerate().map(|(i, c)| if i == *place { dash } else { c }).collect();
            }
        }
        parts
    };
    Some((0..count).map(variant).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"), ("\u{ff}~", "w79+")] {
            assert_eq!(base64(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn every_offset_is_found() {
        assert_eq!(base64_offsets(b"foobar"), ["Zm9vYmFy", "Zvb2Jhc", "mb29iYX"]);
        for before in ["", "x", "xy", "xyz"] {
            for after in ["", "1", "12"] {
                let whole = base64(format!("{before}/bin/sh -c{after}").as_bytes());
                assert!(base64_offsets(b"/bin/sh -c").iter().any(|text| whole.contains(text)), "{before} {after}");
            }
        }
    }

    #[test]
    fn wide_has_its_order() {
        assert_eq!(wide("A", Wide::Little), [0x41, 0]);
        assert_eq!(wide("A", Wide::Big), [0, 0x41]);
        assert_eq!(wide("A", Wide::Marked), [0xff, 0xfe, 0x41, 0]);
    }

    #[test]
    fn dashes_of_arguments_vary() {
        let shown = |text: &str| {
            let variants = windash(&[Part::Text(text.to_owned())], 30).unwrap_or_default();
            variants.iter().map(|parts| if let [Part::Text(text)] = parts.as_slice() { text.as_str() } else { "" }).collect::<Vec<_>>().join("|")
        };
        assert_eq!(shown(" -a b-c"), " -a b-c| /a b-c| –a b-c| —a b-c| ―a b-c");
        assert_eq!(shown("a - b"), "a - b");
        assert_eq!(shown("-a -b").split('|').count(), 25);
        assert_eq!(shown("-a -b -c"), "");
    }
}
