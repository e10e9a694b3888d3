//! `cargo xtask sim`: a network of many nodes in one thread, honest and under attack.

use crate::print_json;
use anyhow::{Result, bail, ensure};
use clap::Args;
use nonos_sim::{Cost, Report, Scenario, scenarios, simulate};
use serde_json::{Value, json};
use std::time::Instant;

/// Seeds of a long run.
const SEEDS_LONG: u64 = 1_000;
/// Nodes of each of its networks: a thousand seeds of a thousand nodes would take a week.
const NODES_LONG: u32 = 100;

/// See [`crate::Command::Sim`].
#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How many nodes, attackers among them.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    nodes: u32,
    /// One scenario by its name.
    #[arg(long)]
    scenario: Option<String>,
    /// A thousand seeds of a hundred nodes each.
    #[arg(long)]
    long: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Sim {
    /// What CI plays.
    pub(crate) fn sample() -> Self {
        Self { seed: 1, seeds: 1, nodes: 1_000, scenario: None, long: false, json: false }
    }

    pub(crate) fn run(&self) -> Result<()> {
        let (seeds, nodes) = if self.long { (SEEDS_LONG, NODES_LONG) } else { (self.seeds, self.nodes) };
        let start = Instant::now();
        let wanted = |scenario: &Scenario| self.scenario.as_deref().is_none_or(|name| name == scenario.name);
        let all: Vec<Scenario> = scenarios(nodes).into_iter().filter(wanted).collect();
        if all.is_empty() {
            let names: Vec<&str> = scenarios(nodes).iter().map(|scenario| scenario.name).collect();
            bail!("no such scenario: there are {}", names.join(", "));
        }
        let mut rows = Vec::new();
        for scenario in &all {
            let reports: Vec<Report> = (0..seeds).map(|seed| simulate(scenario, self.seed + seed)).collect();
            rows.push(Row::of(&reports));
        }
        let punished: u64 = rows.iter().map(|row| row.honest_punished).sum();
        let distrusted: u64 = rows.iter().map(|row| row.honest_distrusted).sum();
        let wall_s = start.elapsed().as_secs_f64();
        if self.json {
            let honest = rows.first().filter(|row| row.scenario == "honest");
            print_json(&json!({
                "seed": self.seed, "seeds": seeds, "nodes": nodes, "wall_s": wall_s,
                "reach99_ms": honest.and_then(|row| row.reach99_ms),
                "honest_punished": punished, "honest_distrusted": distrusted,
                "attacks": rows.iter().map(Row::json).collect::<Vec<_>>(),
            }))?;
        } else {
            println!("{nodes} nodes, {seeds} seed(s) from {}, {wall_s:.1} s; worst of all seeds", self.seed);
            println!(
                "{:16} {:>9} {:>7} {:>8} {:>8} {:>10}  {:48} effect",
                "scenario", "attackers", "reach", "half ms", "99 % ms", "honest hit", "cost"
            );
            for row in &rows {
                row.print();
            }
        }
        ensure!(punished == 0, "honest nodes were punished by honest nodes {punished} times");
        ensure!(distrusted == 0, "honest keys lost the trust of honest nodes {distrusted} times");
        Ok(())
    }
}

/// A scenario over all its seeds, the worst of each.
struct Row {
    scenario: &'static str,
    attackers: u32,
    reach_permille: u32,
    reach50_ms: Option<u64>,
    reach99_ms: Option<u64>,
    honest_punished: u64,
    attackers_punished: u32,
    attackers_in_mesh_permille: u32,
    cost: Cost,
    evidence: u32,
    refused_permille: Option<u32>,
    refused99_ms: Option<u64>,
    honest_distrusted: u64,
    downloads: u32,
    downloads_whole: u32,
    honest_frames: u64,
    honest_bytes: u64,
}

impl Row {
    fn of(reports: &[Report]) -> Self {
        // A message that never came is worse than any time.
        let worst = |ms: fn(&Report) -> Option<u64>| {
            let all: Option<Vec<u64>> = reports.iter().map(ms).collect();
            all.and_then(|all| all.into_iter().max())
        };
        let most = |of: fn(&Report) -> u64| reports.iter().map(of).max().unwrap_or_default();
        let least = |of: fn(&Report) -> u64| reports.iter().map(of).min().unwrap_or_default();
        Self {
            scenario: reports.first().map_or("", |report| report.scenario),
            attackers: reports.first().map_or(0, |report| report.attackers),
            reach_permille: reports.iter().map(|report| report.reach_permille).min().unwrap_or_default(),
            reach50_ms: worst(|report| report.reach50_ms),
            reach99_ms: worst(|report| report.reach99_ms),
            honest_punished: reports.iter().map(|report| u64::from(report.honest_punished)).sum(),
            attackers_punished: reports.iter().map(|report| report.attackers_punished).min().unwrap_or_default(),
            attackers_in_mesh_permille: most(|report| report.attackers_in_mesh_permille.into()) as u32,
            cost: Cost {
                keys: most(|report| report.cost.keys.into()) as u32,
                signatures: most(|report| report.cost.signatures),
                frames: most(|report| report.cost.frames),
                bytes: most(|report| report.cost.bytes),
            },
            evidence: least(|report| report.evidence.into()) as u32,
            refused_permille: reports.iter().filter_map(|report| report.refused_permille).min(),
            refused99_ms: worst(|report| report.refused99_ms),
            honest_distrusted: reports.iter().map(|report| u64::from(report.honest_distrusted)).sum(),
            downloads: least(|report| report.downloads.into()) as u32,
            downloads_whole: least(|report| report.downloads_whole.into()) as u32,
            honest_frames: most(|report| report.honest_frames),
            honest_bytes: most(|report| report.honest_bytes),
        }
    }

    fn json(&self) -> Value {
        let Cost { keys, signatures, frames, bytes } = self.cost;
        json!({
            "scenario": self.scenario, "attackers": self.attackers, "reach_permille": self.reach_permille,
            "reach50_ms": self.reach50_ms, "reach99_ms": self.reach99_ms, "honest_punished": self.honest_punished,
            "attackers_punished": self.attackers_punished,
            "attackers_in_mesh_permille": self.attackers_in_mesh_permille,
            "attacker_frames": frames, "attacker_bytes": bytes,
            "attacker_keys": keys, "attacker_signatures": signatures,
            "evidence": self.evidence, "refused_permille": self.refused_permille, "refused99_ms": self.refused99_ms,
            "honest_distrusted": self.honest_distrusted,
            "downloads": self.downloads, "downloads_whole": self.downloads_whole,
            "honest_frames": self.honest_frames, "honest_bytes": self.honest_bytes,
            "cost": self.cost(), "effect": self.effect(),
        })
    }

    /// What the attackers spent, all together.
    fn cost(&self) -> String {
        let Cost { keys, signatures, frames, bytes } = self.cost;
        let signed = if keys > 0 { format!("{keys} keys, {signatures} signatures, ") } else { String::new() };
        match self.attackers {
            0 => String::new(),
            _ => format!("{signed}{frames} frames, {:.1} MB", bytes as f64 / 1e6),
        }
    }

    /// What came of it for them and for the others.
    fn effect(&self) -> String {
        if self.attackers == 0 {
            return String::new();
        }
        let percent = |permille: u32| f64::from(permille) / 10.0;
        let mut parts = vec![
            format!("{} let go", self.attackers_punished),
            format!("{:.1} % of places", percent(self.attackers_in_mesh_permille)),
        ];
        if let Some(permille) = self.refused_permille {
            let after = ms(self.refused99_ms);
            parts.push(format!("refused by {:.1} %, 99 % after {after} ms", percent(permille)));
            parts.push(format!("{} of {} downloads whole", self.downloads_whole, self.downloads));
        }
        if self.cost.keys > 0 {
            parts.push(format!("{} honest distrusted", self.honest_distrusted));
        }
        parts.join(", ")
    }

    fn print(&self) {
        println!(
            "{:16} {:>9} {:>6.1}% {:>8} {:>8} {:>10}  {:48} {}",
            self.scenario,
            self.attackers,
            f64::from(self.reach_permille) / 10.0,
            ms(self.reach50_ms),
            ms(self.reach99_ms),
            self.honest_punished,
            self.cost(),
            self.effect()
        );
    }
}

fn ms(ms: Option<u64>) -> String {
    ms.map_or_else(|| "never".to_owned(), |ms| ms.to_string())
}
