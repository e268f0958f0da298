//! What may be odd about an event's values and shape: edges of types, near misses, other scripts, lists within lists, dots in keys.

use serde_json::{Map, Value, json};

use super::making::{Dice, Fields};

/// Characters of a value that is longer than most.
const LONG_CHARS: usize = 5_000;

/// Characters in which case, width or lines are not what they are in English.
const STRANGE: [&str; 14] = ["\n", "\r\n", "\t", "é", "É", "Σ", "ς", "ſ", "İ", "ı", "\u{212a}", "中", "😀", "\u{0}"];

/// Values that are something else than they look.
fn odd(dice: &mut Dice) -> Value {
    let values = [
        json!(""),
        json!([]),
        json!({}),
        json!([[]]),
        json!(null),
        json!([null]),
        json!(["x", null]),
        json!(true),
        json!(false),
        json!("true"),
        json!("Yes"),
        json!("0"),
        json!(0),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!("1.0"),
        json!("1e3"),
        json!(-1),
        json!("inf"),
        json!("NaN"),
        json!("-infinity"),
        json!("0x10"),
        json!(" 1"),
        json!(1e300),
        json!("1e999"),
        json!("0".repeat(70) + "7"),
        json!(9_007_199_254_740_993_u64),
        json!(u64::MAX),
        json!({"a": "x"}),
        json!([{"a": 1}, "x"]),
        json!("::ffff:10.0.0.1"),
        json!("fe80::1%eth0"),
        json!("*"),
        json!("null"),
    ];
    values[dice.below(values.len())].clone()
}

/// One place of a text that may be cut.
fn cut(text: &str, dice: &mut Dice) -> usize {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    places[dice.below(places.len())]
}

fn flipped(text: &str, dice: &mut Dice) -> String {
    let flip = |c: char| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() };
    text.chars().map(|c| if dice.chance(50) { flip(c) } else { c.to_string() }).collect()
}

/// A text with one character more, less or other.
fn near(text: &str, dice: &mut Dice) -> String {
    let (before, after) = text.split_at(cut(text, dice));
    let mut after = after.chars();
    match dice.below(3) {
        0 => format!("{before}{}", after.by_ref().skip(1).collect::<String>()),
        1 => format!("{before}z{}", after.as_str()),
        _ => format!("{before}z{}", after.by_ref().skip(1).collect::<String>()),
    }
}

fn stray_text(text: &str, dice: &mut Dice) -> Value {
    let strange = STRANGE[dice.below(STRANGE.len())];
    let (before, after) = text.split_at(cut(text, dice));
    Value::from(match dice.below(9) {
        0 => near(text, dice),
        1 => flipped(text, dice),
        2 => text.to_uppercase(),
        3 => format!("{strange}{text}"),
        4 => format!("{text}{strange}"),
        5 => format!("{before}{strange}{after}"),
        6 => format!("{}{text}", "y".repeat(LONG_CHARS)),
        7 => format!("{text}{}", "é ".repeat(LONG_CHARS / 2)),
        _ if text.parse::<std::net::Ipv4Addr>().is_ok() => format!("::ffff:{text}"),
        _ => text.replace(|c: char| c.is_whitespace(), "\n"),
    })
}

fn stray(value: &Value, dice: &mut Dice) -> Value {
    match value {
        Value::String(text) if dice.chance(60) => stray_text(text, dice),
        Value::Number(number) if dice.chance(60) => match dice.below(4) {
            0 => Value::from(number.to_string()),
            1 => number.as_f64().map_or(Value::Null, Value::from),
            2 => Value::from(format!("{number}.0")),
            _ => number.as_i64().map_or(Value::Null, |number| Value::from(number.wrapping_add(1))),
        },
        value => match dice.below(8) {
            0 => json!([value]),
            1 => json!([[value], "x"]),
            2 => json!([value, null]),
            3 => json!([odd(dice), value]),
            4 => json!({ "a": value }),
            5 => json!([value, value]),
            _ => odd(dice),
        },
    }
}

/// Makes some of the fields odd.
pub fn fields(fields: &mut Fields, dice: &mut Dice) {
    for value in fields.values_mut() {
        if dice.chance(20) {
            *value = stray(value, dice);
        }
    }
}

/// How names with dots become keys.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// One key each.
    Flat,
    /// Objects within objects.
    Nested,
    /// Some dots part keys and some belong to them.
    Mixed,
    /// Objects within lists within objects.
    Listed,
}

impl Shape {
    /// Any; the plain ones are likelier.
    pub fn any(dice: &mut Dice) -> Self {
        [Self::Flat, Self::Flat, Self::Nested, Self::Nested, Self::Mixed, Self::Listed][dice.below(6)]
    }

    /// Puts a field into the record.
    pub fn put(self, object: &mut Map<String, Value>, name: &str, value: &Value, dice: &mut Dice) {
        let dots: Vec<usize> = name.match_indices('.').map(|(at, _)| at).collect();
        let at = match self {
            Self::Flat => None,
            Self::Nested | Self::Listed => dots.first().copied(),
            Self::Mixed => dots.get(dice.below(dots.len() + 1)).copied(),
        };
        let Some(at) = at else { return drop(object.insert(name.to_owned(), value.clone())) };
        let (head, tail) = (&name[..at], &name[at + 1..]);
        let inner = object.entry(head.to_owned()).or_insert_with(|| Value::Object(Map::new()));
        match inner {
            Value::Object(inner) if matches!(self, Self::Listed) && dice.chance(50) => {
                let mut other = inner.clone();
                self.put(&mut other, tail, value, dice);
                let first = std::mem::take(inner);
                let list = json!([other, first, "x"]);
                object.insert(head.to_owned(), if dice.chance(30) { json!([list]) } else { list });
            }
            Value::Object(inner) => self.put(inner, tail, value, dice),
            Value::Array(elements) => match elements.iter_mut().find_map(Value::as_object_mut) {
                Some(element) => self.put(element, tail, value, dice),
                None => drop(object.insert(name.to_owned(), value.clone())),
            },
            // The name of one field is the start of another's.
            _ => drop(object.insert(name.to_owned(), value.clone())),
        }
    }
}
