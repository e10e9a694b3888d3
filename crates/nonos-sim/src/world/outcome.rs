//! Outcome: what a run came to.

use super::{Liar, Node, World, node_of};
use crate::{Attack, Cost, Report, seeding::Seeding};

impl World<'_> {
    /// Of the fake seeders, how many honest nodes refuse the one that is refused by least, in thousandths, and how long
    /// it took until 99 of 100 refused it: from when it was found out with a second content; the slowest.
    fn refusals(&self) -> (Option<u32>, Option<u64>) {
        let honest = self.scenario.nodes - self.scenario.attackers;
        if self.scenario.attack != Attack::FakeSeeders {
            return (None, None);
        }
        let (mut least, mut slowest) = (1_000, Some(0));
        for node in honest..self.scenario.nodes {
            let none = Liar::default();
            let liar = self.liars.get(&node).unwrap_or(&none);
            least = least.min((liar.refused.len() * 1_000 / honest as usize) as u32);
            let mut found_ms: Vec<u64> = liar.found_ms.values().copied().collect();
            found_ms.sort_unstable();
            let mut times: Vec<u64> = liar.refused.values().copied().collect();
            times.sort_unstable();
            let took_ms = match (found_ms.get(1), times.get((honest as usize * 99).div_ceil(100) - 1)) {
                (Some(from_ms), Some(until_ms)) => Some(until_ms.saturating_sub(*from_ms)),
                _ => None,
            };
            slowest = slowest.zip(took_ms).map(|(one, other): (u64, u64)| one.max(other));
        }
        (Some(least), slowest)
    }

    /// How many times an honest node has anything against the key of another one.
    fn distrusted(&self) -> u32 {
        let honest = self.scenario.nodes - self.scenario.attackers;
        let count = |node: &Node| {
            let keys = node.trust.keys().filter_map(|key| self.keys.node(key));
            keys.filter(|other| !self.attacks(*other)).count() as u32
        };
        self.nodes[..honest as usize].iter().map(count).sum()
    }

    fn cost(&self) -> Cost {
        let keys = self.keys.nodes().filter(|node| self.attacks(*node)).count() as u32;
        let lies = self.seeding.as_ref().map_or(0, |seeding| seeding.lie_signatures);
        Cost { keys, signatures: lies + self.accuser_signatures, frames: self.sent[1].0, bytes: self.sent[1].1 }
    }

    pub(crate) fn report(&self) -> Report {
        let honest = self.scenario.nodes - self.scenario.attackers;
        let (refused_permille, refused99_ms) = self.refusals();
        let (downloads, downloads_whole) = self.seeding.as_ref().map_or((0, 0), Seeding::loads);
        let (mut reach, mut halves, mut lasts) = (1_000, Vec::new(), Vec::new());
        for published in self.published.values() {
            let count = honest as usize;
            let mut times: Vec<u64> = published.had.values().map(|at_ms| at_ms - published.at_ms).collect();
            times.sort_unstable();
            reach = reach.min((times.len() * 1_000 / count) as u32);
            halves.extend(times.get(count.div_ceil(2) - 1));
            let was_split =
                self.scenario.split_ms.is_some_and(|(from_ms, to_ms)| (from_ms..to_ms).contains(&published.at_ms));
            if !was_split {
                lasts.push(times.get((count * 99).div_ceil(100) - 1).copied());
            }
        }
        halves.sort_unstable();
        let places = |node: u32| self.nodes[node as usize].router.mesh().map(node_of).collect::<Vec<_>>();
        let places: Vec<u32> = (0..honest).flat_map(places).collect();
        let theirs = places.iter().filter(|node| self.attacks(**node)).count();
        Report {
            scenario: self.scenario.name,
            seed: self.seed,
            honest,
            attackers: self.scenario.attackers,
            messages: self.published.len() as u32,
            reach_permille: reach,
            reach50_ms: halves.get(halves.len() / 2).copied(),
            // One that never came is worse than any time.
            reach99_ms: lasts.into_iter().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max()),
            honest_punished: self.honest_punished,
            attackers_punished: self.punished.len() as u32,
            attackers_in_mesh_permille: (theirs * 1_000 / places.len().max(1)) as u32,
            cost: self.cost(),
            evidence: self.evidence,
            refused_permille,
            refused99_ms,
            honest_distrusted: self.distrusted(),
            downloads,
            downloads_whole,
            honest_frames: self.sent[0].0,
            honest_bytes: self.sent[0].1,
            trace: *self.trace.finalize().as_bytes(),
        }
    }
}
