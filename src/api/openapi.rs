//! The description of the API, `OpenAPI` 3.1, drawn from the table that mounts and guards the routes.

use axum::Json;
use serde_json::{Map, Value, json};

use super::routes::{Access, ROUTES, Route};

/// The whole description.
pub(super) async fn describe() -> Json<Value> {
    Json(document())
}

/// Built from the table of routes.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        entry[route.method.to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "bartizan", "version": env!("CARGO_PKG_VERSION"), "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    })
}

fn operation(route: &Route) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> =
        in_path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})).collect();
    parameters.extend(route.parameters.iter().map(|(name, doc)| {
        let schema = match *name {
            "limit" => json!({"type": "integer"}),
            "format" => format_schema(),
            _ => json!({"type": "string"}),
        };
        json!({"name": name, "in": "query", "required": false, "description": doc, "schema": schema})
    }));
    let (schema, media) = route.answer;
    let problem = json!({"description": "Why not.", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}});
    let status = if route.method == "POST" && (route.path.ends_with("/comments") || route.path.ends_with("/tokens")) { "201" } else { "200" };
    let id = format!("{}_{}", route.method.to_ascii_lowercase(), route.path.trim_matches('/').replace(['/', '{', '}', '.', '-'], "_"));
    let mut operation = json!({
        "operationId": id.trim_end_matches('_'),
        "summary": route.summary,
        "parameters": parameters,
        "responses": {status: {"description": "Done.", "content": {media: {"schema": {"$ref": format!("#/components/schemas/{schema}")}}}}, "default": problem},
    });
    if let Some(body) = route.body {
        let media = if body == "Push" { "*/*" } else { "application/json" };
        operation["requestBody"] = json!({"required": true, "content": {media: {"schema": {"$ref": format!("#/components/schemas/{body}")}}}});
    }
    if route.access != Access::Open {
        operation["security"] = json!([{"token": []}]);
    }
    operation
}

fn format_schema() -> Value {
    json!({"enum": ["bartizan", "ocsf"], "default": "bartizan"})
}

fn schemas() -> Value {
    let text = json!({"type": "string"});
    let time = json!({"type": "string", "format": "date-time"});
    let texts = json!({"type": "array", "items": {"type": "string"}});
    let status = json!({"enum": ["open", "acknowledged", "closed", "superseded"]});
    let level = json!({"enum": ["informational", "low", "medium", "high", "critical"]});
    json!({
        "Object": {"type": "object"},
        "Text": text,
        "Push": {"description": "Any envelope that is read here, plain, gzip or zstd."},
        "Receipt": {"type": "object", "properties": {"accepted": {"type": "integer"}, "rejected": {"type": "integer"}}},
        "Problem": {"type": "object", "required": ["type", "title", "status", "code", "detail"], "properties": {"type": text, "title": text, "status": {"type": "integer"}, "code": text, "detail": text, "at": {"type": "integer"}}},
        "SearchRequest": {"type": "object", "properties": {"query": text, "from": time, "to": time, "limit": {"type": "integer"}, "cursor": text, "format": format_schema()}},
        "SearchAnswer": {"type": "object", "properties": {
            "events": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
            "total": {"type": "object", "properties": {"value": {"type": "integer"}, "exact": {"type": "boolean"}}},
            "next_cursor": {"type": ["string", "null"]}, "partial": {"type": "boolean"}, "took_ms": {"type": "integer"}, "explain": {"type": "object"}}},
        "Events": {"type": "string", "description": "An event a line, or a row."},
        "Event": {"type": "object", "description": "Normalised fields by their names, `provenance`, and the record as `raw`; with `format=ocsf` an OCSF event."},
        "AggregateRequest": {"type": "object", "required": ["by"], "properties": {"query": text, "from": time, "to": time, "by": {"type": "array", "items": {"type": "object", "properties": {"time": text, "field": text, "size": {"type": "integer"}, "stats": text}}}}},
        "AggregateAnswer": {"type": "object", "properties": {"buckets": {"type": "array", "items": {"type": "object"}}, "stats": {"type": "object"}, "total": {"type": "object"}, "partial": {"type": "boolean"}}},
        "AlertList": {"type": "object", "properties": {"alerts": {"type": "array", "items": {"$ref": "#/components/schemas/Alert"}}, "next_cursor": {"type": ["string", "null"]}}},
        "Alert": {"type": "object", "description": "With `format=ocsf` an OCSF Detection Finding instead.", "properties": {
            "id": text, "title": text, "cluster": text, "status": status, "count": {"type": "integer"}, "first_seen": time, "last_seen": time,
            "rule": {"type": "object", "properties": {"id": text, "title": text, "author": text, "level": level, "tags": texts, "type": text}},
            "group": {"type": "object"}, "entities": texts, "events": texts, "late": {"type": "boolean"}, "steps": {"type": "array", "items": {"type": "object"}},
            "evidence_gaps": texts, "superseded_by": text}},
        "AlertPatch": {"type": "object", "properties": {"status": {"enum": ["open", "acknowledged", "closed"]}, "comment": text}},
        "AlertComment": {"type": "object", "required": ["text"], "properties": {"text": text}},
        "BacktestRequest": {"type": "object", "properties": {"rules": {"type": "string", "description": "Sigma rules as YAML; without any, the rules in force."}, "from": time, "to": time}},
        "Backtest": backtest(),
        "NewToken": {"type": "object", "required": ["name", "scope"], "properties": {"name": text, "scope": {"enum": ["ingest", "admin"]}, "cluster": text, "source": text}},
    })
}

fn backtest() -> Value {
    let (count, text) = (json!({"type": "integer"}), json!({"type": "string"}));
    let row = json!({"type": "object", "properties": {
        "id": text, "title": text, "level": text, "is_known": {"type": "boolean"}, "alerts": count, "new": count, "gone": count, "same": count,
        "listed": {"type": "array", "items": {"type": "object"}}}});
    json!({"type": "object", "properties": {
        "events": count, "first": text, "last": text, "partial": {"type": "boolean"}, "entries_dropped": count,
        "refused": {"type": "array", "items": text}, "rules": {"type": "array", "items": row}}})
}
