use super::*;

#[test]
fn the_same_seed_gives_the_same_report_and_another_one_another() {
    for scenario in scenarios(60) {
        let report = simulate(&scenario, 7);
        assert_eq!(report, simulate(&scenario, 7), "{}", scenario.name);
        assert_ne!(report.trace, simulate(&scenario, 8).trace, "{}", scenario.name);
    }
}

#[test]
fn honest_nodes_hear_everything_soon_and_nobody_is_punished() {
    let report = simulate(&Scenario::honest(200), 1);
    assert_eq!(report.reach_permille, 1_000, "{report:?}");
    assert!(report.reach99_ms.is_some_and(|ms| ms < 1_500), "{report:?}");
    assert_eq!(report.honest_punished, 0);
}

#[test]
fn no_attack_makes_honest_nodes_punish_each_other() {
    for seed in 1..=3 {
        for scenario in scenarios(100) {
            let report = simulate(&scenario, seed);
            assert_eq!(report.honest_punished, 0, "{report:?}");
        }
    }
}

#[test]
fn with_a_fifth_of_sybils_everybody_hears_everything_in_time() {
    let sybil = scenarios(200).into_iter().find(|scenario| scenario.name == "sybil").expect("it is there");
    let report = simulate(&sybil, 1);
    assert_eq!(report.reach_permille, 1_000, "{report:?}");
    assert!(report.reach99_ms.is_some_and(|ms| ms < 1_500), "{report:?}");
}

#[test]
fn a_network_that_was_split_hears_what_it_missed() {
    let split = scenarios(100).into_iter().find(|scenario| scenario.split_ms.is_some()).expect("it is there");
    let report = simulate(&split, 1);
    assert_eq!(report.reach_permille, 1_000, "{report:?}");
}

#[test]
fn who_spams_or_floods_is_let_go_by_its_neighbours() {
    for name in ["spam", "flood"] {
        let scenario = scenarios(100).into_iter().find(|scenario| scenario.name == name).expect("it is there");
        let report = simulate(&scenario, 1);
        assert_eq!(report.attackers_punished, report.attackers, "{report:?}");
        assert_eq!(report.reach_permille, 1_000, "{report:?}");
    }
}

fn named(name: &str, nodes: u32) -> Scenario {
    scenarios(nodes).into_iter().find(|scenario| scenario.name == name).expect("it is there")
}

#[test]
fn fake_seeders_lose_their_name_at_nodes_that_never_met_them_and_the_downloads_succeed() {
    for seed in 1..=3 {
        let report = simulate(&named("fake seeders", 100), seed);
        // Each of them lied about two contents, and each lie was found out.
        assert_eq!(report.evidence, 2 * report.attackers, "{report:?}");
        assert_eq!(report.refused_permille, Some(1_000), "{report:?}");
        assert!(report.refused99_ms.is_some_and(|ms| ms < 1_500), "{report:?}");
        assert_eq!((report.downloads_whole, report.attackers_in_mesh_permille), (report.downloads, 0), "{report:?}");
        assert_eq!((report.honest_distrusted, report.honest_punished), (0, 0), "{report:?}");
    }
}

#[test]
fn false_accusers_reach_nobody_and_are_let_go_whatever_they_say() {
    // Enough nodes that there is an accuser for each form.
    for seed in 1..=2 {
        let report = simulate(&named("false accusers", 20 * accusation::Form::ALL.len() as u32), seed);
        assert_eq!(report.attackers_punished, report.attackers, "{report:?}");
        assert_eq!((report.honest_distrusted, report.honest_punished), (0, 0), "{report:?}");
        assert_eq!((report.reach_permille, report.evidence), (1_000, 0), "{report:?}");
    }
}

#[test]
fn receipts_arrive_through_a_flood_of_receipts_and_those_who_send_it_have_no_place() {
    for seed in 1..=3 {
        let report = simulate(&named("receipt spam", 100), seed);
        assert_eq!(report.attackers_punished, report.attackers, "{report:?}");
        assert_eq!(report.reach_permille, 1_000, "{report:?}");
        assert!(report.reach99_ms.is_some_and(|ms| ms < 1_500), "{report:?}");
        assert!(report.attackers_in_mesh_permille < 20, "{report:?}");
        assert_eq!(report.honest_punished, 0, "{report:?}");
    }
}
