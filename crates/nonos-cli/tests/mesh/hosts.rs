//! Hosts of their own: network namespaces on one switch, and a disk that is full. Both need a system that lets us make
//! them; without `NONOS_REQUIRE_HOSTS=1` a system that does not leaves these tests out, and says so.

use crate::{
    making::{self, key},
    peer::{Peer, bulk},
};
use std::process::Command;

fn run(program: &str, words: &str) -> Result<(), String> {
    let output = Command::new(program).args(words.split(' ')).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program} {words}: {said}")) }
}

/// What cannot be had is left out, or is a failure where it must not be.
fn or_left_out<T>(result: Result<T, String>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(why) if std::env::var_os("NONOS_REQUIRE_HOSTS").is_some() => panic!("{why}"),
        Err(why) => {
            eprintln!("left out: {why}");
            None
        }
    }
}

/// A switch and hosts on it; all gone when it is dropped.
struct Network {
    name: String,
    hosts: usize,
}

impl Network {
    fn new(name: &str, hosts: usize) -> Result<Self, String> {
        let name = format!("nonos-{}-{name}", std::process::id());
        let network = Self { name, hosts };
        let switch = network.switch();
        run("ip", &format!("netns add {switch}"))?;
        run("ip", &format!("-n {switch} link add br0 type bridge"))?;
        run("ip", &format!("-n {switch} link set br0 up"))?;
        for number in 0..hosts {
            let host = network.host(number);
            run("ip", &format!("netns add {host}"))?;
            run("ip", &format!("-n {switch} link add p{number} type veth peer name eth0 netns {host}"))?;
            run("ip", &format!("-n {switch} link set p{number} master br0 up"))?;
            run("ip", &format!("-n {host} addr add 10.77.0.{}/24 dev eth0", number + 1))?;
            run("ip", &format!("-n {host} link set eth0 up"))?;
            run("ip", &format!("-n {host} link set lo up"))?;
            // Where multicast goes.
            run("ip", &format!("-n {host} route add default dev eth0"))?;
        }
        Ok(network)
    }

    fn switch(&self) -> String {
        format!("{}-sw", self.name)
    }

    fn host(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    /// Pulls a host's cable, or puts it in again.
    fn cable(&self, number: usize, state: &str) {
        run("ip", &format!("-n {} link set p{number} {state}", self.switch())).unwrap();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let hosts = (0..self.hosts).map(|number| self.host(number)).chain([self.switch()]);
        for host in hosts {
            // What was not made cannot be taken away.
            let _ = run("ip", &format!("netns del {host}"));
        }
    }
}

#[test]
fn hosts_on_one_network_find_each_other_and_a_split_heals() {
    let Some(network) = or_left_out(Network::new("lan", 3)) else { return };
    let mut peers: Vec<Peer> =
        (0..3).map(|number| Peer::on(Some(&network.host(number)), &key(1 + number as u8))).collect();
    // No address, no peer, nothing is told to them.
    for peer in &mut peers {
        peer.start(&[]);
    }
    let count = |peer: &Peer| peer.ask(&["peers"])["peers"].as_array().unwrap().len();
    for peer in &peers {
        peer.wait_for("two others", |peer| (count(peer) == 2).then_some(()));
    }
    network.cable(2, "down");
    for (number, others) in [(0, 1), (1, 1), (2, 0)] {
        peers[number].wait_for("the split", |peer| (count(peer) == others).then_some(()));
    }
    // Things happen on both sides.
    let capsule = making::good();
    std::fs::write(peers[0].path("sample.mod"), capsule.encode()).unwrap();
    peers[0].ask(&["seed", peers[0].path("sample.mod").to_str().unwrap()]);
    let content = bulk(&peers[2].path("notes"), 3, 1_000_000);
    peers[2].ask(&["seed", "--content", peers[2].path("notes").to_str().unwrap()]);
    assert_eq!(peers[2].fails(&["fetch", "sample"]).0, 30, "it is on the other side");
    network.cable(2, "up");
    for peer in &peers {
        peer.wait_for("the others again", |peer| (count(peer) == 2).then_some(()));
    }
    peers[2].wait_for("the capsule", |peer| peer.try_ask(&["fetch", "sample", "--give-up", "5"]));
    peers[1].knows_holders(&content, 1);
    peers[1].ask(&["fetch", &content]);
}

/// A small disk of its own.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn new(path: &std::path::Path, megabytes: usize) -> Result<Self, String> {
        std::fs::create_dir_all(path).map_err(|error| error.to_string())?;
        run("mount", &format!("-t tmpfs -o size={megabytes}m,mode=700 tmpfs {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = run("umount", &format!("-l {}", self.0.display()));
    }
}

#[test]
fn a_node_whose_disk_is_full_says_so_and_goes_on() {
    let (mut seeder, mut small) = (Peer::new(&key(1)), Peer::new(&key(2)));
    let Some(disk) = or_left_out(SmallDisk::new(&small.folder, 24)) else { return };
    seeder.start_here(None);
    small.start_here(Some(&seeder.address()));
    let (large, little) = (bulk(&seeder.path("large"), 1, 64 << 20), bulk(&seeder.path("little"), 2, 2 << 20));
    for name in ["large", "little"] {
        seeder.ask(&["seed", "--content", seeder.path(name).to_str().unwrap()]);
    }
    small.knows_holders(&large, 1);
    small.knows_holders(&little, 1);
    small.ask(&["fetch", &little]);
    let (code, said) = small.fails(&["fetch", &large]);
    assert!(code == 31 && said.contains("No space left on device"), "{said}");
    let status = small.ask(&["node", "status"]);
    assert!(status["warnings"].to_string().contains("No space left on device"), "{status}");
    // A file that does not fit is refused, and leaves nothing.
    let (code, said) = small.fails(&["seed", "--content", seeder.path("large").to_str().unwrap()]);
    assert!(code == 3 && said.contains("No space left on device"), "{said}");
    // It serves what it has, and takes what fits once there is room.
    assert_eq!(small.ask(&["seed"])["holdings"][0]["id"], little.as_str());
    for entry in std::fs::read_dir(small.folder.join("parts")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let other = bulk(&small.path("other"), 3, 1 << 20);
    small.ask(&["seed", "--content", small.path("other").to_str().unwrap()]);
    small.kill();
    small.start_here(Some(&seeder.address()));
    let holdings = small.ask(&["seed"])["holdings"].to_string();
    assert!(holdings.contains(&little) && holdings.contains(&other), "{holdings}");
    small.kill();
    drop(disk);
}
