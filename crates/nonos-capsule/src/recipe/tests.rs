//! Tests of [`Recipe`].

use super::*;
use proptest::prelude::*;

fn cargo() -> CargoRecipe {
    CargoRecipe {
        rustc: "rustc 1.95.0 (59807616e 2026-04-14)".into(),
        cargo: "cargo 1.95.0 (f2d3ce0bd 2026-03-21)".into(),
        linker: "LLD 21.1.8".into(),
        target: "riscv32im-unknown-none-elf".into(),
        binary: "hello".into(),
        flags: vec!["-C".into(), "link-arg=-Tlink.x".into()],
        features: vec!["a".into(), "b".into()],
        profile: vec![("lto".into(), "fat".into()), ("opt-level".into(), "3".into())],
        source_digest: Hash32::from_bytes([1; 32]),
        cargo_lock_digest: Hash32::from_bytes([2; 32]),
        sdk_version: "0.1.0".into(),
    }
}

fn with(recipe: CargoRecipe) -> Recipe {
    Recipe::Cargo(Box::new(recipe))
}

fn prebuilt() -> PrebuiltRecipe {
    PrebuiltRecipe {
        tools: vec!["GCC 12.2.0".into(), "LLD 21".into()],
        source_digest: Some(Hash32::from_bytes([3; 32])),
    }
}

#[test]
fn recipes_decode_from_their_bytes() {
    let recipes = [
        with(cargo()),
        with(CargoRecipe { sdk_version: String::new(), flags: Vec::new(), ..cargo() }),
        Recipe::Prebuilt(prebuilt()),
        Recipe::Prebuilt(PrebuiltRecipe::default()),
    ];
    for recipe in recipes {
        assert_eq!(Recipe::decode(&recipe.encode()), Ok(recipe));
    }
}

#[test]
fn recipes_that_break_a_rule_are_refused_when_made_and_when_read() {
    let check = |recipe: Recipe, expected: RecipeError| {
        assert_eq!(recipe.check(), Err(expected.clone()));
        assert_eq!(Recipe::decode(&recipe.encode()), Err(expected));
    };
    let place = |field, text: &str| RecipeError::Text { field, why: RecipeTextError::Place { text: text.into() } };
    let empty = |field| RecipeError::Text { field, why: RecipeTextError::Length { got_bytes: 0 } };
    let order = |field, item: &str| RecipeError::Order { field, item: item.into() };
    check(with(CargoRecipe { linker: "/usr/bin/ld".into(), ..cargo() }), place("linker", "/usr/bin/ld"));
    check(with(CargoRecipe { flags: vec!["-L/x".into()], ..cargo() }), place("flags", "-L/x"));
    check(with(CargoRecipe { profile: vec![("a".into(), "/x".into())], ..cargo() }), place("profile", "/x"));
    check(with(CargoRecipe { sdk_version: "../sdk".into(), ..cargo() }), place("sdk version", "../sdk"));
    check(with(CargoRecipe { rustc: String::new(), ..cargo() }), empty("rustc"));
    check(with(CargoRecipe { features: vec!["b".into(), "a".into()], ..cargo() }), order("features", "a"));
    check(with(CargoRecipe { features: vec!["a".into(), "a".into()], ..cargo() }), order("features", "a"));
    let twice = vec![("a".into(), "1".into()), ("a".into(), "2".into())];
    check(with(CargoRecipe { profile: twice, ..cargo() }), order("profile", "a"));
    check(Recipe::Prebuilt(PrebuiltRecipe { tools: vec!["~".into()], ..prebuilt() }), place("tools", "~"));
    let tools = vec!["b".into(), "a".into()];
    check(Recipe::Prebuilt(PrebuiltRecipe { tools, ..prebuilt() }), order("tools", "a"));
}

#[test]
fn lists_have_a_limit() {
    let flags = vec!["-C".to_owned(); RECIPE_ITEMS_MAX + 1];
    let recipe = with(CargoRecipe { flags, ..cargo() });
    assert_eq!(recipe.check(), Err(RecipeError::TooMany { field: "flags", got: 33 }));
    let error = Recipe::decode(&recipe.encode()).unwrap_err();
    assert!(matches!(error, RecipeError::Codec(CodecError::TooLarge { field: "flags", got: 33, max: 32, .. })));
}

#[test]
fn bytes_that_no_recipe_has_are_refused() {
    let good = Recipe::Prebuilt(prebuilt()).encode();
    let kind = [&[2], &good[1..]].concat();
    assert_eq!(Recipe::decode(&kind), Err(RecipeError::UnknownKind { got: 2 }));
    let long = [&good[..], &[0]].concat();
    assert_eq!(Recipe::decode(&long), Err(CodecError::Trailing { at: good.len(), extra_bytes: 1 }.into()));
    for recipe in [Recipe::Prebuilt(prebuilt()), with(cargo())] {
        let good = recipe.encode();
        for length in 0..good.len() {
            assert!(matches!(Recipe::decode(&good[..length]), Err(RecipeError::Codec(_))), "{length}");
        }
    }
    let large = vec![0; RECIPE_BYTES_MAX + 1];
    assert_eq!(Recipe::decode(&large), Err(RecipeError::TooLarge { got_bytes: large.len() }));
}

proptest! {
    #[test]
    fn every_accepted_encoding_is_the_only_one(index in 0usize..400, value: u8, which: bool) {
        let recipe = if which { with(cargo()) } else { Recipe::Prebuilt(prebuilt()) };
        let mut bytes = recipe.encode();
        let index = index % bytes.len();
        bytes[index] = value;
        if let Ok(recipe) = Recipe::decode(&bytes) {
            prop_assert_eq!(recipe.encode(), bytes);
        }
    }
}
