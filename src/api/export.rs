//! Every event that matches, as one stream: lines of JSON, OCSF or CSV.
//!
//! It goes on page by page, newest first; a page takes its turn among the searches, and no more than two are held at once. What can not be
//! finished breaks the stream off, so that half of it is never taken for all: an answer that ends as HTTP has it is whole.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use serde::Deserialize;

use super::auth::Caller;
use super::events::off_runtime;
use super::format::Format;
use super::{Api, Problem};
use crate::model::{Event, FieldRef, Timestamp, ValueKind};
use crate::query;
use crate::store::search::LIMIT_MAX;
use crate::store::{SearchAnswer, SearchRequest};

/// Columns of CSV, unless asked otherwise.
const COLUMNS: &str = "event.time,event.kind,cluster,actor.user.name,src.ip,src.pod,event.action,event.outcome,k8s.verb,k8s.resource,k8s.namespace,\
    k8s.name,k8s.pod,process.name,process.command_line,dst.ip,dst.port,event.id";

/// Columns of CSV at most.
const COLUMNS_MAX: usize = 100;

/// Between two attempts to get a turn.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Attempts to get a turn for one page, before the stream is broken off.
const ATTEMPTS_MAX: u32 = 150;

/// What an export asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    query: String,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    #[serde(default)]
    format: Lines,
    /// Columns of CSV, with commas.
    fields: Option<String>,
    /// Events at most.
    limit: Option<u64>,
}

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Lines {
    /// As searches give it, one a line.
    #[default]
    Ndjson,
    /// As an OCSF event, one a line.
    Ocsf,
    /// One a row, after a row of names.
    Csv,
}

/// A way of writing, with what it needs.
enum Writer {
    Json(Format),
    Csv(Vec<FieldRef>),
}

impl Writer {
    fn of(asked: &Asked) -> Result<Self, Problem> {
        let columns = match (asked.format, &asked.fields) {
            (Lines::Csv, fields) => fields.as_deref().unwrap_or(COLUMNS),
            (_, Some(_)) => return Err(Problem::bad_request("bad_parameter", "`fields` names the columns of `format=csv`")),
            (Lines::Ndjson, None) => return Ok(Self::Json(Format::Bartizan)),
            (Lines::Ocsf, None) => return Ok(Self::Json(Format::Ocsf)),
        };
        let columns: Vec<FieldRef> = columns
            .split(',')
            .map(|name| FieldRef::parse(name.trim()).map_err(|why| Problem::bad_request("bad_field", why)))
            .collect::<Result<_, _>>()?;
        if columns.len() > COLUMNS_MAX {
            return Err(Problem::bad_request("bad_field", format!("a row has at most {COLUMNS_MAX} columns")));
        }
        Ok(Self::Csv(columns))
    }

    /// Media type, and the end of the file's name.
    fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Self::Json(_) => ("application/x-ndjson", "ndjson"),
            Self::Csv(_) => ("text/csv; charset=utf-8; header=present", "csv"),
        }
    }

    fn head(&self, to: &mut String) {
        if let Self::Csv(columns) = self {
            write_row(columns.iter().map(|column| column.name().to_owned()), to);
        }
    }

    fn event(&self, event: &Event, to: &mut String) {
        match self {
            Self::Json(format) => {
                format.write_event(event, to);
                to.push('\n');
            }
            Self::Csv(columns) => write_row(columns.iter().map(|column| cell(event, column)), to),
        }
    }
}

/// All values of a field, with a space between.
fn cell(event: &Event, column: &FieldRef) -> String {
    let mut text = String::new();
    event.each(column, |value| {
        if value.kind != ValueKind::Null {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(text, "{space}{}", value.text);
        }
    });
    text
}

/// A row by RFC 4180. What a spreadsheet would take for a formula is told to be text by an apostrophe: attackers write user agents and names.
fn write_row(cells: impl Iterator<Item = String>, to: &mut String) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            to.push(',');
        }
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
        let apostrophe = if is_formula { "'" } else { "" };
        if is_formula || cell.contains([',', '"', '\n', '\r']) {
            let _ = write!(to, "\"{apostrophe}{}\"", cell.replace('"', "\"\""));
        } else {
            to.push_str(&cell);
        }
    }
    to.push_str("\r\n");
}

/// An export under way.
struct Export {
    api: Api,
    caller: Caller,
    request: SearchRequest,
    writer: Writer,
    /// Events that may still be written.
    left: u64,
}

impl Export {
    /// The next page.
    async fn page(&mut self) -> Result<SearchAnswer, Problem> {
        self.request.limit = usize::try_from(self.left).unwrap_or(LIMIT_MAX).min(LIMIT_MAX);
        let request = self.request.clone();
        let page = off_runtime(&self.api, &self.caller, move |searcher, budget| searcher.search(&SearchRequest { budget, ..request })).await?;
        if page.partial {
            let why = "a page of it took longer than a search may: narrow `query`, `from` and `to`";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_slow", why));
        }
        Ok(page)
    }

    /// As [`Export::page`], when others are in line too.
    async fn page_in_turn(&mut self) -> io::Result<SearchAnswer> {
        for _ in 0..ATTEMPTS_MAX {
            match self.page().await {
                Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => tokio::time::sleep(AGAIN_AFTER).await,
                Err(problem) => return Err(io::Error::other(problem.detail)),
                Ok(page) => return Ok(page),
            }
        }
        Err(io::Error::other("too much at one time"))
    }

    /// The text of a page. Whether there are more is told by the request's cursor.
    fn write(&mut self, page: &SearchAnswer, to: &mut String) {
        for hit in &page.events {
            self.writer.event(&hit.event, to);
        }
        self.left = self.left.saturating_sub(page.events.len() as u64);
        self.request.cursor = page.next_cursor.clone().filter(|_| self.left > 0);
    }
}

/// Streams what matches.
pub(super) async fn export(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = asked?.0;
    let writer = Writer::of(&asked)?;
    let text = if asked.query.trim().is_empty() { "*" } else { asked.query.as_str() };
    let request = SearchRequest { from: asked.from, to: asked.to, is_counted: false, ..SearchRequest::new(query::parse(text)?) };
    let (media_type, end) = writer.kind();
    let mut export = Export { api, caller, request, writer, left: asked.limit.unwrap_or(u64::MAX) };
    let mut first = String::new();
    export.writer.head(&mut first);
    // What is wrong with the request is a problem, not a stream that breaks off.
    let page = export.page().await?;
    export.write(&page, &mut first);
    let first_bytes = Bytes::from(first);
    let pages = stream::try_unfold((Some(first_bytes), export), |(ready, mut export)| async move {
        if let Some(ready) = ready {
            return Ok::<_, io::Error>(Some((ready, (None, export))));
        }
        if export.request.cursor.is_none() {
            return Ok(None);
        }
        let page = export.page_in_turn().await?;
        let mut text = String::new();
        export.write(&page, &mut text);
        Ok(Some((Bytes::from(text), (None, export))))
    });
    let mut answer = Response::new(Body::from_stream(pages));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"events.{end}\"")) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of these cells, as it is written.
    fn check(cells: &[&str], expected: &str) {
        let mut text = String::new();
        write_row(cells.iter().map(|cell| (*cell).to_owned()), &mut text);
        assert_eq!(text, format!("{expected}\r\n"));
    }

    #[test]
    fn rows_are_quoted_and_no_formulas() {
        check(&["a", "", "b c"], "a,,b c");
        check(&["a,b", "say \"x\"", "two\nlines"], "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"");
        check(&["=1+1", "+cmd|' /C calc'!A0", "@x", "-x"], "\"'=1+1\",\"'+cmd|' /C calc'!A0\",\"'@x\",\"'-x\"");
        check(&["-1", "+7.5", "-"], "-1,+7.5,\"'-\"");
        check(&["\t=1", "\r=1"], "\"'\t=1\",\"'\r=1\"");
    }

    #[test]
    fn the_usual_columns_are_fields() {
        let asked = |format, fields: Option<&str>| Asked {
            query: String::new(),
            from: None,
            to: None,
            format,
            fields: fields.map(str::to_owned),
            limit: None,
        };
        let Ok(Writer::Csv(columns)) = Writer::of(&asked(Lines::Csv, None)) else { panic!("columns") };
        assert_eq!(columns.len(), 18);
        assert_eq!(Writer::of(&asked(Lines::Csv, Some("k8s.podd"))).err().unwrap().code, "bad_field");
        assert_eq!(Writer::of(&asked(Lines::Csv, Some("requestObject.spec.hostPID, k8s.verb"))).map(|writer| writer.kind().1).ok(), Some("csv"));
        assert_eq!(Writer::of(&asked(Lines::Csv, Some(&vec!["a"; 101].join(",")))).err().unwrap().code, "bad_field");
        assert_eq!(Writer::of(&asked(Lines::Ocsf, Some("k8s.verb"))).err().unwrap().code, "bad_parameter");
    }
}
