//! Capsule `{{name}}`: numbers in, their sum and mean out.
#![cfg_attr(target_arch = "riscv32", no_std, no_main)]

extern crate alloc;

use alloc::vec::Vec;
use core::fmt;
use nonos_sdk::{input, output};
use serde::{Deserialize, Serialize};

nonos_sdk::entry!(main);

/// What a requester sends.
#[derive(Serialize, Deserialize)]
struct Request {
    numbers: Vec<i64>,
}

/// What the capsule answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Answer {
    sum: i64,
    mean: i64,
}

fn main() -> Result<(), Error> {
    let request: Request = input::read().map_err(Error::Input)?;
    let answer = answer(&request)?;
    nonos_sdk::log!("{} numbers", request.numbers.len());
    output::write(&answer).map_err(Error::Output)
}

fn answer(request: &Request) -> Result<Answer, Error> {
    let mut sum = 0i64;
    for number in &request.numbers {
        sum = sum.checked_add(*number).ok_or(Error::Overflow)?;
    }
    let mean = sum.checked_div(request.numbers.len() as i64).ok_or(Error::NoNumbers)?;
    Ok(Answer { sum, mean })
}

/// Why there is no answer: logged, and the run ends with status 1.
#[derive(Debug)]
enum Error {
    Input(input::ReadError),
    Output(output::WriteError),
    NoNumbers,
    Overflow,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(source) => source.fmt(f),
            Self::Output(source) => source.fmt(f),
            Self::NoNumbers => f.write_str("there are no numbers"),
            Self::Overflow => f.write_str("the sum does not fit 64 bits"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_sdk::mock::Mock;

    #[test]
    fn the_answer_is_the_sum_and_the_mean() {
        let run = Mock::new().input_value(&Request { numbers: vec![1, 2, 6] }).run(main);
        assert_eq!(run.status, Ok(0), "{}", run.log);
        assert_eq!(run.output_value(), Ok(Answer { sum: 9, mean: 3 }));
    }

    #[test]
    fn no_numbers_are_an_error() {
        let run = Mock::new().input_value(&Request { numbers: vec![] }).run(main);
        assert_eq!((run.status, run.log.as_str()), (Ok(1), "error: there are no numbers\n"));
    }

    #[test]
    fn an_input_that_does_not_decode_is_an_error() {
        let run = Mock::new().input(*b"\x05\x02").run(main);
        assert_eq!(run.status, Ok(1));
        assert!(run.log.contains("does not decode"), "{}", run.log);
    }
}
