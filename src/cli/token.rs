//! `token`: create, list, revoke. Works beside a running service.

use super::args::{Format, TokenArgs, TokenCommand, TokenScope};
use super::output::printable;
use super::{Exit, Failure, service};
use crate::clock::Clock;
use crate::model::SourceId;
use crate::store::catalog::Catalog;
use crate::store::outbox::Routes;
use crate::store::tokens::{NewToken, Scope};

/// Runs the command.
pub(super) fn run(args: &TokenArgs) -> anyhow::Result<Exit> {
    let config = service::config(args.config.as_deref())?;
    let path = config.store.path.clone();
    std::fs::create_dir_all(&path)?;
    service::block_on(async move {
        let catalog = Catalog::open(&path, Clock::System, Routes::none()).await?;
        let exit = command(&args.command, &catalog).await;
        catalog.close().await;
        exit
    })
}

async fn command(command: &TokenCommand, catalog: &Catalog) -> anyhow::Result<Exit> {
    match command {
        TokenCommand::Create { name, scope, cluster, source, kinds } => {
            let scope = if *scope == TokenScope::Admin { Scope::Admin } else { Scope::Ingest };
            let cluster = cluster.as_deref().map(str::parse).transpose().map_err(Failure::usage)?;
            let new =
                NewToken { name: name.clone(), scope, cluster, source: source.as_deref().map(SourceId::from), kinds: kinds.clone(), expires: None };
            let (token, plaintext) = catalog.tokens().create(new).await.map_err(|error| Failure::usage(error.to_string()))?;
            eprintln!("token {} ({}) made; it is shown this once:", token.id, token.scope.name());
            println!("{}", plaintext.reveal());
        }
        TokenCommand::List { output } => {
            for token in catalog.tokens().list() {
                match output {
                    Format::Table => println!("{:<12} {:<8} {}", token.id, token.scope.name(), printable(&token.name)),
                    Format::Ndjson | Format::Json => println!("{}", serde_json::to_string(&token)?),
                }
            }
        }
        TokenCommand::Revoke { id } => {
            if !catalog.tokens().revoke(id).await? {
                return Err(Failure::usage(format!("there is no token `{id}`: `bartizan token list` shows them")).into());
            }
            eprintln!("token {id} revoked");
        }
    }
    Ok(Exit::Done)
}
