//! `nonos node`: runs a peer, says how it is, ends it.

use crate::{Context, exit::ExitClass, failure::Failure, node::NodePlace, number, package, signing::Keys};
use clap::{Args, Subcommand};
use libp2p::Multiaddr;
use nonos_mesh_proto::{transfer::UploadLimits, trust::TrustLimits};
use nonos_node::{Node, NodeConfig, StatusView};
use serde_json::json;
use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};
use tokio::signal::unix::{SignalKind, signal};

/// Threads for what blocks: reading, hashing, verifying.
const BLOCKING_THREADS: usize = 16;

/// Run a peer: it holds capsules, announces them, finds others and serves them.
///
/// It finds peers on the local network by itself; --bootstrap names some beyond it. Other commands (`seed`, `find`,
/// `fetch`, `peers`, `policy`, `evidence`, `publish`, `export`, `import`) ask the node that runs in the same folder. It
/// ends with Ctrl-C, or `nonos node stop`; killed at any moment, it loses nothing that it said it has.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n    nonos node\n    nonos node --data DIR --listen 0.0.0.0:4001\n    \
                  nonos node --bootstrap 192.0.2.1:4001\n    nonos node status"
)]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    command: Option<NodeCommand>,

    #[command(flatten)]
    place: NodePlace,

    /// Listen there, on UDP: IP:PORT, or a multiaddr; may be given several times.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:0", value_parser = parse_address)]
    listen: Vec<Multiaddr>,

    /// A peer to begin with: IP:PORT, or a multiaddr; may be given several times. None is needed on a local network.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    bootstrap: Vec<Multiaddr>,

    /// Do not look for peers on the local network, and do not be found there.
    #[arg(long)]
    no_local: bool,

    /// Where the API listens, for the other commands (port 0: any that is free).
    #[arg(long, value_name = "IP:PORT", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))]
    api: SocketAddr,

    /// Sign with this key, by name or by the first digits of its id (default: `default`, or the only one).
    #[arg(long, value_name = "NAME")]
    key: Option<String>,

    /// Take the passphrase from the first line of a file (`-` is stdin).
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,

    /// Most bytes that one peer gets in a second.
    #[arg(long, value_name = "BYTES", default_value_t = UploadLimits::default().rate_bytes_per_s)]
    rate: u64,

    /// Most bytes that one peer gets in a day.
    #[arg(long, value_name = "BYTES", default_value_t = UploadLimits::default().quota_bytes)]
    quota: u64,

    /// Revocations to heed besides those of the home; may be given several times.
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Say how the node is.
    Status(PlaceArgs),
    /// End the node in good order.
    Stop(PlaceArgs),
    /// Print what the node has counted, in the text format of Prometheus.
    Metrics(PlaceArgs),
}

#[derive(Debug, Args)]
struct PlaceArgs {
    #[command(flatten)]
    place: NodePlace,
}

/// An address of QUIC over UDP.
fn parse_address(text: &str) -> Result<Multiaddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        let version = if address.is_ipv4() { "ip4" } else { "ip6" };
        let (ip, port) = (address.ip(), address.port());
        return format!("/{version}/{ip}/udp/{port}/quic-v1").parse().map_err(|error| format!("{error}"));
    }
    text.parse().map_err(|_| "neither IP:PORT nor a multiaddr such as /ip4/192.0.2.1/udp/4001/quic-v1".to_owned())
}

/// Runs it, or asks it.
pub(crate) fn node(args: &NodeArgs, context: &Context) -> Result<ExitClass, Failure> {
    match &args.command {
        None => run(args, context),
        Some(NodeCommand::Status(args)) => status(args, context),
        Some(NodeCommand::Stop(args)) => {
            args.place.open(context)?.call("POST", "/v1/shutdown")?;
            context.terminal.result(&json!({ "stopped": true }), "the node has ended\n")?;
            Ok(ExitClass::Ok)
        }
        Some(NodeCommand::Metrics(args)) => {
            let mut text = String::new();
            let mut bytes = args.place.open(context)?.bytes("/metrics")?;
            std::io::Read::read_to_string(&mut bytes, &mut text)
                .map_err(|error| Failure::new(ExitClass::Node, error, "start the node again"))?;
            context.terminal.result(&json!({ "metrics": text }), &text)?;
            Ok(ExitClass::Ok)
        }
    }
}

fn run(args: &NodeArgs, context: &Context) -> Result<ExitClass, Failure> {
    let folder = args.place.folder(context)?;
    let keys = Keys::open(context)?;
    let stored = keys.store.find(args.key.as_deref())?;
    let key = Arc::new(keys.open_key(&stored, args.passphrase_file.as_deref())?);
    nonos_author::home::Home::create_private_dir(&folder)?;
    let config = NodeConfig {
        folder: folder.clone(),
        key,
        listen: args.listen.clone(),
        bootstrap: args.bootstrap.clone(),
        local_discovery: !args.no_local,
        upload: UploadLimits { rate_bytes_per_s: args.rate, quota_bytes: args.quota, ..UploadLimits::default() },
        trust: TrustLimits::default(),
        revocations: package::revocations(&args.revocations, context)?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|error| Failure::io("start threads for", &folder, &error))?;
    let ended = runtime.block_on(serve(config, args.api, context));
    // What still reads or verifies is not waited for: it has nothing to write.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended.map(|()| ExitClass::Ok)
}

async fn serve(config: NodeConfig, api: SocketAddr, context: &Context) -> Result<(), Failure> {
    let folder = config.folder.clone();
    let failed = |error: std::io::Error| Failure::io("wait for signals in", &folder, &error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut node = Node::start(config).map_err(|error| Failure::from(error).in_file(&folder))?;
    let handle = node.handle().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let over = async move { drop(stopped.await) };
    let serving = tokio::spawn({
        let (handle, folder) = (handle.clone(), folder.clone());
        async move { nonos_node::api::serve(handle, api, &folder, over).await }
    });
    let mut serving = std::pin::pin!(serving);
    let status = handle.status().await.map_err(Failure::from)?;
    let value = json!({ "peer": status.peer, "key": status.key, "folder": folder.display().to_string() });
    context
        .terminal
        .result(&value, format!("node {}\n  key     {}\n  folder  {}\n", status.peer, status.key, folder.display()))?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = node.ended() => {}
        served = &mut serving => {
            node.shutdown().await;
            return match served {
                Ok(Ok(())) | Err(_) => Ok(()),
                Ok(Err(error)) => Err(Failure::from(error)),
            };
        }
    }
    context.terminal.say("ending");
    node.shutdown().await;
    // The API ends when it is told; an error there is the end as well.
    let _ = stop.send(());
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), serving).await;
    Ok(())
}

fn status(args: &PlaceArgs, context: &Context) -> Result<ExitClass, Failure> {
    let status: StatusView = args.place.open(context)?.get("/v1/status")?;
    let mut text = String::new();
    let listening =
        if status.listening.is_empty() { "nowhere".to_owned() } else { status.listening.join("\n             ") };
    let rows = [
        ("node", status.peer.clone()),
        ("key", status.key.clone()),
        ("listening", listening),
        ("peers", status.peers.to_string()),
        ("holds", number::counted(status.holdings as u64, "content")),
        ("knows", format!("{} announcements, {} inventories", status.announcements, status.inventories)),
        ("serves", number::counted(status.uploads as u64, "session")),
        ("fetches", number::counted(status.downloads as u64, "download")),
        ("up", format!("{} s", status.uptime_s)),
    ];
    for (name, value) in rows {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{name:12} {value}");
    }
    for warning in &status.warnings {
        let _ = writeln!(text, "warning      {warning}");
    }
    let value = serde_json::to_value(&status).expect("a view is JSON");
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}
