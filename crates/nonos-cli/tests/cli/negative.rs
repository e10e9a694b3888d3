//! Negative vectors: each makes one thing wrong, is named after it, and holds that the command refuses it with the exit
//! code of its class, with a message that says what is wrong and what to do, with nothing on stdout, and with no file
//! written or changed. What the command printed is golden: `tests/negative/NAME.txt`. After a change of a message, run
//! with `SNAPSHOTS=overwrite` and read the difference.

use crate::place::Place;
use snapbox::{Assert, Data};
use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

/// How many vectors there are at least.
const VECTORS_MIN: usize = 60;

/// `name: |place| { what is made in the place } => "arguments";`
macro_rules! vectors {
    ($($name:ident: |$place:ident| $make:expr => $arguments:expr;)*) => {
        /// The names of the vectors here.
        pub(super) const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                let make = |$place: &$crate::place::Place| { let _ = $make; };
                $crate::negative::check(stringify!($name), make, &$arguments);
            }
        )*
    };
}

#[path = "negative/author.rs"]
mod author;
#[path = "negative/books.rs"]
mod books;
#[path = "negative/mesh.rs"]
mod mesh;
#[path = "negative/package.rs"]
mod package;
#[path = "negative/proofs.rs"]
mod proofs;
#[path = "negative/running.rs"]
mod running;
#[path = "negative/signatures.rs"]
mod signatures;
#[path = "negative/tickets.rs"]
mod tickets;

fn check(name: &str, make: impl FnOnce(&Place), arguments: &str) {
    let place = Place::new();
    make(&place);
    // A ledger notes what it refuses. That it books nothing then is for the tests of `nonos-ledger` to hold.
    let files = || place.files().into_iter().filter(|(path, _)| !path.to_string_lossy().ends_with(".redb"));
    let before: Vec<_> = files().collect();
    let ran = place.nonos(arguments);
    assert_ne!(ran.code, 0, "{name}: nonos {arguments} must fail");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "", "{name}: nothing goes to stdout");
    assert_eq!(files().collect::<Vec<_>>(), before, "{name}: nothing is written");
    // Clap's own errors have their advice in their usage line.
    let says_what_to_do = ran.stderr.contains("\nhelp: ") || ran.stderr.contains("--help");
    assert!(ran.stderr.contains("error: ") && says_what_to_do, "{name}: {}", ran.stderr);
    let mut golden = format!("$ nonos {arguments}\nexit code {}\n\n", ran.code);
    golden.push_str(&ran.stderr);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/negative").join(format!("{name}.txt"));
    Assert::new().action_env("SNAPSHOTS").eq(golden, Data::read_from(&path, None));
}

#[test]
fn there_are_enough_vectors_and_each_golden_file_has_one() {
    let lists = [
        author::NAMES,
        books::NAMES,
        mesh::NAMES,
        package::NAMES,
        proofs::NAMES,
        running::NAMES,
        signatures::NAMES,
        tickets::NAMES,
    ];
    let names: BTreeSet<String> = lists.concat().iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), lists.iter().map(|list| list.len()).sum::<usize>(), "a name stands for one vector");
    assert!(names.len() >= VECTORS_MIN, "{} vectors", names.len());
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/negative");
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let stems = files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    let mut stale = String::new();
    for stem in stems.filter(|stem| !names.contains(stem)) {
        let _ = write!(stale, "{stem} ");
    }
    assert_eq!(stale, "", "golden files without a vector");
}
