//! `nonos seed`, `find`, `fetch`, `peers`, `policy`, `publish`, `export` and `import`: what a node is asked for.

use crate::{
    Context,
    exit::ExitClass,
    failure::Failure,
    file,
    ledger::Names,
    node::{NodeClient, NodePlace},
    number,
};
use clap::{Args, Subcommand};
use nonos_node::{
    FetchView, FoundRow, HoldingRow, ImportView, KeyRow, PeerRow, PolicyRow, SeededView,
    api::{PolicyBody, PublishedView},
};
use nonos_types::{Amount, CapsuleId};
use serde_json::json;
use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Hold a capsule and serve it; without a file, list what is held.
///
/// A capsule that the node's key signed is announced: everybody can find it by its name. Any other is held for its author.
/// With --content any file is held, and found by its hash.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    nonos seed my-capsule.mod\n    nonos seed\n    nonos seed --stop HEX64")]
pub(crate) struct SeedArgs {
    /// The capsule (`-` is stdin).
    #[arg(value_name = "FILE.mod")]
    file: Option<PathBuf>,

    /// The file is no capsule but content, which is found by its hash.
    #[arg(long, requires = "file")]
    content: bool,

    /// Do not hold this any more.
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "content"])]
    stop: Option<CapsuleId>,

    #[command(flatten)]
    place: NodePlace,
}

/// Seeds.
pub(crate) fn seed(args: &SeedArgs, context: &Context) -> Result<ExitClass, Failure> {
    let node = args.place.open(context)?;
    if let Some(id) = args.stop {
        node.call("DELETE", &format!("/v1/holdings/{id}"))?;
        context
            .terminal
            .result(&json!({ "id": id.to_string(), "held": false }), format!("{id} is not held any more\n"))?;
        return Ok(ExitClass::Ok);
    }
    let Some(path) = &args.file else {
        let holdings: Vec<HoldingRow> = node.get("/v1/holdings")?;
        let mut text = String::new();
        for row in &holdings {
            let name = row.name.as_deref().unwrap_or("(content)");
            // Writing to a text does not fail.
            let _ = writeln!(text, "{}  {:>10}  {name}", row.id, number::bytes(row.bytes));
        }
        if holdings.is_empty() {
            text += "nothing is held: nonos seed FILE.mod\n";
        }
        context.terminal.result(&json!({ "holdings": holdings }), text)?;
        return Ok(ExitClass::Ok);
    };
    let kind = if args.content { "content" } else { "capsule" };
    let spinner = context.terminal.spinner("handing it to the node");
    let seeded: Result<SeededView, Failure> = post_file(&node, &format!("/v1/holdings?kind={kind}"), path);
    spinner.finish_and_clear();
    let seeded = seeded.map_err(|failure| failure.in_file(path))?;
    let holding = &seeded.holding;
    let announced = if seeded.announced { "announced" } else { "not announced" };
    let mut text =
        format!("held and served, {announced}\n  id     {}\n  bytes  {}\n", holding.id, number::bytes(holding.bytes));
    if let Some(note) = &seeded.note {
        let _ = writeln!(text, "  note   {note}");
    }
    let value = serde_json::to_value(&seeded).expect("a view is JSON");
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}

fn post_file<T: serde::de::DeserializeOwned>(node: &NodeClient, url: &str, path: &Path) -> Result<T, Failure> {
    if file::is_stream(path) {
        return node.post(url, io::stdin().lock());
    }
    let opened = File::open(path).map_err(|error| Failure::io("read", path, &error))?;
    if opened.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Failure::io("read", path, &io::ErrorKind::IsADirectory.into()));
    }
    node.post(url, opened)
}

/// Look for capsules, here and at the connected peers.
///
/// By words of the name, the tags and the description; by `AUTHOR/NAME`; by `tag:WORD`; by `PREFIX*`; or by an id, of a
/// capsule or of an author. A name belongs to its author's key: two authors may use the same name, and both are shown.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n    nonos find zk-search\n    nonos find tag:search --json | jq -r '.found[].capsule_id'"
)]
pub(crate) struct FindArgs {
    /// What to look for; `*` finds everything.
    #[arg(value_name = "QUERY")]
    query: String,

    /// Wait so many seconds for peers at most; 0 looks only here.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=60))]
    wait: u64,

    #[command(flatten)]
    place: NodePlace,
}

/// Finds.
pub(crate) fn find(args: &FindArgs, context: &Context) -> Result<ExitClass, Failure> {
    let node = args.place.open(context)?;
    let spinner = context.terminal.spinner("asking peers");
    let found = search(&node, &args.query, args.wait * 1_000);
    spinner.finish_and_clear();
    let found = found?;
    let names = Names::of_home(context);
    let mut text = String::new();
    for row in &found {
        let title = match (&row.name, &row.version) {
            (Some(name), Some(version)) => format!("{name} {version}"),
            _ => "(not announced)".to_owned(),
        };
        // Writing to a text does not fail.
        let _ = writeln!(text, "{title}");
        if let Some(summary) = &row.summary {
            let _ = writeln!(text, "  {summary}");
        }
        let _ = writeln!(text, "  id       {}", row.capsule_id);
        if let Some(author) = &row.author {
            let _ = writeln!(text, "  author   {}", named(author, &names));
        }
        if let (Some(bytes), Some(base), Some(execution)) = (row.package_bytes, &row.fee_base, &row.fee_execution) {
            let _ = writeln!(text, "  fees     {base} base, {execution} for a million cycles");
            let _ = writeln!(text, "  package  {}", number::bytes(bytes));
        }
        if row.holders.is_empty() {
            let _ = writeln!(text, "  held by  nobody that is known{}", if row.held { " but this node" } else { "" });
        }
        for (index, holder) in row.holders.iter().enumerate() {
            let state = match (&holder.refused, holder.connected) {
                (Some(why), _) => format!("refused: {why}"),
                (None, true) => "connected".to_owned(),
                (None, false) => "not connected".to_owned(),
            };
            let head = if index == 0 { "held by" } else { "" };
            let _ = writeln!(text, "  {head:8} {} ({state})", named(&holder.key, &names));
        }
    }
    if found.is_empty() {
        text += "nothing is found: `nonos peers` shows who was asked\n";
    }
    context.terminal.result(&json!({ "found": found }), text)?;
    Ok(if found.is_empty() { ExitClass::NotThere } else { ExitClass::Ok })
}

fn named(key: &str, names: &Names) -> String {
    let name = key.parse().ok().and_then(|id| names.get(id)).map(|name| format!(" ({name})"));
    format!("{key}{}", name.unwrap_or_default())
}

fn search(node: &NodeClient, query: &str, wait_ms: u64) -> Result<Vec<FoundRow>, Failure> {
    let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    node.get(&format!("/v1/find?q={query}&wait_ms={wait_ms}"))
}

/// Fetch a capsule from everybody who has it, and check every 16 KiB on arrival.
///
/// By its id, or by what `nonos find` takes if that means one capsule: of several versions of one author the newest. What
/// was fetched is held and served from then on (`nonos seed --stop ID` ends that). A download that was cut off goes on
/// where it was.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    nonos fetch HEX64 -o x.mod\n    nonos fetch zk-search -o zk-search.mod")]
pub(crate) struct FetchArgs {
    /// The capsule's id, the hash of other content, or what to look for.
    #[arg(value_name = "ID|QUERY")]
    what: String,

    /// Where it goes (`-` is stdout); without it, it stays in the node's folder.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Give up after so many seconds without a new byte.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    give_up: u64,

    #[command(flatten)]
    place: NodePlace,
}

/// Fetches.
pub(crate) fn fetch(args: &FetchArgs, context: &Context) -> Result<ExitClass, Failure> {
    let node = args.place.open(context)?;
    let id = match args.what.parse::<CapsuleId>() {
        Ok(id) => id,
        Err(_) => resolve(&node, &args.what)?,
    };
    let bar = context.terminal.bytes_bar("looking for it");
    let mut last: Option<FetchView> = None;
    let watched = node.events(&format!("/v1/fetches/{id}?give_up_ms={}", args.give_up * 1_000), |view: FetchView| {
        if let Some(size) = view.size_bytes {
            bar.set_length(size);
        }
        bar.set_position(view.verified_bytes);
        let asked = view.seeders.iter().filter(|seeder| seeder.state == "asked").count();
        bar.set_message(match view.state.as_str() {
            "fetching" => format!("from {}", number::counted(asked as u64, "seeder")),
            "checking" => "checking".to_owned(),
            _ => "looking for it".to_owned(),
        });
        last = Some(view);
    });
    bar.finish_and_clear();
    watched?;
    let ended = || Failure::new(ExitClass::Node, "the node ended", "start it again and fetch again: what came is kept");
    let view = last.ok_or_else(ended)?;
    if view.state != "done" {
        let why = view.error.clone().unwrap_or_else(|| "it is not done".to_owned());
        let help = "`nonos find` shows who has it, `nonos peers` who is connected; fetch again to go on";
        return Err(Failure::new(ExitClass::NotFetched, format!("{id}: {why}"), help));
    }
    if let Some(path) = &args.output {
        write_from(node.bytes(&format!("/v1/content/{id}"))?, path, context)?;
    }
    if args.output.as_deref().is_some_and(file::is_stream) {
        return Ok(ExitClass::Ok);
    }
    let seconds = view.elapsed_ms as f64 / 1e3;
    let mut text = format!(
        "fetched and checked\n  id       {id}\n  bytes    {}\n  took     {seconds:.3} s{}\n",
        number::bytes(view.verified_bytes),
        view.first_byte_ms.map(|ms| format!(", first bytes after {ms} ms")).unwrap_or_default()
    );
    let names = Names::of_home(context);
    for (index, seeder) in view.seeders.iter().enumerate() {
        let head = if index == 0 { "from" } else { "" };
        // Writing to a text does not fail.
        let _ = writeln!(text, "  {head:8} {} ({})", named(&seeder.key, &names), seeder.state);
    }
    for id in &view.evidence {
        let _ = writeln!(text, "  evidence {id}: `nonos evidence get {id} -o FILE` writes it");
    }
    if let Some(path) = &args.output {
        let _ = writeln!(text, "  file     {}", path.display());
    }
    let value = serde_json::to_value(&view).expect("a view is JSON");
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}

/// The one capsule that a query means.
fn resolve(node: &NodeClient, query: &str) -> Result<CapsuleId, Failure> {
    let known = search(node, query, 0)?;
    let found = if known.is_empty() { search(node, query, 2_000)? } else { known };
    // Rows are sorted: an exact name first, then by author, the newest version first.
    let named: Vec<&FoundRow> = found.iter().filter(|row| row.name.is_some()).collect();
    let mut authors: Vec<_> = named.iter().map(|row| (&row.author, &row.name)).collect();
    let exact: Vec<_> = authors.iter().copied().filter(|(_, name)| name.as_deref() == Some(query)).collect();
    if !exact.is_empty() {
        authors = exact;
    }
    authors.dedup();
    match (authors.as_slice(), named.first()) {
        ([], _) | (_, None) => {
            let help = "`nonos find` takes the same; `nonos peers` shows who was asked";
            Err(Failure::new(ExitClass::NotThere, format!("{query:?}: nothing is found"), help))
        }
        ([_], Some(row)) => row
            .capsule_id
            .parse()
            .map_err(|_| Failure::new(ExitClass::Node, "the node gives no id", "run a node of the same version")),
        (several, _) => {
            let message = format!("{query:?} means {} capsules", several.len());
            Err(Failure::new(ExitClass::Usage, message, "`nonos find` lists them; fetch one by its id or AUTHOR/NAME"))
        }
    }
}

/// Writes what comes to a file, whole or not at all.
pub(crate) fn write_from(mut from: impl io::Read, path: &Path, context: &Context) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io("write", path, &error);
    if file::is_stream(path) {
        let mut stdout = io::stdout().lock();
        return io::copy(&mut from, &mut stdout).and_then(|_| stdout.flush()).map_err(failed);
    }
    let _ = context;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".nonos-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut written = builder.tempfile_in(folder).map_err(failed)?;
    io::copy(&mut from, &mut written).map_err(failed)?;
    written.as_file().sync_all().map_err(failed)?;
    written.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Show who is connected, with scores and their reasons.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    nonos peers\n    nonos peers --keys")]
pub(crate) struct PeersArgs {
    /// Show the trust book instead: every key that something is known of.
    #[arg(long)]
    keys: bool,

    #[command(flatten)]
    place: NodePlace,
}

/// Shows peers.
pub(crate) fn peers(args: &PeersArgs, context: &Context) -> Result<ExitClass, Failure> {
    let node = args.place.open(context)?;
    let names = Names::of_home(context);
    if args.keys {
        let keys: Vec<KeyRow> = node.get("/v1/keys")?;
        let mut text = String::new();
        for row in &keys {
            let state = match (&row.refused, &row.exposure_max) {
                (Some(why), _) => format!("refused: {why}"),
                (None, Some(most)) => format!("dealt with, at most {most} outstanding"),
                (None, None) => "dealt with".to_owned(),
            };
            // Writing to a text does not fail.
            let _ = writeln!(text, "{}\n  score  {}, {state}", named(&row.key, &names), points(row.score));
            for reason in &row.reasons {
                let _ = writeln!(text, "         {reason}");
            }
        }
        if keys.is_empty() {
            text += "nothing is known of any key\n";
        }
        context.terminal.result(&json!({ "keys": keys }), text)?;
        return Ok(ExitClass::Ok);
    }
    let peers: Vec<PeerRow> = node.get("/v1/peers")?;
    let mut text = String::new();
    for row in &peers {
        let side = if row.outbound { "connected from here" } else { "connected to here" };
        let mesh = if row.in_mesh { ", in the mesh" } else { "" };
        let ip = row.ip.as_deref().unwrap_or("through a relay");
        // Writing to a text does not fail.
        let _ = writeln!(text, "{}\n  {ip}, {side}{mesh}", row.peer);
        for key in &row.keys {
            let _ = writeln!(text, "  key    {}", named(key, &names));
        }
        let parts = [
            (row.score_trust, "trust in its keys"),
            (row.score_first, "first with good messages"),
            (row.score_invalid, "bad messages"),
            (row.score_broken, "rules broken"),
            (row.score_colocated, "others on its host"),
        ];
        let why: Vec<String> =
            parts.iter().filter(|(part, _)| *part != 0).map(|(part, why)| format!("{} {why}", points(*part))).collect();
        let why = if why.is_empty() { "nothing yet".to_owned() } else { why.join(", ") };
        let _ = writeln!(text, "  score  {}: {why}", points(row.score));
    }
    if peers.is_empty() {
        text += "nobody is connected: other nodes on the local network are found by themselves, or give --bootstrap\n";
    }
    context.terminal.result(&json!({ "peers": peers }), text)?;
    Ok(ExitClass::Ok)
}

/// Thousandths as decimals.
fn points(thousandths: i64) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let size = thousandths.unsigned_abs();
    format!("{sign}{}.{:03}", size / 1_000, size % 1_000)
}

/// Say with whom the node deals: refuse a key, trust it, or limit what may be outstanding with it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    nonos policy\n    nonos policy refuse HEX64\n    nonos policy limit HEX64 5")]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: Option<PolicyCommand>,

    #[command(flatten)]
    place: NodePlace,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Do not deal with a key, and take no connection of its peers.
    Refuse(PolicyKey),
    /// Deal with a key whatever its score.
    Trust(PolicyKey),
    /// Deal with a key as its score says, up to an amount.
    Limit(PolicyLimit),
    /// Leave a key to the rules.
    Clear(PolicyKey),
}

#[derive(Debug, Args)]
struct PolicyKey {
    /// The key, by its id or by a name of `nonos key list`.
    #[arg(value_name = "KEY")]
    key: String,

    #[command(flatten)]
    place: NodePlace,
}

#[derive(Debug, Args)]
struct PolicyLimit {
    /// The key, by its id or by a name of `nonos key list`.
    #[arg(value_name = "KEY")]
    key: String,

    /// At most so much outstanding, in NONOS.
    #[arg(value_name = "AMOUNT")]
    limit: Amount,

    #[command(flatten)]
    place: NodePlace,
}

/// Says with whom.
pub(crate) fn policy(args: &PolicyArgs, context: &Context) -> Result<ExitClass, Failure> {
    let (place, key, body) = match &args.command {
        None => return policies(&args.place, context),
        Some(PolicyCommand::Refuse(args)) => (&args.place, &args.key, Some(("refuse", None))),
        Some(PolicyCommand::Trust(args)) => (&args.place, &args.key, Some(("trust", None))),
        Some(PolicyCommand::Limit(args)) => (&args.place, &args.key, Some(("limit", Some(args.limit.to_string())))),
        Some(PolicyCommand::Clear(args)) => (&args.place, &args.key, None),
    };
    let node = place.open(context)?;
    let key = Names::of_home(context).find(key)?;
    let path = format!("/v1/policies/{key}");
    let name = body.as_ref().map(|(policy, _)| *policy);
    let text = match body {
        Some((policy, limit)) => {
            node.put(&path, &PolicyBody { policy: policy.to_owned(), limit: limit.clone() })?;
            format!("{key}: {policy}{}\n", limit.map(|limit| format!(" {limit}")).unwrap_or_default())
        }
        None => {
            node.call("DELETE", &path)?;
            format!("{key}: left to the rules\n")
        }
    };
    context.terminal.result(&json!({ "key": key.to_string(), "policy": name }), text)?;
    Ok(ExitClass::Ok)
}

fn policies(place: &NodePlace, context: &Context) -> Result<ExitClass, Failure> {
    let policies: Vec<PolicyRow> = place.open(context)?.get("/v1/policies")?;
    let names = Names::of_home(context);
    let mut text = String::new();
    for row in &policies {
        let limit = row.limit.as_deref().map(|limit| format!(" {limit}")).unwrap_or_default();
        // Writing to a text does not fail.
        let _ = writeln!(text, "{}: {}{limit}", named(&row.key, &names), row.policy);
    }
    if policies.is_empty() {
        text += "every key is left to the rules\n";
    }
    context.terminal.result(&json!({ "policies": policies }), text)?;
    Ok(ExitClass::Ok)
}

/// Verify a receipt or evidence and say it to everybody.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    nonos publish run.receipt")]
pub(crate) struct PublishArgs {
    /// The receipt or the evidence (`-` is stdin).
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    place: NodePlace,
}

/// Publishes.
pub(crate) fn publish(args: &PublishArgs, context: &Context) -> Result<ExitClass, Failure> {
    let node = args.place.open(context)?;
    let published: PublishedView =
        post_file(&node, "/v1/publish", &args.file).map_err(|failure| failure.in_file(&args.file))?;
    context.terminal.result(&json!({ "id": published.id }), format!("published {}\n", published.id))?;
    Ok(ExitClass::Ok)
}

/// Write capsules, receipts and evidence to one file, to be carried where there is no network.
///
/// The file is a tar archive; `nonos import` takes it elsewhere. Without an id it holds everything that the node holds.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n    nonos export -o all.nonos\n    nonos export HEX64 -o one.nonos && tar tf one.nonos"
)]
pub(crate) struct ExportArgs {
    /// Only these capsules, by their ids; receipts and evidence always go along.
    #[arg(value_name = "ID")]
    ids: Vec<CapsuleId>,

    /// Where it goes (`-` is stdout).
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    place: NodePlace,
}

/// Exports.
pub(crate) fn export(args: &ExportArgs, context: &Context) -> Result<ExitClass, Failure> {
    let node = args.place.open(context)?;
    let ids: Vec<String> = args.ids.iter().map(ToString::to_string).collect();
    let spinner = context.terminal.spinner("gathering");
    let bytes = node.bytes(&format!("/v1/export?ids={}", ids.join(",")));
    spinner.finish_and_clear();
    write_from(bytes?, &args.output, context)?;
    if !file::is_stream(&args.output) {
        let path = args.output.display().to_string();
        context.terminal.result(&json!({ "file": path }), format!("wrote {path}\n"))?;
    }
    Ok(ExitClass::Ok)
}

/// Take a file that `nonos export` wrote: everything in it is checked first, then all of it is taken, or nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    nonos import all.nonos")]
pub(crate) struct ImportArgs {
    /// The file (`-` is stdin).
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    place: NodePlace,
}

/// Imports.
pub(crate) fn import(args: &ImportArgs, context: &Context) -> Result<ExitClass, Failure> {
    let node = args.place.open(context)?;
    let spinner = context.terminal.spinner("checking");
    let imported: Result<ImportView, Failure> = post_file(&node, "/v1/import", &args.file);
    spinner.finish_and_clear();
    let imported = imported.map_err(|failure| failure.in_file(&args.file))?;
    let text = format!(
        "taken: {}, {}, {}, {} of evidence; {} known already\n",
        number::counted(imported.holdings.len() as u64, "content"),
        number::counted(imported.announcements as u64, "announcement"),
        number::counted(imported.receipts as u64, "receipt"),
        number::counted(imported.evidence as u64, "piece"),
        imported.known
    );
    let value = serde_json::to_value(&imported).expect("a view is JSON");
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}
