//! A peer: a home, a node that runs in it, and commands that ask it.

use nonos_author::{
    home::Home,
    keystore::{Keystore, Protection},
};
use nonos_keys::SecretKey;
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// How long anything may take.
pub const SOON: Duration = Duration::from_secs(60);

pub struct Peer {
    pub folder: PathBuf,
    /// The network namespace in which it runs.
    host: Option<String>,
    child: Option<Child>,
    _dir: tempfile::TempDir,
}

/// `nonos`, on this host or on another.
fn nonos(host: Option<&str>) -> Command {
    let binary = env!("CARGO_BIN_EXE_nonos");
    match host {
        None => Command::new(binary),
        Some(host) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", host, binary]);
            command
        }
    }
}

impl Peer {
    pub fn new(key: &SecretKey) -> Self {
        Self::on(None, key)
    }

    pub fn on(host: Option<&str>, key: &SecretKey) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        for dir in [home.keys_dir(), home.statements_dir()] {
            Home::create_private_dir(&dir).unwrap();
        }
        Keystore::open(&home).unwrap().store("default", key, Protection::Plain).unwrap();
        let folder = dir.path().join("node");
        Self { folder, host: host.map(str::to_owned), child: None, _dir: dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self._dir.path().join(name)
    }

    fn command(&self, host: Option<&str>) -> Command {
        let mut command = nonos(host);
        command
            .current_dir(self._dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("NONOS_HOME", self._dir.path().join("home"))
            .stdin(Stdio::null());
        command
    }

    /// Starts the node; it is there when this returns.
    pub fn start(&mut self, arguments: &[&str]) -> &mut Self {
        assert!(self.child.is_none(), "it runs already");
        let mut command = self.command(self.host.as_deref());
        command.args(["node", "--json", "-v", "--data"]).arg(&self.folder).args(arguments);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        // It says who it is when it listens.
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !line.ends_with("}\n") {
            let more = lines.read_line(&mut line).unwrap();
            assert!(more > 0, "the node did not start: {}", self.log());
        }
        self.child = Some(child);
        self.wait_for("the API", |peer| peer.try_ask(&["node", "status"]).map(drop));
        self
    }

    /// Starts it on this host alone, with a peer to begin with.
    pub fn start_here(&mut self, bootstrap: Option<&str>) -> &mut Self {
        let mut arguments = vec!["--no-local", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"];
        if let Some(address) = bootstrap {
            arguments.extend(["--bootstrap", address]);
        }
        self.start(&arguments)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.wait_for("an address", |peer| {
            let status = peer.try_ask(&["node", "status"])?;
            status["listening"].as_array()?.first()?.as_str().map(str::to_owned)
        })
    }

    /// What a command printed, if it ended well.
    pub fn try_ask(&self, arguments: &[&str]) -> Option<Value> {
        let output = self.run(arguments);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    pub fn ask(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "nonos {arguments:?}: {stderr}\n{}", self.log());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The exit code of a command that must fail, and what it said.
    pub fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        assert!(!output.status.success(), "nonos {arguments:?} must fail");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        // The API is on the node's own host.
        let mut command = self.command(self.host.as_deref());
        // Before what clap would take for values.
        let (first, rest) = arguments.split_first().unwrap();
        command.args(["--json", first]);
        command.args(rest);
        if !(arguments.starts_with(&["evidence", "verify"])) {
            command.arg("--data").arg(&self.folder);
        }
        command.output().unwrap()
    }

    /// Waits until something is so.
    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(begin.elapsed() < SOON, "waited too long for {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it knows who holds something.
    pub fn knows_holders(&self, id: &str, count: usize) {
        self.wait_for("holders", |peer| {
            let found = peer.try_ask(&["find", id, "--wait", "1"])?;
            let holders = found["found"][0]["holders"].as_array()?;
            (holders.len() >= count).then_some(())
        });
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// In good order.
    pub fn stop(&mut self) {
        self.ask(&["node", "stop"]);
        let mut child = self.child.take().unwrap();
        let begin = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(begin.elapsed() < SOON, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A file of random-looking bytes, the same every time.
pub fn bulk(path: &Path, seed: u64, bytes: usize) -> String {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut content);
    std::fs::write(path, &content).unwrap();
    blake3::hash(&content).to_string()
}
