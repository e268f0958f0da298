//! Random rotation, held against a model: every line that stood long enough comes once, and in the order of its file.

use proptest::prelude::*;

use super::Start;
use super::tests::Bench;

/// Runs of the ordinary test; 2,000 take a minute or two.
const CASES: u32 = 32;

#[derive(Debug, Clone)]
enum Step {
    /// So many lines.
    Append(u8),
    /// A line, in two writes with a look between them.
    Torn,
    /// `x.log` becomes a name of its own that is still in sight.
    Rename,
    /// As `Rename`, and compressed.
    Archive,
    /// Copied out of sight and cut, after a look.
    CopyTruncate,
    /// Deleted after a look, with lines that came since.
    Delete,
    Look,
    Wait,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u8..6).prop_map(Step::Append),
        1 => Just(Step::Torn),
        2 => Just(Step::Rename),
        1 => Just(Step::Archive),
        2 => Just(Step::CopyTruncate),
        1 => Just(Step::Delete),
        4 => Just(Step::Look),
        2 => Just(Step::Wait),
        2 => Just(Step::Restart),
    ]
}

/// A writer, and the lines that must come of each file.
struct Writer {
    bench: Bench,
    next: u32,
    file: u32,
    files: u32,
    expected: Vec<String>,
}

impl Writer {
    fn line(&mut self) -> String {
        self.next += 1;
        let line = format!("f{:04}-{:06}", self.file, self.next);
        self.expected.push(line.clone());
        line
    }

    fn append(&mut self, count: u8) {
        let lines: Vec<String> = (0..count).map(|_| self.line()).collect();
        self.bench.run(&format!("append x.log {}", lines.join(" ")));
    }

    /// What is written next belongs to another file.
    fn turn(&mut self) {
        self.files += 1;
        self.file = self.files;
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Append(count) => self.append(*count),
            Step::Torn => {
                let line = self.line();
                let (first, last) = line.split_at(5);
                self.bench.run(&format!("raw x.log {first}"));
                self.bench.read();
                self.bench.run(&format!("raw x.log {last}\\n"));
            }
            Step::Rename => {
                self.append(1);
                self.bench.run(&format!("mv x.log x.log.{}", self.file));
                self.turn();
            }
            Step::Archive => {
                self.append(1);
                // Read before it is compressed, and told by its fingerprint; or not read, and then it is all in the archive.
                self.bench.read();
                self.bench.run(&format!("mv x.log x.log.{}", self.file));
                self.bench.run(&format!("gzip x.log.{}", self.file));
                self.bench.read();
                self.bench.wait(6);
                self.bench.read();
                self.turn();
            }
            Step::CopyTruncate => {
                self.append(1);
                self.bench.read();
                self.bench.run("cut x.log");
                self.turn();
            }
            Step::Delete => {
                self.append(1);
                self.bench.read();
                self.append(1);
                self.bench.run("rm x.log");
                self.bench.read();
                self.turn();
            }
            Step::Look => self.bench.read(),
            Step::Wait => {
                self.bench.wait(3);
                self.bench.read();
            }
            Step::Restart => {
                // A file that is out of sight can not be gone on with; an archive that waits is read again, which ids make harmless.
                self.bench.wait(40);
                self.bench.read();
                self.bench.read();
                self.bench.restart();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]
    #[test]
    fn every_line_comes_once_and_in_order(steps in prop::collection::vec(step(), 1..60)) {
        let mut writer = Writer { bench: Bench::new(&["x.log*"], Start::Beginning), next: 0, file: 0, files: 0, expected: Vec::new() };
        steps.iter().for_each(|step| writer.run(step));
        for _ in 0..3 {
            writer.bench.wait(40);
            writer.bench.read();
        }
        let bench = &writer.bench;
        let mut came = bench.lines.clone();
        // Names are given in the order of writing, so sorting by file alone must give the order of writing.
        came.sort_by(|one, other| one.get(..5).cmp(&other.get(..5)));
        prop_assert_eq!(&came, &writer.expected);
        prop_assert_eq!(&bench.notices, &Vec::<&str>::new());
        // Of files that are gone nothing is kept.
        let archives = steps.iter().filter(|step| matches!(step, Step::Archive | Step::Rename)).count();
        prop_assert!(bench.checkpoint.0.len() <= archives + 2, "{:?}", bench.checkpoint);
    }
}
