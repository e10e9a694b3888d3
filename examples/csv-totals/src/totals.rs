//! Count, sum, mean, smallest and largest value of columns, by group.

use crate::{
    cents::Cents,
    records::{RecordError, Records},
};
use alloc::{borrow::ToOwned, collections::BTreeMap, string::String, vec, vec::Vec};
use core::fmt::Write;
use thiserror::Error;

/// Most columns that can be added up.
const COLUMNS_MAX: usize = 64;
/// Most groups.
const GROUPS_MAX: usize = 65_536;

/// The totals of a table.
pub(crate) struct Totals {
    group: String,
    columns: Vec<String>,
    /// For each group, a total for each column.
    groups: BTreeMap<String, Vec<Total>>,
}

#[derive(Clone, Copy)]
struct Total {
    count: u64,
    sum: Cents,
    min: Cents,
    max: Cents,
}

const NOTHING: Total = Total { count: 0, sum: Cents(0), min: Cents(i64::MAX), max: Cents(i64::MIN) };

impl Total {
    fn add(&mut self, value: Cents) -> Option<()> {
        self.sum = self.sum.checked_add(value)?;
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        Some(())
    }
}

/// Adds up these columns of the table for each value of the column `group`.
pub(crate) fn add_up<'a>(
    group: &str,
    columns: impl Iterator<Item = &'a str>,
    table: &[u8],
) -> Result<Totals, TotalsError> {
    let columns: Vec<String> = columns.map(ToOwned::to_owned).take(COLUMNS_MAX + 1).collect();
    if columns.len() > COLUMNS_MAX {
        return Err(TotalsError::ManyColumns);
    }
    let mut records = Records::new(table);
    let header = records.next()?.ok_or(TotalsError::NoHeader)?;
    let find = |name: &str| {
        let index = (0..header.fields()).find(|&i| header.field(i) == name.as_bytes());
        index.ok_or_else(|| TotalsError::NoColumn { name: name.to_owned() })
    };
    let group_index = find(group)?;
    let indices = columns.iter().map(|name| find(name)).collect::<Result<Vec<usize>, _>>()?;
    let expected = header.fields();

    let mut groups: BTreeMap<String, Vec<Total>> = BTreeMap::new();
    loop {
        let number = records.number + 1;
        let Some(record) = records.next()? else { break };
        if record.fields() != expected {
            return Err(TotalsError::Fields { record: number, got: record.fields(), expected });
        }
        let name = str::from_utf8(record.field(group_index)).map_err(|_| TotalsError::GroupName { record: number })?;
        if !groups.contains_key(name) {
            if groups.len() == GROUPS_MAX {
                return Err(TotalsError::ManyGroups);
            }
            groups.insert(name.to_owned(), vec![NOTHING; columns.len()]);
        }
        let totals = groups.get_mut(name).into_iter().flatten();
        for ((total, &index), column) in totals.zip(&indices).zip(&columns) {
            let text = String::from_utf8_lossy(record.field(index));
            let value = Cents::parse(&text).ok_or_else(|| TotalsError::Value {
                record: number,
                column: column.clone(),
                text: text.clone().into_owned(),
            })?;
            total.add(value).ok_or_else(|| TotalsError::Overflow { record: number, column: column.clone() })?;
        }
    }
    Ok(Totals { group: group.to_owned(), columns, groups })
}

impl Totals {
    pub(crate) fn to_csv(&self) -> String {
        let mut out = String::new();
        push_field(&mut out, &self.group);
        out.push_str(",column,count,sum,mean,min,max\n");
        for (group, totals) in &self.groups {
            for (column, total) in self.columns.iter().zip(totals) {
                push_field(&mut out, group);
                out.push(',');
                push_field(&mut out, column);
                let mean = total.sum.divide_rounding(total.count);
                // Writing to a string cannot fail.
                let _ = writeln!(out, ",{},{},{},{},{}", total.count, total.sum, mean, total.min, total.max);
            }
        }
        out
    }
}

/// A field in quotes where it needs them (RFC 4180).
fn push_field(out: &mut String, text: &str) {
    if text.contains([',', '"', '\r', '\n']) {
        out.push('"');
        for character in text.chars() {
            if character == '"' {
                out.push('"');
            }
            out.push(character);
        }
        out.push('"');
    } else {
        out.push_str(text);
    }
}

/// Why a table cannot be added up.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TotalsError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("more than {COLUMNS_MAX} columns are asked for")]
    ManyColumns,
    #[error("the table has no header")]
    NoHeader,
    #[error("the table has no column `{name}`")]
    NoColumn { name: String },
    #[error("record {record} has {got} fields, the header has {expected}")]
    Fields { record: usize, got: usize, expected: usize },
    #[error("record {record}: the name of its group is not UTF-8")]
    GroupName { record: usize },
    #[error("there are more than {GROUPS_MAX} groups")]
    ManyGroups,
    #[error("record {record}: `{text}` in column `{column}` is not a number with at most two decimals")]
    Value { record: usize, column: String, text: String },
    #[error("record {record}: the sum of column `{column}` does not fit 64 bits")]
    Overflow { record: usize, column: String },
}
