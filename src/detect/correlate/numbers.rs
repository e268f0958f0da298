//! Sums, averages and percentiles that depend on the numbers alone, never on the order they came in.
//!
//! A sum of floating point numbers changes with its order. So sums are kept in whole billionths: exact for whole numbers, and for decimal
//! ones to nine places, where each number is rounded once.

use crate::detect::rule::Comparison;

/// Numbers that one event may add: elements of a list beyond it do not count.
pub(super) const NUMBERS_MAX: usize = 100;

/// Numbers beyond this count as this. What is made of all that a group may hold then fits.
const NUMBER_MAX: f64 = 1e18;

const BILLION: i128 = 1_000_000_000;

/// A number in billionths.
pub(crate) fn exact(number: f64) -> i128 {
    let number = number.clamp(-NUMBER_MAX, NUMBER_MAX);
    let whole = number.trunc();
    whole as i128 * BILLION + ((number - whole) * 1e9).round() as i128
}

/// The sum of numbers that stand as bits, in billionths.
pub(crate) fn sum(bits: &[u64]) -> i128 {
    bits.iter().map(|bits| exact(f64::from_bits(*bits))).sum()
}

/// Whether a sum of so many numbers meets every bound, by its average.
pub(crate) fn meets(bounds: &[(Comparison, f64)], sum: i128, count: i128) -> bool {
    bounds.iter().all(|(op, bound)| {
        let bound = exact(*bound) * count;
        match op {
            Comparison::Lt => sum < bound,
            Comparison::Lte => sum <= bound,
            Comparison::Gt => sum > bound,
            Comparison::Gte => sum >= bound,
            Comparison::Eq => sum == bound,
            Comparison::Neq => sum != bound,
        }
    })
}

/// The percentile of numbers, in proportion between two neighbours: of 1, 2, 3, 4 the percentile 50 is 2.5. As a sum of billionths, and of
/// how many its average is taken, for [`meets`]. `None` of nothing.
pub(crate) fn percentile(bits: impl Iterator<Item = u64>, percentile: f64) -> Option<(i128, i128)> {
    let mut numbers: Vec<i128> = bits.map(|bits| exact(f64::from_bits(bits))).collect();
    numbers.sort_unstable();
    let whole = 100 * BILLION;
    let rank = i128::try_from(numbers.len().checked_sub(1)?).ok()? * exact(percentile.clamp(0.0, 100.0));
    let (place, part) = (usize::try_from(rank / whole).ok()?, rank % whole);
    let below = *numbers.get(place)?;
    let above = if part == 0 { below } else { *numbers.get(place + 1)? };
    Some((below * (whole - part) + above * part, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_the_order() {
        let numbers = [0.1, 0.2, 0.3, 1e15, -1e15, 4.0];
        let bits: Vec<u64> = numbers.iter().map(|number: &f64| number.to_bits()).collect();
        let reversed: Vec<u64> = bits.iter().rev().copied().collect();
        assert_eq!(sum(&bits), sum(&reversed));
        assert_eq!(sum(&bits), 4_600_000_000);
        assert!(meets(&[(Comparison::Eq, 4.6)], sum(&bits), 1));
        assert!(meets(&[(Comparison::Gt, 2.2), (Comparison::Lt, 2.4)], sum(&bits), 2));
        assert_eq!(exact(f64::MAX), exact(1e18));
        assert_eq!(exact(-0.0), 0);
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        let check = |numbers: &[f64], wanted: f64, expected: Option<f64>| {
            let found = percentile(numbers.iter().map(|number| number.to_bits()), wanted);
            assert_eq!(found.is_some(), expected.is_some(), "{numbers:?} {wanted}");
            if let (Some((sum, count)), Some(expected)) = (found, expected) {
                assert!(meets(&[(Comparison::Eq, expected)], sum, count), "{numbers:?} {wanted}: {sum} / {count}");
            }
        };
        check(&[], 50.0, None);
        check(&[7.0], 99.0, Some(7.0));
        check(&[3.0, 1.0, 2.0], 50.0, Some(2.0));
        check(&[4.0, 1.0, 3.0, 2.0], 50.0, Some(2.5));
        check(&[1.0, 2.0, 3.0, 4.0, 5.0], 95.0, Some(4.8));
        check(&[0.1, 0.2], 99.9, Some(0.1999));
        check(&[-5.0, 5.0], 0.0, Some(-5.0));
        check(&[-5.0, 5.0], 100.0, Some(5.0));
        check(&[1e300, 1e300], 50.0, Some(1e18));
    }
}
