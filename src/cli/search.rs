//! `search`: over the store on disk, beside a running service or without one, or over a server.

use super::args::{Format, Schema, SearchArgs};
use super::output::{self, Screen, printable};
use super::{Exit, Failure, service};
use crate::app::Restorer;
use crate::model::{Event, Field, Timestamp};
use crate::query;
use crate::store::{EventLog, SearchRequest};

/// Runs the command.
pub(super) fn run(args: &SearchArgs, screen: &Screen) -> anyhow::Result<Exit> {
    args.format.check(args.output)?;
    match &args.url {
        Some(url) => remote(args, url),
        None => local(args, screen),
    }
}

pub(super) fn time(text: Option<&str>) -> anyhow::Result<Option<Timestamp>> {
    text.map(|text| text.parse().map_err(|why: String| Failure::usage(why).into())).transpose()
}

fn request(args: &SearchArgs) -> anyhow::Result<SearchRequest> {
    let query = query::parse(&args.query).map_err(|error| Failure::usage(format!("the query: {error}")))?;
    let mut request = SearchRequest::new(query);
    (request.from, request.to) = (time(args.from.as_deref())?, time(args.to.as_deref())?);
    request.limit = args.limit.min(crate::store::search::LIMIT_MAX);
    Ok(request)
}

fn local(args: &SearchArgs, screen: &Screen) -> anyhow::Result<Exit> {
    let config = service::config(args.config.as_deref())?;
    let mut request = request(args)?;
    let searcher = EventLog::open_read_only(&config.store.path, std::sync::Arc::new(Restorer)).map_err(|error| Failure {
        exit: Exit::Unreadable,
        message: format!("cannot open the store in `{}`: {error}", config.store.path.display()),
    })?;
    if args.count {
        println!("{}", searcher.count(&request)?.value);
        return Ok(Exit::Done);
    }
    let mut left = args.limit;
    let mut events: Vec<Event> = Vec::new();
    loop {
        request.limit = left.min(crate::store::search::LIMIT_MAX);
        let page = searcher.search(&request)?;
        left = left.saturating_sub(page.events.len());
        events.extend(page.events.into_iter().map(|hit| hit.event));
        match page.next_cursor {
            Some(cursor) if left > 0 => request.cursor = Some(cursor),
            _ => break,
        }
    }
    print(&events, args, screen)
}

fn print(events: &[Event], args: &SearchArgs, _screen: &Screen) -> anyhow::Result<Exit> {
    if args.output == Format::Table {
        for event in events {
            let who = event.fact(Field::ActorUserName).or(event.fact(Field::PolicyRule)).or(event.fact(Field::SrcPod)).unwrap_or("-");
            let what = [Field::K8sVerb, Field::K8sResource, Field::K8sSubresource, Field::NetVerdict, Field::DstIp]
                .iter()
                .filter_map(|field| event.fact(*field))
                .collect::<Vec<_>>()
                .join(" ");
            let place = [Field::K8sNamespace, Field::K8sName].iter().filter_map(|field| event.fact(*field)).collect::<Vec<_>>().join("/");
            println!(
                "{}",
                printable(&format!(
                    "{:<30} {:<10} {:<8} {who}  {what}  {place}",
                    event.time.to_string(),
                    event.kind.name(),
                    event.fact(Field::EventOutcome).unwrap_or("-")
                ))
            );
        }
        return Ok(Exit::Done);
    }
    let lines = events.iter().map(|event| {
        let mut line = String::new();
        args.format.write_event(event, &mut line);
        line
    });
    output::json(lines, args.output == Format::Json)?;
    Ok(Exit::Done)
}

/// Asks a server; its answer's events are printed as they come.
fn remote(args: &SearchArgs, url: &str) -> anyhow::Result<Exit> {
    let mut body = serde_json::json!({"query": args.query, "from": args.from, "to": args.to, "limit": if args.count { 0 } else { args.limit }});
    if args.format == Schema::Ocsf {
        body["format"] = "ocsf".into();
    }
    let url = format!("{}/api/v1/events/search", url.trim_end_matches('/'));
    let token = args.token.clone();
    let answer: serde_json::Value = service::block_on(async move {
        let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(30)).build()?;
        let mut call = client.post(&url).json(&body);
        if let Some(token) = token {
            call = call.bearer_auth(token);
        }
        let answer = call.send().await.map_err(|error| Failure::unreadable(format!("cannot reach `{url}`: {error}")))?;
        let status = answer.status();
        let answer: serde_json::Value = answer.json().await?;
        if !status.is_success() {
            let detail = answer.get("detail").and_then(serde_json::Value::as_str).unwrap_or("no reason given");
            return Err(Failure::usage(format!("the server answered {status}: {detail}")).into());
        }
        Ok(answer)
    })?;
    if args.count {
        println!("{}", answer.pointer("/total/value").and_then(serde_json::Value::as_u64).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let events = answer.get("events").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
    output::json(events.iter().map(ToString::to_string), args.output == Format::Json)?;
    Ok(Exit::Done)
}
