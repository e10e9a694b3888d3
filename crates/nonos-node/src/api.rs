//! API: HTTP on the node's own host, for the command and whoever else its operator lets in.
//!
//! A token, which rests in a file that only the operator reads, opens everything but `/health` and `/openapi.json`.
//! Bodies are bounded; every error is a JSON object that says what is wrong and has a code. Long work reports by
//! server-sent events. Spec: `docs/spec/65-node.md`, section "API"; `/openapi.json` has all of it.

#![expect(unused_qualifications, reason = "the macro that describes a request writes its type out")]

use crate::{
    NodeError, NodeHandle, RequestError,
    bundle::BUNDLE_BYTES_MAX,
    view::{
        EvidenceRow, FetchView, FoundRow, HolderRow, HoldingRow, ImportView, KeyRow, PeerRow, PolicyRow, SeededView,
        SeederView, StatusView,
    },
};
use axum::{
    Json, Router,
    body::{Body, BodyDataStream},
    extract::{Path as UrlPath, Query as UrlQuery, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{delete, get, post, put},
};
use futures::{Stream, StreamExt as _};
use nonos_capsule::CAPSULE_BYTES_MAX;
use nonos_mesh_proto::{beacon::Query, gossip::RECEIPT_BYTES_MAX, transfer::CONTENT_BYTES_MAX, trust::Policy};
use nonos_types::{Amount, CapsuleId, Hash32, KeyId};
use serde::{Deserialize, Serialize};
use std::{
    convert::Infallible,
    fs::File,
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    sync::Arc,
};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio_stream::wrappers::WatchStream;
use utoipa::{IntoParams, OpenApi, ToSchema};

/// The file in the node's folder that says where the API is and what opens it.
pub const API_FILE: &str = "api.json";
/// How long a search waits for peers unless told otherwise.
pub const FIND_WAIT_MS: u64 = 2_000;
/// Longest that a search waits.
pub const FIND_WAIT_MS_MAX: u64 = 60_000;
/// After how long without a new byte a download fails unless told otherwise.
pub const GIVE_UP_MS: u64 = 60_000;
/// How much of a body that is not taken is read all the same.
const UNHEEDED_BYTES_MAX: u64 = 64 << 20;
/// How much of a file is sent at once.
const SEND_BYTES: usize = 1 << 20;

/// Where the API is, and what opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiFile {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// The token.
    pub token: String,
    /// The node's process.
    pub pid: u32,
}

#[derive(Clone)]
struct Api {
    node: NodeHandle,
    token: Arc<str>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiError {
    /// In words.
    pub error: String,
    /// `usage`, `unauthorized`, `not-found`, `too-large`, `refused`, `disk`, or `ended`.
    pub code: String,
}

struct Failure(StatusCode, ApiError);

impl Failure {
    fn new(status: StatusCode, code: &str, error: impl Into<String>) -> Self {
        Self(status, ApiError { error: error.into(), code: code.to_owned() })
    }

    fn usage(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "usage", error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let (status, code) = match &error {
            RequestError::NotHeld(_) | RequestError::Unknown(_) => (StatusCode::NOT_FOUND, "not-found"),
            RequestError::QueryText(_) => (StatusCode::BAD_REQUEST, "usage"),
            RequestError::TooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            RequestError::Disk(_) | RequestError::Store(_) => (StatusCode::INSUFFICIENT_STORAGE, "disk"),
            RequestError::Ended => (StatusCode::SERVICE_UNAVAILABLE, "ended"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// Everything that the API can be asked.
#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "NONOS node", description = "A peer of the mesh, for whoever runs it."),
    paths(
        health,
        status,
        peers,
        keys,
        find,
        holdings,
        hold,
        release,
        fetch,
        stop_fetch,
        content,
        policies,
        set_policy,
        remove_policy,
        evidence,
        evidence_file,
        publish,
        export,
        import,
        metrics,
        shutdown
    ),
    components(schemas(
        ApiError,
        StatusView,
        PeerRow,
        KeyRow,
        FoundRow,
        HolderRow,
        HoldingRow,
        SeededView,
        FetchView,
        SeederView,
        PolicyRow,
        PolicyBody,
        EvidenceRow,
        PublishedView,
        ImportView
    ))
)]
pub struct ApiDoc;

/// Serves the API until the node ends. Writes the file that says where it is, and takes it away at the end.
///
/// # Errors
/// [`NodeError`].
pub async fn serve(
    node: NodeHandle,
    address: SocketAddr,
    folder: &Path,
    ended: impl Future<Output = ()> + Send + 'static,
) -> Result<(), NodeError> {
    let failed = |source| NodeError::Api { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let mut token = [0; 32];
    getrandom::fill(&mut token).map_err(|_| NodeError::Randomness)?;
    let token = hex::encode(token);
    let path = folder.join(API_FILE);
    let api = ApiFile { url: format!("http://{bound}"), token: token.clone(), pid: std::process::id() };
    write_private(folder, &path, &api).map_err(|source| NodeError::Folder { path: path.clone(), source })?;
    tracing::info!(url = %api.url, "the API listens");
    let router = router(node, token.into());
    let served = axum::serve(listener, router).with_graceful_shutdown(ended).await;
    // The next start writes it anew.
    let _ = std::fs::remove_file(&path);
    served.map_err(failed)
}

fn write_private(folder: &Path, path: &Path, api: &ApiFile) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".api-").tempfile_in(folder)?;
    file.write_all(&serde_json::to_vec(api)?)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn router(node: NodeHandle, token: Arc<str>) -> Router {
    let api = Api { node, token };
    let closed = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/peers", get(peers))
        .route("/v1/keys", get(keys))
        .route("/v1/find", get(find))
        .route("/v1/holdings", get(holdings).post(hold))
        .route("/v1/holdings/{id}", delete(release))
        .route("/v1/fetches/{id}", post(fetch).delete(stop_fetch))
        .route("/v1/content/{id}", get(content))
        .route("/v1/policies", get(policies))
        .route("/v1/policies/{key}", put(set_policy).delete(remove_policy))
        .route("/v1/evidence", get(evidence))
        .route("/v1/evidence/{id}", get(evidence_file))
        .route("/v1/publish", post(publish))
        .route("/v1/export", get(export))
        .route("/v1/import", post(import))
        .route("/v1/shutdown", post(shutdown))
        .route("/metrics", get(metrics))
        .route_layer(middleware::from_fn_with_state(api.clone(), authorize));
    Router::new()
        .route("/health", get(health))
        .route("/openapi.json", get(|| async { Json(ApiDoc::openapi()) }))
        .merge(closed)
        .fallback(|| async {
            Failure::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here: see /openapi.json")
        })
        .method_not_allowed_fallback(|| async {
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "usage", "not with this method: see /openapi.json")
        })
        .with_state(api)
}

/// Compared by their hashes: how long it takes says nothing about the token.
async fn authorize(State(api): State<Api>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if blake3::hash(given.as_bytes()) != blake3::hash(api.token.as_bytes()) {
        let why = format!("the token of {API_FILE} in the node's folder is needed: Authorization: Bearer TOKEN");
        return Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", why).into_response();
    }
    next.run(request).await
}

/// Takes a body into a file, at most so many bytes. When it cannot, it reads on for a while all the same: whoever sends
/// hears what is wrong only after it has sent all.
async fn take(node: &NodeHandle, body: Body, bytes_max: u64) -> Result<NamedTempFile, Failure> {
    let mut stream = body.into_data_stream();
    let mut total = 0;
    let taken = take_from(node, &mut stream, &mut total, bytes_max).await;
    if taken.is_err() {
        while total <= bytes_max.saturating_add(UNHEEDED_BYTES_MAX)
            && let Some(Ok(piece)) = stream.next().await
        {
            total += piece.len() as u64;
        }
    }
    taken
}

async fn take_from(
    node: &NodeHandle,
    stream: &mut BodyDataStream,
    total: &mut u64,
    bytes_max: u64,
) -> Result<NamedTempFile, Failure> {
    let mut file = node.taking()?;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| Failure::usage(format!("the body breaks off: {error}")))?;
        *total += piece.len() as u64;
        if *total > bytes_max {
            let why = format!("more than {bytes_max} bytes, the most that are taken");
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", why));
        }
        let written = tokio::task::spawn_blocking(move || file.write_all(&piece).map(|()| file)).await;
        file = written.map_err(|_| RequestError::Ended)?.map_err(RequestError::from)?;
    }
    Ok(file)
}

fn id_of<T: std::str::FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("{text:?} is no id: 64 hexadecimal digits")))
}

/// A file as a body.
fn send_file(file: File) -> Response {
    let pieces = futures::stream::try_unfold(file, |mut file| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; SEND_BYTES];
            let read = io::Read::read(&mut file, &mut bytes)?;
            bytes.truncate(read);
            Ok::<_, io::Error>((bytes, file))
        });
        let (bytes, file) = read.await.map_err(io::Error::other)??;
        Ok::<_, io::Error>((!bytes.is_empty()).then_some((bytes, file)))
    });
    ([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(pieces)).into_response()
}

/// Whether it runs.
#[utoipa::path(get, path = "/health", responses((status = 200, description = "It runs.")))]
async fn health() -> &'static str {
    "ok\n"
}

/// The node as a whole.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = StatusView)))]
async fn status(State(api): State<Api>) -> Result<Json<StatusView>, Failure> {
    Ok(Json(api.node.status().await?))
}

/// Connected peers.
#[utoipa::path(get, path = "/v1/peers", responses((status = 200, body = Vec<PeerRow>)))]
async fn peers(State(api): State<Api>) -> Result<Json<Vec<PeerRow>>, Failure> {
    Ok(Json(api.node.peers().await?))
}

/// What the trust book says about keys.
#[utoipa::path(get, path = "/v1/keys", responses((status = 200, body = Vec<KeyRow>)))]
async fn keys(State(api): State<Api>) -> Result<Json<Vec<KeyRow>>, Failure> {
    Ok(Json(api.node.keys().await?))
}

#[derive(Debug, Deserialize, IntoParams)]
struct FindQuery {
    /// An id, `AUTHOR/NAME`, `tag:WORD`, `PREFIX*`, or words.
    q: String,
    /// How long to wait for peers, in milliseconds; 0 looks only here.
    wait_ms: Option<u64>,
}

/// Looks for capsules.
#[utoipa::path(get, path = "/v1/find", params(FindQuery), responses((status = 200, body = Vec<FoundRow>), (status = 400, body = ApiError)))]
async fn find(State(api): State<Api>, UrlQuery(query): UrlQuery<FindQuery>) -> Result<Json<Vec<FoundRow>>, Failure> {
    let wait_ms = query.wait_ms.unwrap_or(FIND_WAIT_MS).min(FIND_WAIT_MS_MAX);
    let query: Query = query.q.parse().map_err(RequestError::from)?;
    Ok(Json(api.node.find(query, wait_ms).await?))
}

/// What is held.
#[utoipa::path(get, path = "/v1/holdings", responses((status = 200, body = Vec<HoldingRow>)))]
async fn holdings(State(api): State<Api>) -> Result<Json<Vec<HoldingRow>>, Failure> {
    Ok(Json(api.node.holdings().await?))
}

#[derive(Debug, Deserialize, IntoParams)]
struct HoldQuery {
    /// `capsule` (the default) or `content`.
    kind: Option<String>,
}

/// Holds a capsule, or any content, and serves it. The body is its bytes.
#[utoipa::path(post, path = "/v1/holdings", params(HoldQuery), request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 200, body = SeededView), (status = 422, body = ApiError)))]
async fn hold(
    State(api): State<Api>,
    UrlQuery(query): UrlQuery<HoldQuery>,
    body: Body,
) -> Result<Json<SeededView>, Failure> {
    let (is_capsule, bytes_max) = match query.kind.as_deref() {
        None | Some("capsule") => (true, CAPSULE_BYTES_MAX as u64),
        Some("content") => (false, CONTENT_BYTES_MAX),
        Some(kind) => return Err(Failure::usage(format!("{kind:?} is neither `capsule` nor `content`"))),
    };
    let file = take(&api.node, body, bytes_max).await?;
    Ok(Json(api.node.seed(file, is_capsule).await?))
}

/// Does not hold something any more.
#[utoipa::path(delete, path = "/v1/holdings/{id}", params(("id" = String, Path)), responses((status = 204), (status = 404, body = ApiError)))]
async fn release(State(api): State<Api>, UrlPath(id): UrlPath<String>) -> Result<StatusCode, Failure> {
    api.node.release(id_of::<CapsuleId>(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
struct FetchQuery {
    /// After how long without a new byte it fails, in milliseconds.
    give_up_ms: Option<u64>,
}

/// Fetches a capsule, or content by its hash. Events, each a [`FetchView`], come until it is done or failed.
#[utoipa::path(post, path = "/v1/fetches/{id}", params(("id" = String, Path), FetchQuery), responses((status = 200, body = FetchView, content_type = "text/event-stream"), (status = 422, body = ApiError)))]
async fn fetch(
    State(api): State<Api>,
    UrlPath(id): UrlPath<String>,
    UrlQuery(query): UrlQuery<FetchQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let watch = api.node.fetch(id_of::<CapsuleId>(&id)?, query.give_up_ms.unwrap_or(GIVE_UP_MS)).await?;
    // The last view ends the stream, and goes out itself.
    let events = WatchStream::new(watch.view).scan(false, |over, view| {
        let next = (!*over).then(|| {
            *over = matches!(view.state.as_str(), "done" | "failed");
            // A view is JSON.
            Ok(Event::default().json_data(&view).unwrap_or_default())
        });
        futures::future::ready(next)
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Ends a download; what came is kept for the next try.
#[utoipa::path(delete, path = "/v1/fetches/{id}", params(("id" = String, Path)), responses((status = 204), (status = 404, body = ApiError)))]
async fn stop_fetch(State(api): State<Api>, UrlPath(id): UrlPath<String>) -> Result<StatusCode, Failure> {
    api.node.stop_fetch(id_of::<CapsuleId>(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The bytes of something that is held.
#[utoipa::path(get, path = "/v1/content/{id}", params(("id" = String, Path)), responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = ApiError)))]
async fn content(State(api): State<Api>, UrlPath(id): UrlPath<String>) -> Result<Response, Failure> {
    let path = api.node.path_of(id_of::<CapsuleId>(&id)?).await?;
    Ok(send_file(File::open(path).map_err(RequestError::from)?))
}

/// What the operator says about keys.
#[utoipa::path(get, path = "/v1/policies", responses((status = 200, body = Vec<PolicyRow>)))]
async fn policies(State(api): State<Api>) -> Result<Json<Vec<PolicyRow>>, Failure> {
    Ok(Json(api.node.policies().await?))
}

/// What is said about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyBody {
    /// `refuse`, `trust`, or `limit`.
    pub policy: String,
    /// The limit, if it is one: `5 NONOS`.
    pub limit: Option<String>,
}

/// Says something about a key.
#[utoipa::path(put, path = "/v1/policies/{key}", params(("key" = String, Path)), request_body = PolicyBody, responses((status = 204), (status = 400, body = ApiError)))]
async fn set_policy(
    State(api): State<Api>,
    UrlPath(key): UrlPath<String>,
    body: Result<Json<PolicyBody>, axum::extract::rejection::JsonRejection>,
) -> Result<StatusCode, Failure> {
    let Json(body) = body.map_err(|error| Failure::usage(error.to_string()))?;
    let policy = match (body.policy.as_str(), body.limit) {
        ("refuse", None) => Policy::Refuse,
        ("trust", None) => Policy::Trust,
        ("limit", Some(limit)) => {
            Policy::Limit(limit.parse::<Amount>().map_err(|error| Failure::usage(format!("{limit:?}: {error}")))?)
        }
        _ => return Err(Failure::usage("`refuse`, `trust`, or `limit` with a limit")),
    };
    api.node.set_policy(id_of::<KeyId>(&key)?, Some(policy)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leaves a key to the rules.
#[utoipa::path(delete, path = "/v1/policies/{key}", params(("key" = String, Path)), responses((status = 204)))]
async fn remove_policy(State(api): State<Api>, UrlPath(key): UrlPath<String>) -> Result<StatusCode, Failure> {
    api.node.set_policy(id_of::<KeyId>(&key)?, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Evidence that is kept.
#[utoipa::path(get, path = "/v1/evidence", responses((status = 200, body = Vec<EvidenceRow>)))]
async fn evidence(State(api): State<Api>) -> Result<Json<Vec<EvidenceRow>>, Failure> {
    Ok(Json(api.node.evidence().await?))
}

/// A piece of evidence, to be checked anywhere.
#[utoipa::path(get, path = "/v1/evidence/{id}", params(("id" = String, Path)), responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = ApiError)))]
async fn evidence_file(State(api): State<Api>, UrlPath(id): UrlPath<String>) -> Result<Response, Failure> {
    let bytes = api.node.evidence_bytes(id_of::<Hash32>(&id)?).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublishedView {
    /// The evidence's id, or the receipt's hash.
    pub id: String,
}

/// Verifies a receipt or evidence, keeps it, and says it to everybody. The body is its bytes.
#[utoipa::path(post, path = "/v1/publish", request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 200, body = PublishedView), (status = 422, body = ApiError)))]
async fn publish(State(api): State<Api>, body: Body) -> Result<Json<PublishedView>, Failure> {
    let bytes = axum::body::to_bytes(body, RECEIPT_BYTES_MAX).await.map_err(|_| {
        let why = format!("more than {RECEIPT_BYTES_MAX} bytes, the most that are gossiped");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", why)
    })?;
    Ok(Json(PublishedView { id: api.node.publish(bytes.into()).await?.to_string() }))
}

#[derive(Debug, Deserialize, IntoParams)]
struct ExportQuery {
    /// Ids, with commas between them; all that is held when there is none.
    ids: Option<String>,
}

/// A bundle: capsules, announcements, receipts and evidence in one file.
#[utoipa::path(get, path = "/v1/export", params(ExportQuery), responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = ApiError)))]
async fn export(State(api): State<Api>, UrlQuery(query): UrlQuery<ExportQuery>) -> Result<Response, Failure> {
    let ids = query.ids.unwrap_or_default();
    let ids: Result<Vec<CapsuleId>, Failure> = ids.split(',').filter(|id| !id.is_empty()).map(id_of).collect();
    let file = api.node.export(ids?).await?;
    Ok(send_file(file.reopen().map_err(RequestError::from)?))
}

/// Takes a bundle. Everything in it is checked first; then all of it is taken, or nothing.
#[utoipa::path(post, path = "/v1/import", request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 200, body = ImportView), (status = 422, body = ApiError)))]
async fn import(State(api): State<Api>, body: Body) -> Result<Json<ImportView>, Failure> {
    let file = take(&api.node, body, BUNDLE_BYTES_MAX).await?;
    Ok(Json(api.node.import(file).await?))
}

/// What was counted, in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, content_type = "text/plain")))]
async fn metrics(State(api): State<Api>) -> Result<Response, Failure> {
    let text = api.node.metrics().await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// Ends the node in good order.
#[utoipa::path(post, path = "/v1/shutdown", responses((status = 204)))]
async fn shutdown(State(api): State<Api>) -> Result<StatusCode, Failure> {
    api.node.shutdown().await?;
    Ok(StatusCode::NO_CONTENT)
}
