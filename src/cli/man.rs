//! Completions and manual pages, from the command line's own definition.

use std::io;
use std::path::Path;

use anyhow::Context;

use super::{Exit, command};

/// Completions for a shell, to standard output.
pub(super) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), "bartizan", &mut text);
    io::Write::write_all(&mut io::stdout(), &text)?;
    Ok(Exit::Done)
}

/// The page of the program, or the pages of all its commands into a folder.
pub(super) fn pages(to: Option<&Path>) -> anyhow::Result<Exit> {
    match to {
        None => {
            let mut text = Vec::new();
            clap_mangen::Man::new(command()).render(&mut text)?;
            io::Write::write_all(&mut io::stdout(), &text)?;
        }
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create folder `{}`", folder.display()))?;
            clap_mangen::generate_to(command(), folder).with_context(|| format!("cannot write pages to `{}`", folder.display()))?;
        }
    }
    Ok(Exit::Done)
}
