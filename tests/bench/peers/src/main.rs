//! The engine beside its nearest peer, rsigma, on the same bytes and rules, in one run: events per CPU second, medians of rounds in which every
//! contender has its turn, and ratios within each round.
//!
//! `cargo run --release --manifest-path tests/bench/peers/Cargo.toml -- RULES.yml... CORPUS.ndjson [--alone] [EVENTS]` with each
//! file of rules; `--alone` leaves the peer out; `--adverse` shows how slow rules and events can make the engine instead. `--correlations [ROUNDS [NAME]]` runs the workloads of correlations. `--differences FOLDER [EVENTS-A-RULE]` compares
//! match sets over events made from each rule (with `features` for the folder: of rules for each feature), `--differences-of CORPUS RULES [EVENTS]` over a corpus;
//! what nothing explains makes the exit code 1.

mod adverse;
mod correlating;
mod differing;
mod explained;
mod features;
mod making;
mod matching;
mod reading;
mod straying;
mod values;

use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// CPU seconds of this thread so far: neighbours do not count.
fn cpu_s() -> f64 {
    cpu_time::ThreadTime::now().as_duration().as_secs_f64()
}

/// Rounds of a race; each contender's rate is the median of its rounds.
const ROUNDS: usize = 5;

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or_default()
}

/// A contender: its name, how many of the events it is given a turn with, and one pass over so many.
struct Contender<'c> {
    name: String,
    events: usize,
    pass: Box<dyn FnMut(usize) -> usize + 'c>,
}

/// Events per CPU second, by contender and round.
fn race(contenders: &mut [Contender<'_>]) -> Vec<Vec<f64>> {
    let mut rates = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        for (contender, rates) in contenders.iter_mut().zip(&mut rates) {
            let (start, mut done) = (cpu_s(), 0);
            let spent = loop {
                black_box((contender.pass)(contender.events));
                done += contender.events;
                let spent = cpu_s() - start;
                if spent > 0.25 {
                    break spent;
                }
            };
            rates.push(done as f64 / spent);
        }
    }
    rates
}

/// Rates, and the shares of the first and the last contender within each round.
fn show(contenders: &[Contender<'_>], rates: &[Vec<f64>]) {
    let ratio = |of: &[f64], to: &[f64]| median(of.iter().zip(to).map(|(of, to)| of / to).collect());
    let last = &rates[rates.len() - 1];
    for (contender, of) in contenders.iter().zip(rates) {
        println!(
            "  {:<44} {:>10.0} events/s {:>7.1} % of the first {:>9.1} x the last",
            contender.name,
            median(of.clone()),
            100.0 * ratio(of, &rates[0]),
            ratio(of, last)
        );
    }
}

fn main() {
    let (flags, arguments): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let is_alone = flags.iter().any(|flag| flag == "--alone");
    let (rules, rest): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|argument| argument.ends_with(".yml"));
    if flags.iter().any(|flag| flag == "--correlations") {
        let rounds = arguments.first().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
        return correlating::run(is_alone, rounds, arguments.get(1).map_or("", String::as_str));
    }
    let number = |at: usize, default: usize| arguments.get(at).and_then(|number| number.parse().ok()).unwrap_or(default);
    let unexplained = match (flags.iter().find(|flag| flag.starts_with("--differences")).map(String::as_str), arguments.as_slice()) {
        (Some("--differences"), [folder, ..]) => Some(differing::run(folder, number(1, 3))),
        (Some("--differences-of"), [corpus, rules, ..]) => Some(differing::run_of(corpus, rules, number(2, 2_000))),
        (Some(_), _) => {
            eprintln!("usage: bartizan-peers --differences FOLDER [EVENTS-A-RULE] | --differences-of CORPUS RULES [EVENTS]");
            std::process::exit(2);
        }
        (None, _) => None,
    };
    if let Some(unexplained) = unexplained {
        std::process::exit(i32::from(unexplained > 0));
    }
    let Some(corpus) = rest.first() else {
        eprintln!("usage: bartizan-peers [--alone] RULES.yml... CORPUS.ndjson [EVENTS]");
        return;
    };
    let events = rest.get(1).and_then(|events| events.parse().ok()).unwrap_or(20_000);
    let text = std::fs::read_to_string(corpus).expect("the corpus is a text file");
    let lines: Vec<&str> = text.lines().take(events).collect();
    for rules in rules {
        if flags.iter().any(|flag| flag == "--adverse") {
            adverse::run(rules, &lines);
            continue;
        }
        matching::run(rules, &lines, is_alone);
    }
}
