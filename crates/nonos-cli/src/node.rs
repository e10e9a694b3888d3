//! The node of a folder: where it is, and asking it.

use crate::{Context, exit::ExitClass, failure::Failure};
use clap::Args;
use nonos_node::api::{API_FILE, ApiError, ApiFile};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{BufRead as _, BufReader, Read},
    path::PathBuf,
    time::Duration,
};
use ureq::{Agent, SendBody, http};

/// Name of the node's folder in a home.
const FOLDER: &str = "node";
/// How long a node may take to answer at all.
const CONNECT: Duration = Duration::from_secs(5);
/// Most bytes of an answer that is not a file.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Most bytes of a line of events.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Which node.
#[derive(Debug, Args)]
pub(crate) struct NodePlace {
    /// The node's folder (default: `node` in the home).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl NodePlace {
    /// Where it is.
    pub(crate) fn folder(&self, context: &Context) -> Result<PathBuf, Failure> {
        match &self.data {
            Some(path) => std::path::absolute(path).map_err(|error| Failure::io("use", path, &error)),
            None => Ok(context.home()?.root().join(FOLDER)),
        }
    }

    /// To ask the node that runs there.
    pub(crate) fn open(&self, context: &Context) -> Result<NodeClient, Failure> {
        let folder = self.folder(context)?;
        let path = folder.join(API_FILE);
        let none = || {
            let message = format!("no node runs in {}", folder.display());
            let help = format!("start one in another terminal: nonos node --data {}", folder.display());
            Failure::new(ExitClass::Node, message, help)
        };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(none()),
            Err(error) => return Err(Failure::io("read", &path, &error)),
        };
        let api: ApiFile = serde_json::from_slice(&bytes).map_err(|_| none())?;
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            // What is wrong stands in the body.
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Ok(NodeClient { agent: config.into(), api, none: Box::new(none()) })
    }
}

/// To ask a node.
pub(crate) struct NodeClient {
    agent: Agent,
    api: ApiFile,
    none: Box<Failure>,
}

type Answer = http::Response<ureq::Body>;

impl NodeClient {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.api.url)
    }

    fn send(&self, method: &str, path: &str, body: SendBody<'_>) -> Result<Answer, Failure> {
        let request = http::Request::builder()
            .method(method)
            .uri(self.url(path))
            .header("authorization", format!("Bearer {}", self.api.token))
            .body(body)
            .map_err(|error| Failure::new(ExitClass::Node, error, "check what was asked for"))?;
        let answer = self.agent.run(request).map_err(|error| match error {
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                let message = "the node stopped reading before all was sent: it is too large";
                Failure::new(ExitClass::Input, message, "give a smaller file")
            }
            ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::Timeout(_) => {
                self.none.as_ref().clone().with_cause(error)
            }
            error => Failure::new(ExitClass::Node, error, "see what the node says on its terminal"),
        })?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused(answer)) }
    }

    /// Asks for something.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        json(self.send("GET", path, SendBody::none())?)
    }

    /// Does something that has no answer.
    pub(crate) fn call(&self, method: &str, path: &str) -> Result<(), Failure> {
        self.send(method, path, SendBody::none()).map(drop)
    }

    /// Says something.
    pub(crate) fn put(&self, path: &str, value: &impl Serialize) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(value).expect("a value is JSON");
        let request = http::Request::builder()
            .method("PUT")
            .uri(self.url(path))
            .header("authorization", format!("Bearer {}", self.api.token))
            .header("content-type", "application/json")
            .body(bytes)
            .map_err(|error| Failure::new(ExitClass::Node, error, "check what was asked for"))?;
        let answer = self.agent.run(request).map_err(|error| self.none.as_ref().clone().with_cause(error))?;
        if answer.status().is_success() { Ok(()) } else { Err(refused(answer)) }
    }

    /// Hands bytes in.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, mut bytes: impl Read) -> Result<T, Failure> {
        json(self.send("POST", path, SendBody::from_reader(&mut bytes))?)
    }

    /// Fetches bytes.
    pub(crate) fn bytes(&self, path: &str) -> Result<impl Read + use<>, Failure> {
        Ok(self.send("GET", path, SendBody::none())?.into_body().into_reader())
    }

    /// Begins something and reads its events until there are no more.
    pub(crate) fn events<T: DeserializeOwned>(&self, path: &str, mut each: impl FnMut(T)) -> Result<(), Failure> {
        let mut lines = BufReader::new(self.send("POST", path, SendBody::none())?.into_body().into_reader());
        let broken = |error: std::io::Error| {
            Failure::new(ExitClass::Node, format!("the node ended: {error}"), "start it again; what came is kept")
        };
        loop {
            let mut line = String::new();
            if lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line).map_err(broken)? == 0 {
                return Ok(());
            }
            if let Some(data) = line.strip_prefix("data:") {
                each(serde_json::from_str(data).map_err(|error| not_understood(&error))?);
            }
        }
    }
}

fn json<T: DeserializeOwned>(answer: Answer) -> Result<T, Failure> {
    let mut bytes = Vec::new();
    let read = answer.into_body().into_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(ExitClass::Node, format!("the node ended: {error}"), "start it again"))?;
    serde_json::from_slice(&bytes).map_err(|error| not_understood(&error))
}

fn not_understood(error: &serde_json::Error) -> Failure {
    Failure::new(
        ExitClass::Node,
        format!("the node's answer is not understood: {error}"),
        "run a node and a command of the same version",
    )
}

fn refused(answer: Answer) -> Failure {
    let status = answer.status();
    let mut bytes = Vec::new();
    // What could not be read leaves the status.
    let _ = answer.into_body().into_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
    let said = serde_json::from_slice::<ApiError>(&bytes).ok();
    let code = said.as_ref().map(|said| said.code.clone()).unwrap_or_default();
    let message = said.map_or_else(|| format!("the node answers {status}"), |said| said.error);
    let (class, help) = match code.as_str() {
        "usage" => (ExitClass::Usage, "check what was asked for"),
        "unauthorized" => (ExitClass::Node, "another node runs where this one did: start this one again"),
        "not-found" => (ExitClass::NotThere, "`nonos seed` lists what the node holds, `nonos evidence` what it knows"),
        "too-large" => (ExitClass::Input, "give a smaller file"),
        "disk" => (ExitClass::Io, "free some space on the node's disk and try again; the node goes on"),
        _ => (ExitClass::Node, "`nonos node status` says how the node is"),
    };
    Failure::new(class, message, help)
}
