//! Exit codes: one for each class of outcome, the same for every command. The table in `docs/guide/50-commands.md` and
//! `nonos help exit-codes` are made of this one; a test compares them.

use std::fmt::Write as _;

macro_rules! exit_classes {
    ($($class:ident $code:literal $name:literal $meaning:literal;)*) => {
        /// What came of a command. The number is its exit code and never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum ExitClass {
            $(#[doc = $meaning] $class = $code,)*
        }

        impl ExitClass {
            /// All of them, by code.
            pub(crate) const ALL: &[Self] = &[$(Self::$class),*];

            /// Its name in JSON and in the table.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$class => $name,)* }
            }

            /// When a command ends with it.
            pub(crate) const fn meaning(self) -> &'static str {
                match self { $(Self::$class => $meaning,)* }
            }
        }
    };
}

exit_classes! {
    Ok 0 "ok" "done; `run`: halted with status 0";
    Differs 1 "differs" "what was compared is not the same";
    Usage 2 "usage" "the command line is wrong";
    Io 3 "io" "a file or stream cannot be read or written";
    Capsule 4 "bad-capsule" "damaged, or breaks a rule of the format";
    Manifest 5 "bad-manifest" "the manifest breaks a rule";
    Program 6 "bad-program" "not a program that the machine runs";
    Signature 7 "bad-signature" "a signature does not hold, or is unasked for";
    TooFewSignatures 8 "too-few-signatures" "not signed, or not by enough signers";
    KeyNotValid 9 "key-not-valid" "a key that signed is expired or revoked";
    Key 10 "bad-key" "a key or key statement is missing or damaged";
    Checkpoint 11 "bad-checkpoint" "checkpoint file damaged or of another run";
    Record 12 "bad-record" "record file damaged or of another kind";
    Input 13 "bad-input" "input or content above its limit";
    Build 14 "build-failed" "the program does not build";
    MissingTool 15 "missing-tool" "a tool is missing: see `nonos doctor`";
    Receipt 16 "bad-receipt" "not a receipt, or damaged";
    NotProven 17 "not-proven" "the receipt does not prove what it states";
    OtherRun 18 "other-run" "the receipt is about another run than asked";
    ProveFailed 19 "prove-failed" "the run could not be proven";
    Halted 20 "halted" "the capsule halted with a status above 0";
    Trapped 21 "trapped" "the capsule trapped";
    OutOfFuel 22 "out-of-fuel" "the capsule used up its fuel";
    ContentMissing 23 "content-missing" "the capsule reads content not at hand";
    Ticket 24 "bad-ticket" "not a ticket, or damaged";
    TicketRefused 25 "ticket-refused" "the ticket does not count or pay for this run";
    Ledger 26 "bad-ledger" "no ledger, in use, or damaged";
    Refused 27 "refused" "the ledger does not take it; nothing is booked";
    Books 28 "books-differ" "the ledger is not what its journal makes of it";
    Node 29 "node" "no node runs there, or it does not do it";
    NotThere 30 "not-there" "what was asked for is not there";
    NotFetched 31 "not-fetched" "a download came to no end; what came is kept";
    Evidence 32 "bad-evidence" "not evidence, or it convicts nobody";
}

impl ExitClass {
    /// Its exit code.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

/// The table, in Markdown that is also good to read in a terminal.
pub(crate) fn table() -> String {
    let name_width = ExitClass::ALL.iter().map(|class| class.name().len()).max().unwrap_or_default();
    let mut text = format!("| code | {:name_width$} | when |\n|---:|:{}|:---|\n", "name", "-".repeat(name_width + 1));
    for class in ExitClass::ALL {
        // Writing to a text does not fail.
        let _ = writeln!(text, "| {:4} | {:name_width$} | {} |", class.code(), class.name(), class.meaning());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_the_guide_has_this_table() {
        assert!(table().lines().all(|line| line.chars().count() <= 80), "help is read on 80 columns");
        assert!(ExitClass::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        let guide = include_str!("../../../docs/guide/50-commands.md");
        assert!(guide.contains(&table()), "docs/guide/50-commands.md must hold this table:\n{}", table());
    }
}
