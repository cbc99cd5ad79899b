//! The pages of an admin endpoint. Each reads the state, and none changes anything.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{exposition, health, problem::Problem, scale, snapshot::Snapshot, state::AdminState};

/// The pages, for the text of an unknown one.
const PAGES: &str = "/metrics, /live, /ready, /ready/SERVICE and /scale/SERVICE";

/// Returns the routes of the endpoint. A GET route answers HEAD, too.
pub(super) fn router(state: Arc<AdminState>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/live", get(async |State(state)| page(state, health::live).await))
        .route("/ready", get(async |State(state)| page(state, health::ready).await))
        .route(
            "/ready/{service}",
            get(async |State(state), Path(name)| of_service(state, name, health::ready_service).await),
        )
        .route("/scale/{service}", get(scale))
        .fallback(unknown_page)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
}

async fn metrics(State(state): State<Arc<AdminState>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = exposition::Format::accepted(accept);
    match exposition::text(state.snapshot().await, format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => {
            let text = format!("the metrics cannot be written: {error}");
            Problem { status: StatusCode::INTERNAL_SERVER_ERROR, text }.into_response()
        }
    }
}

async fn scale(State(state): State<Arc<AdminState>>, Path(service): Path<String>) -> Response {
    match scale::scale(&*state.snapshot().await, &service) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn page(state: Arc<AdminState>, read: fn(&Snapshot) -> Result<String, Problem>) -> Response {
    respond(read(&*state.snapshot().await))
}

async fn of_service(
    state: Arc<AdminState>,
    service: String,
    read: fn(&Snapshot, &str) -> Result<String, Problem>,
) -> Response {
    respond(read(&*state.snapshot().await, &service))
}

fn respond(page: Result<String, Problem>) -> Response {
    page.map(|text| text + "\n").into_response()
}

async fn unknown_page(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(80).collect();
    Problem { status: StatusCode::NOT_FOUND, text: format!("unknown page {path}; the pages are {PAGES}") }
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(80).collect();
    let method: String = method.as_str().chars().take(20).collect();
    let text = format!("{method} is not allowed for {path}; use GET or HEAD");
    Problem { status: StatusCode::METHOD_NOT_ALLOWED, text }
}
