//! Power cuts: what a disk would hold had the plug been pulled, by the copy of a file system's image while the program stands still.
//!
//! The data lies on ext4 in a file, mounted so that it writes nothing back by itself. What the program has not made the kernel write
//! is not in the copy. Needs root and loop devices; without them the tests say so and pass.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;

use super::events::{Kind, draw};
use super::feeds::push;
use super::present::total;
use super::run::{Run, count, runtime};

/// Cuts in the ordinary run; `BARTIZAN_CUTS=200` is the full one.
const CUTS: u64 = 3;
/// Cuts after which a fresh disk is taken, since every cut copies it.
const CUTS_OF_A_DISK: u64 = 25;
const DISK_BYTES: u64 = 2 << 30;
/// A disk to which nothing was written for so long is at rest.
const QUIET: Duration = Duration::from_millis(20);
/// Copies that are tried.
const COPIES_MAX: usize = 200;

/// Runs a command; what it says if it fails.
fn run_command(words: &[&str]) -> Result<(), String> {
    let output = Command::new(words[0]).args(&words[1..]).output().map_err(|error| format!("{}: {error}", words[0]))?;
    if output.status.success() { Ok(()) } else { Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr))) }
}

/// A file with a file system, mounted. Unmounted when dropped.
pub(crate) struct Disk {
    image: PathBuf,
    pub(crate) at: PathBuf,
}

impl Disk {
    /// A new one of this size in a folder.
    pub(crate) fn make(dir: &Path, name: &str, bytes: u64) -> Result<Self, String> {
        let image = dir.join(format!("{name}.img"));
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(bytes).map_err(|error| error.to_string())?;
        run_command(&["mkfs.ext4", "-q", "-F", "-m", "0", &image.display().to_string()])?;
        Self::mount(image, dir.join(name))
    }

    fn mount(image: PathBuf, at: PathBuf) -> Result<Self, String> {
        std::fs::create_dir_all(&at).map_err(|error| error.to_string())?;
        run_command(&["mount", "-o", "loop,commit=300", &image.display().to_string(), &at.display().to_string()])?;
        Ok(Self { image, at })
    }

    /// What the disk holds now, as another one. A copy takes its time: it counts only if nothing was written meanwhile, since the order of
    /// writes, which a file system rests on, is not that of a copy. What is under way when the program stops comes to its end before.
    fn cut(&self, name: &str) -> Result<Self, String> {
        let dir = self.image.parent().unwrap();
        let image = dir.join(format!("{name}.img"));
        for _ in 0..COPIES_MAX {
            let before = self.writes()?;
            std::thread::sleep(QUIET);
            if self.writes()? != before {
                continue;
            }
            run_command(&["cp", "--sparse=always", &self.image.display().to_string(), &image.display().to_string()])?;
            if self.writes()? == before {
                return Self::mount(image, dir.join(name));
            }
        }
        Err("the disk does not come to rest".to_owned())
    }

    /// What was ever written to the device, and what is under way: counts that only have to be the same.
    fn writes(&self) -> Result<(String, String), String> {
        let mounts = std::fs::read_to_string("/proc/mounts").map_err(|error| error.to_string())?;
        let at = self.at.display().to_string();
        let device = mounts.lines().find_map(|line| line.split_once(' ').filter(|(_, rest)| rest.starts_with(&format!("{at} "))));
        let device = device.and_then(|(device, _)| device.strip_prefix("/dev/")).ok_or_else(|| format!("{at} is not mounted"))?;
        let stat = std::fs::read_to_string(format!("/sys/block/{device}/stat")).map_err(|error| error.to_string())?;
        let field = |n: usize| stat.split_whitespace().nth(n).unwrap_or_default().to_owned();
        Ok((format!("{} {}", field(4), field(6)), field(8)))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process that was killed just now may still hold it.
        for _ in 0..50 {
            match run_command(&["umount", &self.at.display().to_string()]) {
                Ok(()) => break,
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        let _ = std::fs::remove_file(&self.image);
    }
}

#[test]
fn after_a_power_cut_all_that_was_confirmed_is_there() {
    let cuts = count("BARTIZAN_CUTS", CUTS);
    let (mut done, since) = (0, Instant::now());
    let (mut totals, mut still_max) = ((0, 0, 0), Duration::ZERO);
    while done < cuts {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = match Disk::make(dir.path(), "disk-0", DISK_BYTES) {
            Ok(disk) => disk,
            Err(why) => return eprintln!("skipped: needs root and loop devices: {why}"),
        };
        let of_disk = CUTS_OF_A_DISK.min(cuts - done);
        runtime().block_on(async {
            let mut run = Run::new(dir.path(), &disk.at.join("data")).await;
            run.send_all();
            for turn in 1..=of_disk {
                let process = run.up().unwrap();
                let enough = run.acked() + 1 + draw(run.oracle.seed, done + turn, 15) % 2_000;
                while run.acked() < enough {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                run.oracle.diary.done(format!("stop {turn}"));
                still_max = still_max.max(process.stand_still());
                run.oracle.diary.done(format!("cut {turn}"));
                let copy = disk.cut(&format!("disk-{turn}")).unwrap();
                run.oracle.diary.done(format!("copy {turn}"));
                run.down();
                process.kill();
                run.oracle.diary.done(format!("kill {turn}"));
                run.plan.data = copy.at.join("data");
                disk = copy;
            }
            run.oracle.end();
            let process = run.up().unwrap();
            let verdict = run.prove(&process, "cuts").await;
            totals = (totals.0 + verdict.acked, totals.1 + verdict.survived, totals.2 + verdict.vanished);
            process.kill();
        });
        done += of_disk;
    }
    let (took_s, (acked, survived, vanished)) = (since.elapsed().as_secs(), totals);
    let still_ms = still_max.as_millis();
    eprintln!(
        "cuts: {done} in {took_s} s; acked {acked}, lost 0; in doubt: survived {survived}, vanished {vanished}; stood still after {still_ms} ms at most"
    );
}

/// What a search has found is in the store, and durable there: without the spool it is found too.
#[test]
fn what_was_found_before_a_power_cut_is_in_the_store_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk = match Disk::make(dir.path(), "disk", DISK_BYTES) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("skipped: needs root and loop devices: {why}"),
    };
    runtime().block_on(async {
        let mut run = Run::new(dir.path(), &disk.at.join("data")).await;
        let process = run.up().unwrap();
        let batch = run.oracle.issue(Kind::Audit, 300);
        push(&run.client, &process.url, "k8s-audit", batch.lines(run.oracle.seed).join("\n"), 300).await.unwrap();
        // Nothing comes after it: it is the commit before a pause that a directory which was not synced loses.
        while total(&run.client, &process.url, "*").await.unwrap() < 300 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        process.stand_still();
        let copy = disk.cut("copy").unwrap();
        process.kill();
        run.plan.data = copy.at.join("data");
        std::fs::remove_dir_all(run.plan.data.join("spool")).unwrap();
        let process = run.up().unwrap();
        assert_eq!(total(&run.client, &process.url, "*").await.unwrap(), 300, "the commit before the cut is not there");
        process.kill();
    });
}
