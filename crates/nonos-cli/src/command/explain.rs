//! `nonos explain`: what became of a ticket, a receipt, a payment, a key, and why.

use crate::{
    Context, calendar,
    exit::ExitClass,
    failure::Failure,
    ledger::{LedgerPlace, Names, json_of_entry},
};
use clap::Args;
use nonos_ledger::{Subject, explain as tell};
use nonos_store::StoreError;
use serde_json::{Value, json};

/// Say what became of something, and everything that led to it.
///
/// Takes the id of a ticket, a claim, a capsule or a key (64 hexadecimal digits), or `entry:N`, `event:N`, `batch:N`. The
/// first line says where it stands in one word: held, provisional, disputed, waiting, paid, settled, lost, displaced, voided,
/// refused, forgiven, penalised, known, unknown.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n    nonos explain HEX64\n    nonos explain default\n    nonos explain batch:0\n    nonos explain entry:17 --json | jq -r .why"
)]
pub(crate) struct ExplainArgs {
    /// What to explain: an id, the name of one of your keys, entry:N, event:N or batch:N.
    #[arg(value_name = "ID")]
    subject: String,

    #[command(flatten)]
    place: LedgerPlace,
}

fn subject_of(text: &str, context: &Context) -> Result<Subject, Failure> {
    let wrong = || {
        let help = "give 64 hexadecimal digits, the name of one of your keys, entry:N, event:N or batch:N";
        Failure::new(ExitClass::Usage, format_args!("{text:?} is nothing to explain"), help)
    };
    if let Some((kind, number)) = text.split_once(':') {
        let number = number.parse().map_err(|_| wrong())?;
        return match kind {
            "entry" => Ok(Subject::Entry(number)),
            "event" => Ok(Subject::Event(number)),
            "batch" => Ok(Subject::Batch(number)),
            _ => Err(wrong()),
        };
    }
    let mut id = [0; 32];
    if hex::decode_to_slice(text.to_ascii_lowercase(), &mut id).is_err() {
        id = *Names::of_home(context).find(text).map_err(|_| wrong())?.as_bytes();
    }
    Ok(Subject::Id(id))
}

/// Explains.
pub(crate) fn explain(args: &ExplainArgs, context: &Context) -> Result<ExitClass, Failure> {
    let store = args.place.open(context)?;
    let subject = subject_of(&args.subject, context)?;
    let refused = match subject {
        Subject::Id(id) => store.refused(id)?,
        _ => Vec::new(),
    };
    let told = store.read(|book| {
        tell(book, subject, &refused, &calendar::print).map_err(|error| match error {
            nonos_ledger::ExplainError::Book(error) => error,
            nonos_ledger::ExplainError::Record { seq, why } => {
                StoreError::Corrupt { table: "journal", key: seq.to_string(), why }
            }
            _ => StoreError::NotALedger,
        })
    })?;
    let steps = told.steps.iter().map(|step| {
        json!({
            "event": step.event,
            "time_s": step.time_s,
            "what": step.what,
            "entries": step.entries.iter().map(json_of_entry).collect::<Vec<Value>>(),
        })
    });
    let value = json!({
        "kind": told.kind,
        "id": told.id,
        "status": told.status,
        "why": told.why,
        "next": told.next,
        "steps": steps.collect::<Vec<Value>>(),
    });
    context.terminal.result(&value, told.text(&calendar::print))?;
    Ok(if told.status == "unknown" { ExitClass::Differs } else { ExitClass::Ok })
}
