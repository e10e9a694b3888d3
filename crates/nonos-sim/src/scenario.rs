//! Scenario: how large the network is, what happens to it, and who attacks.

use crate::Attack;

/// What is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// How many nodes, attackers among them.
    pub nodes: u32,
    /// How many of them attack.
    pub attackers: u32,
    /// What they do.
    pub attack: Attack,
    /// How many others each node connects to.
    pub dials: u32,
    /// How long it takes, in simulated milliseconds.
    pub length_ms: u64,
    /// When the first message is published.
    pub first_ms: u64,
    /// How many messages honest nodes publish.
    pub messages: u32,
    /// Between two of them.
    pub every_ms: u64,
    /// The network is in two halves from then to then.
    pub split_ms: Option<(u64, u64)>,
    /// Each second so many honest nodes of a thousand go, and come back after ten seconds as new.
    pub churn_permille: u32,
    /// One frame in so many breaks its connection; 0: none.
    pub breaks_one_in: u64,
}

impl Scenario {
    /// Nobody attacks.
    #[must_use]
    pub const fn honest(nodes: u32) -> Self {
        Self {
            name: "honest",
            nodes,
            attackers: 0,
            attack: Attack::Drop,
            dials: 10,
            length_ms: 20_000,
            first_ms: 5_000,
            messages: 10,
            every_ms: 500,
            split_ms: None,
            churn_permille: 0,
            breaks_one_in: 0,
        }
    }

    const fn attacked(name: &'static str, nodes: u32, percent: u32, attack: Attack) -> Self {
        Self { name, attackers: nodes * percent / 100, attack, ..Self::honest(nodes) }
    }
}

/// All of them, for so many nodes.
#[must_use]
pub fn scenarios(nodes: u32) -> Vec<Scenario> {
    let honest = Scenario::honest(nodes);
    vec![
        honest.clone(),
        Scenario { name: "split and healed", split_ms: Some((4_000, 15_000)), length_ms: 30_000, ..honest.clone() },
        Scenario { name: "churn", churn_permille: 10, ..honest.clone() },
        Scenario { name: "broken links", breaks_one_in: 20_000, ..honest },
        Scenario::attacked("sybil", nodes, 20, Attack::Drop),
        Scenario {
            length_ms: 200_000,
            messages: 95,
            every_ms: 2_000,
            ..Scenario::attacked("free riders", nodes, 20, Attack::Drop)
        },
        Scenario::attacked("eclipse", nodes, 20, Attack::Eclipse),
        Scenario::attacked("censor", nodes, 20, Attack::Censor),
        Scenario::attacked("cold boot", nodes, 50, Attack::ColdBoot),
        Scenario::attacked("covert flash", nodes, 40, Attack::Flash { after_ms: 7_000 }),
        Scenario::attacked("one host", nodes, 20, Attack::OneHost),
        Scenario::attacked("spam", nodes, 5, Attack::Spam),
        Scenario::attacked("flood", nodes, 5, Attack::Flood),
        Scenario::attacked("fake seeders", nodes, 5, Attack::FakeSeeders),
        Scenario::attacked("false accusers", nodes, 5, Attack::FalseAccusers),
        Scenario::attacked("receipt spam", nodes, 5, Attack::ReceiptSpam),
    ]
}
