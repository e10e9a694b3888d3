//! The same rows in PostgreSQL, where it is installed: a server of its own with its default, durable settings, rows by COPY,
//! one transaction for each group. The server is started for this, in a folder of its own without a network, and ended.

use super::{Measured, Step};
use crate::failure::Failure;
use nonos_store::GROUP_MAX;
use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long the server may take to start.
const START: Duration = Duration::from_secs(20);
/// Where Debian keeps what is not on the path.
const DEBIAN: &str = "/usr/lib/postgresql";

const SCHEMA: &str = "
create table journal (seq bigint primary key, record bytea not null);
create table about (subject bytea not null, seq bigint not null, primary key (subject, seq));
create table tickets (id bytea primary key, record bytea not null);
create table accounts (kind smallint not null, key bytea not null, debits numeric not null, credits numeric not null,
    primary key (kind, key));
create table entries (seq bigint primary key, event bigint not null, kind smallint not null, stream smallint not null,
    ticket bytea not null, capsule bytea not null, debit_kind smallint not null, debit_key bytea not null,
    credit_kind smallint not null, credit_key bytea not null, amount bigint not null);
create temporary table ticket_rows (id bytea, record bytea, at bigint);
create temporary table account_rows (kind smallint, key bytea, debits numeric, credits numeric);
";

/// A server that ends when this is dropped.
struct Server {
    child: Child,
    bin: PathBuf,
    socket: PathBuf,
    user: Option<(u32, u32)>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The one that was started here: SIGINT is its fast shutdown.
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        let _ = self.child.wait();
    }
}

/// How fast it is, or why that is not known.
pub(super) fn measure(folder: &Path, steps: &[Step], entries: u64) -> Result<Result<Measured, String>, Failure> {
    let Some(bin) = find() else { return Ok(Err("not installed".to_owned())) };
    let server = match start(&bin, folder) {
        Ok(server) => server,
        Err(why) => return Ok(Err(why)),
    };
    let groups: Vec<String> = steps.chunks(GROUP_MAX).map(script).collect();
    Ok(run(&server, &groups, entries))
}

fn find() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut versions: Vec<PathBuf> =
        fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    let all = on_path.unwrap_or_default().into_iter().chain(versions.into_iter().rev());
    all.into_iter().find(|folder| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file()))
}

/// PostgreSQL refuses to be run by root: another user, by its number.
fn other_user() -> Option<(u32, u32)> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let number = |what: &str, user: &str| {
        let output = Command::new("id").args([what, user]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    ["postgres", "nobody"].iter().find_map(|user| Some((number("-u", user)?, number("-g", user)?)))
}

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.env("LC_ALL", "C").current_dir("/");
    command
}

fn start(bin: &Path, folder: &Path) -> Result<Server, String> {
    let user = other_user();
    let (data, socket) = (folder.join("postgres"), folder.join("socket"));
    for folder in [&data, &socket] {
        fs::create_dir(folder).map_err(|error| error.to_string())?;
        if let Some((uid, gid)) = user {
            chown(folder, Some(uid), Some(gid)).map_err(|error| error.to_string())?;
        }
    }
    if user.is_some() {
        // The other user must be able to come through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        fs::set_permissions(folder, open).map_err(|error| error.to_string())?;
    }
    let made = command(&bin.join("initdb"), user)
        .args(["-A", "trust", "-U", "bench", "--locale=C", "-E", "UTF8", "-D"])
        .arg(&data)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if !made.status.success() {
        return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr).trim()));
    }
    let child = command(&bin.join("postgres"), user)
        .args(["-c", "listen_addresses=", "-c", "logging_collector=off", "-k"])
        .arg(&socket)
        .arg("-D")
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let server = Server { child, bin: bin.to_owned(), socket, user };
    let begin = Instant::now();
    while begin.elapsed() < START {
        let ready = psql(&server).args(["-c", "select 1"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if ready.is_ok_and(|status| status.success()) {
            return Ok(server);
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err("the server does not start".to_owned())
}

fn psql(server: &Server) -> Command {
    let mut psql = command(&server.bin.join("psql"), server.user);
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "bench", "-d", "postgres", "-h"]).arg(&server.socket);
    psql
}

fn run(server: &Server, groups: &[String], entries: u64) -> Result<Measured, String> {
    let mut child = psql(server)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("no pipe to psql".to_owned());
    };
    let write = |stdin: &mut std::process::ChildStdin, text: &str| stdin.write_all(text.as_bytes());
    // The clock starts when the tables are there.
    write(&mut stdin, SCHEMA)
        .and_then(|()| write(&mut stdin, "\\echo ready\n"))
        .and_then(|()| stdin.flush())
        .map_err(|error| error.to_string())?;
    let mut ready = [0; 6];
    std::io::Read::read_exact(&mut stdout, &mut ready).map_err(|error| error.to_string())?;
    let start = Instant::now();
    for group in groups {
        write(&mut stdin, group).map_err(|error| error.to_string())?;
    }
    drop(stdin);
    let ended = child.wait_with_output().map_err(|error| error.to_string())?;
    let measured = Measured::new(entries, start.elapsed().as_secs_f64());
    if ended.status.success() {
        Ok(measured)
    } else {
        Err(format!("psql: {}", String::from_utf8_lossy(&ended.stderr).trim()))
    }
}

/// One transaction.
fn script(group: &[Step]) -> String {
    let mut sql = String::from("begin;\ncopy journal from stdin;\n");
    let bytes = |sql: &mut String, bytes: &[u8]| {
        sql.push_str("\\\\x");
        sql.push_str(&hex::encode(bytes));
    };
    // Writing to a text does not fail.
    for step in group {
        let _ = write!(sql, "{}\t", step.seq);
        bytes(&mut sql, &step.record);
        sql.push('\n');
    }
    sql.push_str("\\.\ncopy about from stdin;\n");
    for step in group {
        for subject in &step.subjects {
            bytes(&mut sql, subject);
            let _ = writeln!(sql, "\t{}", step.seq);
        }
    }
    sql.push_str("\\.\ncopy entries from stdin;\n");
    for entry in group.iter().flat_map(|step| &step.entries) {
        let stream = entry.stream.map_or(0, |stream| stream as u8 + 1);
        let _ = write!(sql, "{}\t{}\t{}\t{stream}\t", entry.seq, entry.event, entry.kind as u8);
        bytes(&mut sql, entry.ticket.as_bytes());
        sql.push('\t');
        bytes(&mut sql, entry.capsule.as_bytes());
        let _ = write!(sql, "\t{}\t", entry.debit.kind as u8);
        bytes(&mut sql, entry.debit.key.as_bytes());
        let _ = write!(sql, "\t{}\t", entry.credit.kind as u8);
        bytes(&mut sql, entry.credit.key.as_bytes());
        let _ = writeln!(sql, "\t{}", entry.amount.units());
    }
    sql.push_str("\\.\ntruncate ticket_rows, account_rows;\ncopy ticket_rows from stdin;\n");
    for step in group {
        for (id, record) in &step.tickets {
            bytes(&mut sql, id);
            sql.push('\t');
            bytes(&mut sql, record);
            let _ = writeln!(sql, "\t{}", step.seq);
        }
    }
    sql.push_str("\\.\ncopy account_rows from stdin;\n");
    for (account, (debits, credits)) in Step::accounts(group) {
        let _ = write!(sql, "{}\t", account.kind as u8);
        bytes(&mut sql, account.key.as_bytes());
        let _ = writeln!(sql, "\t{debits}\t{credits}");
    }
    sql.push_str(
        "\\.\ninsert into tickets select distinct on (id) id, record from ticket_rows order by id, at desc \
         on conflict (id) do update set record = excluded.record;\n\
         insert into accounts select * from account_rows on conflict (kind, key) do update \
         set debits = accounts.debits + excluded.debits, credits = accounts.credits + excluded.credits;\ncommit;\n",
    );
    sql
}
