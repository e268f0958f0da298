//! What the values of a field are like: how many there are, and of numbers their ends, middle and spread.

/// Percentiles that are told.
const PERCENTILES: [u32; 5] = [50, 75, 90, 95, 99];

/// The values of a field over a set of events. An event counts once for each value that it has.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Stats {
    /// Different values, without regard to case.
    pub cardinality: u64,
    /// Values, those of several events counted for each.
    pub count: u64,
    /// Of the values that are numbers, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
}

/// Values that are numbers.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Numbers {
    pub count: u64,
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub mean: f64,
    /// The smallest value that so many in a hundred do not exceed, by `p50`, `p75`, `p90`, `p95` and `p99`: exact, never between two values.
    pub percentiles: std::collections::BTreeMap<String, f64>,
}

impl Stats {
    /// Of values with how many events have each.
    pub(super) fn of(values: impl Iterator<Item = (String, u64)>) -> Self {
        let (mut cardinality, mut count, mut numbers) = (0, 0, Vec::new());
        for (value, events) in values {
            cardinality += 1;
            count += events;
            numbers.extend(value.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| (number, events)));
        }
        Self { cardinality, count, numbers: Numbers::of(numbers) }
    }
}

impl Numbers {
    fn of(mut numbers: Vec<(f64, u64)>) -> Option<Self> {
        numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ((min, _), (max, _)) = (*numbers.first()?, *numbers.last()?);
        let count: u64 = numbers.iter().map(|(_, events)| events).sum();
        #[expect(clippy::cast_precision_loss, reason = "events are fewer than 2^53")]
        let sum: f64 = numbers.iter().map(|(number, events)| number * *events as f64).sum();
        let percentile = |percent: u32| {
            let wanted = (u128::from(count) * u128::from(percent)).div_ceil(100).max(1);
            let mut seen = 0;
            let found = numbers.iter().find(|(_, events)| {
                seen += u128::from(*events);
                seen >= wanted
            });
            (format!("p{percent}"), found.map_or(max, |(number, _)| *number))
        };
        let percentiles = PERCENTILES.into_iter().map(percentile).collect();
        #[expect(clippy::cast_precision_loss, reason = "events are fewer than 2^53")]
        let mean = sum / count as f64;
        Some(Self { count, min, max, sum, mean, percentiles })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_their_ends_and_percentiles() {
        let of = |values: &[(&str, u64)]| Stats::of(values.iter().map(|(value, events)| ((*value).to_owned(), *events)));
        let codes = of(&[("200", 90), ("404", 6), ("500", 4), ("none", 2)]);
        let numbers = codes.numbers.clone().unwrap();
        assert_eq!((codes.cardinality, codes.count, numbers.count, numbers.min, numbers.max), (4, 102, 100, 200.0, 500.0));
        assert_eq!((numbers.sum, numbers.mean), (22_424.0, 224.24));
        let percentiles: Vec<f64> = numbers.percentiles.values().copied().collect();
        assert_eq!(percentiles, [200.0, 200.0, 200.0, 404.0, 500.0]);
        assert_eq!(of(&[("alice", 3), ("nan", 1), ("inf", 1)]).numbers, None);
        assert_eq!(of(&[]), Stats { cardinality: 0, count: 0, numbers: None });
        assert_eq!(of(&[("7", 1)]).numbers.unwrap().percentiles["p99"], 7.0);
    }
}
