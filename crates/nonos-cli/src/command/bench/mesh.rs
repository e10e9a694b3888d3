//! The mesh, measured: a transfer beside the same bytes over one bare stream, the time from a name to a verified byte, and
//! how soon two nodes on one network know each other.

use crate::{Context, exit::ExitClass, failure::Failure, number};
use clap::Args;
use nonos_keys::{SecretKey, Validity};
use nonos_mesh::{Command, Event, Net, NetConfig};
use nonos_mesh_proto::{beacon::Query, transfer::GROUP_BYTES};
use nonos_node::{FetchView, Node, NodeConfig};
use nonos_types::CapsuleId;
use serde_json::json;
use std::{
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long any part may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often each part is measured; the median counts.
const ROUNDS: usize = 5;
/// Where everything listens.
const HERE: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// Measure how fast content is transferred, found and verified between nodes on this machine.
///
/// Both ends run in this process, over QUIC on the loopback. `transfer_ratio` is the time of a download from one node,
/// until every byte is verified and on the disk under its name, over the time of the same bytes sent as plain frames on one
/// stream and hashed with BLAKE3 on arrival, measured in turn. `find_ms` is the time from a name that is known to the first
/// verified bytes; `discovery_ms` from the start of a node to its connection with another that it was told nothing of.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    nonos bench mesh\n    nonos bench mesh --json | jq .transfer_ratio")]
pub(super) struct BenchMeshArgs {
    /// How many megabytes (2^20 bytes) are transferred.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    megabytes: u64,
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new(ExitClass::Node, error, "see whether other nodes and firewalls leave the loopback alone")
}

fn late(what: &str) -> Failure {
    broken(format!("{what} takes longer than {} s", PATIENCE.as_secs()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Measures.
pub(super) fn bench(args: &BenchMeshArgs, context: &Context) -> Result<ExitClass, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("start threads in", Path::new("this process"), &error))?;
    let folder = tempfile::tempdir().map_err(|error| Failure::io("use", &std::env::temp_dir(), &error))?;
    let bytes = (args.megabytes as usize) << 20;
    let spinner = context.terminal.spinner("measuring");
    let measured = runtime.block_on(async {
        let mut content = vec![0; bytes];
        blake3::Hasher::new().update(b"bench mesh").finalize_xof().fill(&mut content);
        let content = bytes::Bytes::from(content);
        let (mut plain, mut transfers, mut first) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            spinner.set_message(format!("transfer, round {} of {ROUNDS}", round + 1));
            plain.push(bare(content.clone()).await?);
            let view = transfer(folder.path(), &content, round).await?;
            transfers.push(view.elapsed_ms as f64 / 1e3);
        }
        for round in 0..ROUNDS {
            spinner.set_message(format!("from a name to a byte, round {} of {ROUNDS}", round + 1));
            first.push(find(folder.path(), round).await?);
        }
        let mut discovery = Vec::new();
        for round in 0..ROUNDS {
            spinner.set_message(format!("discovery, round {} of {ROUNDS}", round + 1));
            discovery.push(discover(folder.path(), round).await?);
        }
        Ok::<_, Failure>((median(plain), median(transfers), median(first), median(discovery)))
    });
    spinner.finish_and_clear();
    let (plain_s, transfer_s, find_ms, discovery_ms) = measured?;
    let ratio = transfer_s / plain_s;
    let rate = |seconds: f64| bytes as f64 / seconds / 1e6;
    let value = json!({
        "bytes": bytes,
        "rounds": ROUNDS,
        "plain_s": plain_s,
        "transfer_s": transfer_s,
        "transfer_ratio": ratio,
        "plain_mb_per_s": rate(plain_s),
        "transfer_mb_per_s": rate(transfer_s),
        "find_ms": find_ms,
        "discovery_ms": discovery_ms,
    });
    let text = format!(
        "transfer of {}, medians of {ROUNDS} rounds\n  plain frames and BLAKE3   {plain_s:.3} s, {:.0} MB/s\n  a \
         download               {transfer_s:.3} s, {:.0} MB/s\n  ratio                    {ratio:.2}\nname to first verified \
         bytes   {find_ms:.0} ms\ndiscovery on one network      {discovery_ms:.0} ms\n",
        number::bytes(bytes as u64),
        rate(plain_s),
        rate(transfer_s)
    );
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}

async fn soon<T>(what: &str, work: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| late(what))
}

fn net(seed: u8, bootstrap: Vec<libp2p::Multiaddr>) -> Result<Net, Failure> {
    let listen = vec![HERE.parse().map_err(broken)?];
    Net::start(&NetConfig { seed: [seed; 32], listen, bootstrap, local_discovery: false }).map_err(broken)
}

async fn until<T>(net: &mut Net, what: &str, mut found: impl FnMut(Event) -> Option<T>) -> Result<T, Failure> {
    soon(what, async {
        loop {
            match net.event().await {
                Some(event) => {
                    if let Some(value) = found(event) {
                        return Ok(value);
                    }
                }
                None => return Err(broken("the net has ended")),
            }
        }
    })
    .await?
}

/// The same bytes over one stream, hashed as they arrive: seconds.
async fn bare(content: bytes::Bytes) -> Result<f64, Failure> {
    let mut one = net(1, Vec::new())?;
    let address = until(&mut one, "listening", |event| match event {
        Event::Listening(address) => Some(address),
        _ => None,
    })
    .await?;
    let mut other = net(2, vec![address])?;
    for net in [&mut one, &mut other] {
        until(net, "connecting", |event| matches!(event, Event::Connected { .. }).then_some(())).await?;
    }
    let expected = blake3::hash(&content);
    let begin = Instant::now();
    one.command(Command::OpenStream { peer: other.peer(), stream: 0 }).map_err(broken)?;
    let writer = until(&mut one, "a stream", |event| match event {
        Event::StreamOpened { writer, .. } => Some(writer),
        _ => None,
    })
    .await?;
    let size = content.len();
    let sending = tokio::spawn(async move {
        for start in (0..content.len()).step_by(GROUP_BYTES as usize) {
            let piece = content.slice(start..content.len().min(start + GROUP_BYTES as usize));
            if !writer.send(piece, bytes::Bytes::new()) {
                until(&mut one, "room", |event| matches!(event, Event::StreamWritable { .. }).then_some(())).await?;
            }
        }
        Ok::<_, Failure>((one, writer))
    });
    let mut hasher = blake3::Hasher::new();
    let (mut got, mut theirs) = (0, None);
    while got < size {
        let frame = until(&mut other, "the bytes", |event| match event {
            Event::StreamOpened { writer, .. } => {
                theirs = Some(writer);
                None
            }
            Event::StreamFrame { frame, .. } => Some(frame),
            _ => None,
        })
        .await?;
        got += frame.len();
        hasher.update(&frame);
    }
    let seconds = begin.elapsed().as_secs_f64();
    if hasher.finalize() != expected {
        return Err(broken("the bytes are not those that were sent"));
    }
    drop(theirs);
    sending.await.map_err(broken)??;
    Ok(seconds)
}

fn node(folder: &Path, name: &str, seed: u8, bootstrap: Option<&str>, local: bool) -> Result<Node, Failure> {
    let listen = if local { "/ip4/0.0.0.0/udp/0/quic-v1" } else { HERE };
    let config = NodeConfig {
        folder: folder.join(name),
        key: Arc::new(SecretKey::from_seed(&[seed; 64], Validity::ALWAYS)),
        listen: vec![listen.parse().map_err(broken)?],
        bootstrap: bootstrap.map(str::parse).transpose().map_err(broken)?.into_iter().collect(),
        local_discovery: local,
        upload: Default::default(),
        trust: Default::default(),
        revocations: Vec::new(),
    };
    Node::start(config).map_err(Failure::from)
}

async fn address(node: &Node) -> Result<String, Failure> {
    soon("listening", async {
        loop {
            let status = node.handle().status().await.map_err(Failure::from)?;
            if let Some(address) = status.listening.first() {
                return Ok(address.clone());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await?
}

async fn seed(node: &Node, content: &[u8]) -> Result<CapsuleId, Failure> {
    let mut file = node.handle().taking().map_err(Failure::from)?;
    file.write_all(content).map_err(|error| Failure::io("write", file.path(), &error))?;
    let seeded = node.handle().seed(file, false).await.map_err(Failure::from)?;
    seeded.holding.id.parse().map_err(broken)
}

/// Waits until it knows who holds something.
async fn known(node: &Node, id: CapsuleId) -> Result<(), Failure> {
    soon("hearing who has it", async {
        loop {
            let query = Query::Id(nonos_types::Hash32::from_bytes(*id.as_bytes()));
            let found = node.handle().find(query, 0).await.map_err(Failure::from)?;
            if found.iter().any(|row| !row.holders.is_empty()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await?
}

/// A download to its end.
async fn fetch(node: &Node, id: CapsuleId) -> Result<FetchView, Failure> {
    let mut watch = node.handle().fetch(id, PATIENCE.as_millis() as u64).await.map_err(Failure::from)?;
    let over = soon("a download", watch.view.wait_for(|view| matches!(view.state.as_str(), "done" | "failed"))).await?;
    let view = over.map_err(broken)?.clone();
    if view.state == "done" { Ok(view) } else { Err(broken(view.error.unwrap_or_default())) }
}

async fn pair(folder: &Path, name: &str) -> Result<(Node, Node), Failure> {
    let seeder = node(folder, &format!("{name}-seeder"), 1, None, false)?;
    let reader = node(folder, &format!("{name}-reader"), 2, Some(&address(&seeder).await?), false)?;
    Ok((seeder, reader))
}

/// A download from one node.
async fn transfer(folder: &Path, content: &[u8], round: usize) -> Result<FetchView, Failure> {
    let (seeder, reader) = pair(folder, &format!("transfer-{round}")).await?;
    let id = seed(&seeder, content).await?;
    known(&reader, id).await?;
    let view = fetch(&reader, id).await?;
    reader.shutdown().await;
    seeder.shutdown().await;
    // Room for the next round.
    for end in ["seeder", "reader"] {
        let _ = std::fs::remove_dir_all(folder.join(format!("transfer-{round}-{end}")));
    }
    Ok(view)
}

/// Milliseconds from a name that is known to the first verified bytes.
async fn find(folder: &Path, round: usize) -> Result<f64, Failure> {
    let (seeder, reader) = pair(folder, &format!("find-{round}")).await?;
    let id = seed(&seeder, &vec![round as u8; 1 << 20]).await?;
    known(&reader, id).await?;
    let begin = Instant::now();
    let query = Query::Id(nonos_types::Hash32::from_bytes(*id.as_bytes()));
    reader.handle().find(query, 0).await.map_err(Failure::from)?;
    let mut watch = reader.handle().fetch(id, PATIENCE.as_millis() as u64).await.map_err(Failure::from)?;
    soon("the first bytes", watch.view.wait_for(|view| view.first_byte_ms.is_some())).await?.map_err(broken)?;
    let ms = begin.elapsed().as_secs_f64() * 1e3;
    reader.shutdown().await;
    seeder.shutdown().await;
    Ok(ms)
}

/// Milliseconds from the start of a node to its connection with one that it was told nothing of.
async fn discover(folder: &Path, round: usize) -> Result<f64, Failure> {
    let one = node(folder, &format!("discover-{round}-one"), 1, None, true)?;
    address(&one).await?;
    // It has said that it is there, and is silent by now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let begin = Instant::now();
    let other = node(folder, &format!("discover-{round}-other"), 2, None, true)?;
    let me = one.handle().peer().to_string();
    soon("discovery", async {
        loop {
            let peers = other.handle().peers().await.map_err(Failure::from)?;
            if peers.iter().any(|peer| peer.peer == me) {
                return Ok::<(), Failure>(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await??;
    let ms = begin.elapsed().as_secs_f64() * 1e3;
    other.shutdown().await;
    one.shutdown().await;
    Ok(ms)
}
