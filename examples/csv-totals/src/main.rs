//! Example capsule `csv-totals`: a CSV table in, count, sum, mean, smallest and largest value by group out.
//!
//! Input: a line `GROUP: COLUMN, COLUMN ...` that names a column to group by and columns to add up, then the table
//! with its header. Output: a CSV table, groups in the order of their names, columns as asked for. Values are decimals
//! with at most two places; everything is computed in hundredths, in integers.
#![cfg_attr(target_arch = "riscv32", no_std, no_main)]

extern crate alloc;

mod cents;
mod records;
mod totals;

use alloc::string::String;
use thiserror::Error;

nonos_sdk::entry!(main);

fn main() -> Result<(), Error> {
    let input = nonos_sdk::input::bytes();
    nonos_sdk::output::write_bytes(aggregate(&input)?.as_bytes());
    Ok(())
}

fn aggregate(input: &[u8]) -> Result<String, Error> {
    let end = input.iter().position(|&byte| byte == b'\n').ok_or(Error::NoTable)?;
    let order = str::from_utf8(&input[..end]).map_err(|_| Error::Order)?;
    let (group, columns) = order.split_once(':').ok_or(Error::Order)?;
    let totals = totals::add_up(group.trim(), columns.split(',').map(str::trim), &input[end + 1..])?;
    Ok(totals.to_csv())
}

/// Why a table cannot be aggregated.
#[derive(Debug, Error, PartialEq, Eq)]
enum Error {
    #[error("the input has no second line: a line `GROUP: COLUMN, ...`, then a CSV table")]
    NoTable,
    #[error("the first line is not of the form `GROUP: COLUMN, ...`")]
    Order,
    #[error(transparent)]
    Totals(#[from] totals::TotalsError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_sdk::mock::Mock;

    #[test]
    fn the_committed_input_gives_the_committed_output() {
        let run = Mock::new().input(include_bytes!("../input")).run(main);
        assert_eq!(run.status, Ok(0), "{}", run.log);
        assert_eq!(String::from_utf8_lossy(&run.output), include_str!("../expected"));
    }

    #[test]
    fn quoted_fields_and_negative_values_are_understood() {
        let input = b"kind: cost\nkind,cost\n\"a, \"\"b\"\"\",1.50\nc,-2\r\n\"a, \"\"b\"\"\",-0.25\n";
        let expected = "kind,column,count,sum,mean,min,max\n\
            \"a, \"\"b\"\"\",cost,2,1.25,0.63,-0.25,1.50\n\
            c,cost,1,-2.00,-2.00,-2.00,-2.00\n";
        assert_eq!(aggregate(input).unwrap(), expected);
    }

    #[test]
    fn a_bad_input_says_what_is_wrong_and_in_which_record() {
        let check = |input: &str, message: &str| {
            let run = Mock::new().input(input).run(main);
            assert_eq!((run.status, run.log.as_str()), (Ok(1), format!("error: {message}\n").as_str()), "{input:?}");
        };
        check("", "the input has no second line: a line `GROUP: COLUMN, ...`, then a CSV table");
        check("kind\nkind\n", "the first line is not of the form `GROUP: COLUMN, ...`");
        check("kind: x\n", "the table has no header");
        check("kind: x\nkind,y\n", "the table has no column `x`");
        check("kind: y\nkind,y\na,1\nb\n", "record 3 has 1 fields, the header has 2");
        check(
            "kind: y\nkind,y\na,1.234\n",
            "record 2: `1.234` in column `y` is not a number with at most two decimals",
        );
        check(
            "kind: y\nkind,y\na,92233720368547758.07\na,0.01\n",
            "record 3: the sum of column `y` does not fit 64 bits",
        );
        let run = Mock::new().input(*b"kind: y\nkind,y\n\xff,1\n").run(main);
        assert_eq!(run.log, "error: record 2: the name of its group is not UTF-8\n");
    }
}
