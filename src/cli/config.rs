//! `config`: check, print, schema.

use super::args::{ConfigArgs, ConfigCommand};
use super::{Exit, service};
use crate::config::Config;

/// Runs the command.
pub(super) fn run(args: &ConfigArgs) -> anyhow::Result<Exit> {
    match &args.command {
        ConfigCommand::Check { config } => {
            let config = service::config(config.as_deref())?;
            crate::app::build::install_tls();
            crate::app::build::targets(&config)?;
            let (rules, diagnostics) = crate::app::rules::load(&config.detect)?;
            for diagnostic in &diagnostics {
                println!("{diagnostic}");
            }
            eprintln!(
                "the configuration is right: {} sources, {} notifiers, {} rules",
                config.sources.len(),
                config.notifiers.len(),
                rules.rules.len()
            );
        }
        ConfigCommand::Print { config } => print!("{}", service::config(config.as_deref())?.print()),
        ConfigCommand::Schema => println!("{:#}", Config::schema()),
    }
    Ok(Exit::Done)
}
