//! `nonos exit-codes`: the table of exit codes.

use crate::{
    Context,
    exit::{self, ExitClass},
    failure::Failure,
};
use serde_json::{Value, json};

/// Prints the table.
pub(crate) fn exit_codes(context: &Context) -> Result<ExitClass, Failure> {
    let row = |class: &ExitClass| json!({ "code": class.code(), "name": class.name(), "when": class.meaning() });
    let rows: Vec<Value> = ExitClass::ALL.iter().map(row).collect();
    context.terminal.result(&json!({ "exit_codes": rows }), exit::table())?;
    Ok(ExitClass::Ok)
}
